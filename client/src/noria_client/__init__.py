"""The client of Noria: traces, feedback and prompts of an application, with OpenTelemetry underneath.

Without a URL and a key (arguments of `configure`, or NORIA_URL and NORIA_API_KEY) everything here does nothing and costs next
to nothing, so instrumented code runs anywhere. What an application sends is written to a spool on its disk first and
delivered from there, so neither a server that is away nor a killed process loses it.
"""

from noria_client.client import configure, flush, is_on, shutdown, statistics
from noria_client.configuration import VERSION as __version__
from noria_client.configuration import Mask
from noria_client.decorator import trace
from noria_client.feedback import feedback
from noria_client.identity import headers, session
from noria_client.prompts import Prompt, PromptUnavailable, prompt
from noria_client.spans import Generation, Kind, Step, current_trace_id, generation, span
from noria_client.statistics import Statistics
from noria_client.templates import TemplateError

__all__ = [
    "Generation",
    "Kind",
    "Mask",
    "Prompt",
    "PromptUnavailable",
    "Statistics",
    "Step",
    "TemplateError",
    "__version__",
    "configure",
    "current_trace_id",
    "feedback",
    "flush",
    "generation",
    "headers",
    "is_on",
    "prompt",
    "session",
    "shutdown",
    "span",
    "statistics",
    "trace",
]
