"""Traceloop's OpenLLMetry: gen_ai names with numbered messages in its older releases, entities around them in all."""

from typing import Final

from noria.tracing.dialects import numbered
from noria.tracing.dialects.table import Table

_OWN: Final = "traceloop.association.properties."

TABLE: Final = Table(
    name="traceloop",
    source="https://github.com/traceloop/openllmetry, packages/opentelemetry-semantic-conventions-ai",
    markers=("traceloop.", "llm.request.type", "gen_ai.prompt.0.", "gen_ai.completion.0."),
    fields={
        "served_model": ("llm.response.model",),
        "requested_model": ("llm.request.model",),
        "input_tokens": ("llm.usage.prompt_tokens",),
        "output_tokens": ("llm.usage.completion_tokens",),
        "cached_tokens": ("llm.usage.cache_read_input_tokens",),
        "written_tokens": ("llm.usage.cache_creation_input_tokens",),
        "address": ("gen_ai.openai.api_base", "llm.openai.api_base"),
        "session_id": (f"{_OWN}session_id", f"{_OWN}session.id", f"{_OWN}conversation_id", f"{_OWN}thread_id"),
        "subject_id": (f"{_OWN}user_id", f"{_OWN}user.id", "llm.user"),
        "tags": (f"{_OWN}tags",),
        "streamed": ("llm.is_streaming",),
        "prompt_name": ("traceloop.prompt.key",),
        "prompt_version": ("traceloop.prompt.version",),
    },
    kinds={
        "traceloop.span.kind": {"workflow": "chain", "task": "chain", "agent": "agent", "tool": "tool"},
        "llm.request.type": {
            "chat": "llm",
            "completion": "llm",
            "embedding": "embedding",
            "rerank": "retrieval",
        },
    },
    numbered={
        "gen_ai.prompt.": ("input", numbered.traceloop),
        "gen_ai.completion.": ("output", numbered.traceloop),
        "llm.prompts.": ("input", numbered.traceloop),
        "llm.completions.": ("output", numbered.traceloop),
    },
    payloads={"traceloop.entity.input": "input", "traceloop.entity.output": "output"},
    parameters={"llm.request.functions.": "tools"},
)
