"""OpenTelemetry's GenAI conventions, all generations: messages as span events, as log events (noria.tracing.otlp.contents), and as
JSON attributes. Google's libraries, Traceloop, OpenLIT and pydantic-ai build on these names and add their own tables."""

from typing import Final

from noria.tracing.dialects.table import Table

OPERATIONS: Final = {
    **dict.fromkeys(("chat", "text_completion", "generate_content", "completion", "generate"), "llm"),
    **dict.fromkeys(("embeddings", "embedding"), "embedding"),
    **dict.fromkeys(("execute_tool", "tool"), "tool"),
    **dict.fromkeys(("invoke_agent", "create_agent", "agent"), "agent"),
    **dict.fromkeys(("retrieval", "retrieve", "rerank", "vectordb", "vector_db_retrieve", "search"), "retrieval"),
    **dict.fromkeys(("invoke_workflow", "execute_task", "workflow", "framework"), "chain"),
}

TABLE: Final = Table(
    name="genai",
    source="https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-spans/ (v1.28 to v1.40)",
    markers=("gen_ai.",),
    fields={
        "provider": ("gen_ai.provider.name", "gen_ai.system"),
        "requested_model": ("gen_ai.request.model",),
        "served_model": ("gen_ai.response.model",),
        "input_tokens": ("gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens"),
        "output_tokens": ("gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens"),
        "cached_tokens": (
            *("gen_ai.usage.cache_read.input_tokens", "gen_ai.usage.cache_read_input_tokens"),
            *("gen_ai.usage.input_tokens.cached", "gen_ai.usage.details.cache_read_tokens"),
            *("gen_ai.usage.details.cached_tokens", "gen_ai.usage.details.input_tokens_details.cached_tokens"),
        ),
        "written_tokens": (
            *("gen_ai.usage.cache_creation.input_tokens", "gen_ai.usage.cache_creation_input_tokens"),
            *("gen_ai.usage.cache_write.input_tokens", "gen_ai.usage.details.cache_write_tokens"),
        ),
        "reasoning_tokens": (
            *("gen_ai.usage.reasoning.output_tokens", "gen_ai.usage.reasoning_tokens"),
            *("gen_ai.usage.output_tokens.reasoning", "gen_ai.usage.details.reasoning_tokens"),
            "gen_ai.usage.completion_tokens_details.reasoning_tokens",
        ),
        "address": ("server.address",),
        "session_id": ("gen_ai.conversation.id", "session.id"),
        "subject_id": ("user.id", "enduser.id", "gen_ai.user", "gen_ai.request.user"),
        "response_id": ("gen_ai.response.id",),
        "error_type": ("error.type",),
        "first_token_seconds": ("gen_ai.response.time_to_first_chunk", "gen_ai.server.time_to_first_token"),
        "streamed": ("gen_ai.request.stream", "gen_ai.is_streaming"),
        "tags": ("tag.tags", "tags"),
        "prompt_name": ("gen_ai.prompt.name",),
        "prompt_version": ("gen_ai.prompt.version",),
        "tool_name": ("gen_ai.tool.name",),
        "tool_call_id": ("gen_ai.tool.call.id",),
    },
    kinds={"gen_ai.operation.name": OPERATIONS},  # type: ignore[dict-item]
    messages={"gen_ai.input.messages": "input", "gen_ai.output.messages": "output"},
    payloads={
        "gen_ai.tool.call.arguments": "input",
        "gen_ai.tool.call.result": "output",
        "gen_ai.retrieval.query.text": "input",
        "gen_ai.retrieval.documents": "output",
    },
    system=("gen_ai.system_instructions",),
    parameters={"gen_ai.request.": "", "gen_ai.tool.definitions": "tools", "gen_ai.output.type": "output_type"},
    events={
        "gen_ai.system.message": ("input", ""),
        "gen_ai.user.message": ("input", ""),
        "gen_ai.assistant.message": ("input", ""),
        "gen_ai.tool.message": ("input", ""),
        "gen_ai.choice": ("output", ""),
        "gen_ai.content.prompt": ("input", "gen_ai.prompt"),
        "gen_ai.content.completion": ("output", "gen_ai.completion"),
    },
)
