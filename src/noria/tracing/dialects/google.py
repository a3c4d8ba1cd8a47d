"""Google's Agent Development Kit and Vertex AI: gen_ai names, with the request and answer of a call as Gemini's JSON."""

from typing import Final

from noria.tracing.dialects.table import Table

TABLE: Final = Table(
    name="google",
    source="https://github.com/google/adk-python/blob/main/src/google/adk/telemetry/tracing.py",
    markers=("gcp.vertex.agent.",),
    fields={
        "session_id": ("gcp.vertex.agent.session_id", "gcp.vertex.agent.conversation_id"),
        "response_usage": ("gcp.vertex.agent.llm_response",),
    },
    payloads={
        "gcp.vertex.agent.llm_request": "input",
        "gcp.vertex.agent.llm_response": "output",
        "gcp.vertex.agent.tool_call_args": "input",
        "gcp.vertex.agent.tool_response": "output",
        "gcp.vertex.agent.data": "input",
    },
)
