"""OpenInference (Phoenix, Arize), Python and JavaScript."""

from typing import Final

from noria.tracing.dialects import numbered
from noria.tracing.dialects.table import Table

TABLE: Final = Table(
    name="openinference",
    source="https://github.com/Arize-ai/openinference/blob/main/spec/semantic_conventions.md",
    markers=("openinference.", "llm.input_messages.", "llm.token_count.", "embedding.embeddings."),
    fields={
        "provider": ("llm.provider", "llm.system"),
        "requested_model": ("llm.request.model_name",),
        "served_model": ("llm.response.model_name", "llm.model_name", "embedding.model_name", "reranker.model_name"),
        "input_tokens": ("llm.token_count.prompt",),
        "output_tokens": ("llm.token_count.completion",),
        "cached_tokens": ("llm.token_count.prompt_details.cache_read",),
        "written_tokens": ("llm.token_count.prompt_details.cache_write",),
        "reasoning_tokens": ("llm.token_count.completion_details.reasoning",),
        "cost_usd": ("llm.cost.total",),
        "session_id": ("session.id",),
        "subject_id": ("user.id",),
        "tags": ("tag.tags",),
        "prompt_name": ("llm.prompt_template.name", "prompt.id"),
        "prompt_version": ("llm.prompt_template.version",),
        "tool_name": ("tool.name",),
    },
    kinds={
        "openinference.span.kind": {
            "llm": "llm",
            "embedding": "embedding",
            "retriever": "retrieval",
            "reranker": "retrieval",
            "tool": "tool",
            "agent": "agent",
            "chain": "chain",
            "prompt": "chain",
            "guardrail": "guardrail",
            "evaluator": "judge",
        }
    },
    numbered={
        "llm.input_messages.": ("input", numbered.openinference),
        "llm.output_messages.": ("output", numbered.openinference),
        "embedding.embeddings.": ("input", numbered.texts),
        "retrieval.documents.": ("output", numbered.documents),
        "reranker.output_documents.": ("output", numbered.documents),
    },
    payloads={"input.value": "input", "output.value": "output", "tool.parameters": "input"},
    parameters={"llm.invocation_parameters": "", "embedding.invocation_parameters": "", "llm.tools.": "tools"},
)
