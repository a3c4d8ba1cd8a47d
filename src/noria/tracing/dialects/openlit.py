"""OpenLIT: gen_ai names, its own for cost, caching and streaming; content in span events or whole attributes."""

from typing import Final

from noria.tracing.dialects.table import Table

TABLE: Final = Table(
    name="openlit",
    source="https://github.com/openlit/openlit/blob/main/sdk/python/src/openlit/semcov/__init__.py",
    markers=("openlit", "gen_ai.usage.cost", "gen_ai.application_name"),
    fields={
        "cost_usd": ("gen_ai.usage.cost",),
        "streamed": ("gen_ai.request.is_stream",),
        "first_token_seconds": ("gen_ai.server.ttft",),
        "cached_tokens": ("gen_ai.usage.prompt_tokens_details.cache_read",),
        "reasoning_tokens": ("gen_ai.usage.completion_tokens_details.reasoning",),
        "subject_id": ("gen_ai.request.user",),
        "tool_name": ("gen_ai.tool.name",),
    },
    kinds={
        "gen_ai.type": {
            "chat": "llm",
            "embedding": "embedding",
            "vectordb": "retrieval",
            "agent": "agent",
            "framework": "chain",
        }
    },
    messages={
        "gen_ai.content.prompt": "input",
        "gen_ai.content.completion": "output",
        "gen_ai.prompt": "input",
        "gen_ai.completion": "output",
    },
)
