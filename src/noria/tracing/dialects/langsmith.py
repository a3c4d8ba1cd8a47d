"""LangSmith's OpenTelemetry exporter: gen_ai names, its own for kinds, tags and metadata."""

from typing import Final

from noria.tracing.dialects.table import Table

_SAID: Final = "langsmith.metadata."

TABLE: Final = Table(
    name="langsmith",
    source="https://docs.langchain.com/langsmith/trace-with-opentelemetry (supported attributes)",
    markers=("langsmith.",),
    fields={
        "session_id": (f"{_SAID}thread_id", f"{_SAID}session_id", f"{_SAID}conversation_id"),
        "subject_id": (f"{_SAID}user_id",),
        "tags": ("langsmith.span.tags",),
        "cost_usd": ("langsmith.cost.total",),
        "usage": ("langsmith.usage_metadata",),
        "first_token_time": ("langsmith.first_token_time",),
    },
    kinds={
        "langsmith.span.kind": {
            "llm": "llm",
            "embedding": "embedding",
            "tool": "tool",
            "retriever": "retrieval",
            **dict.fromkeys(("chain", "prompt", "parser"), "chain"),
        }
    },
)
