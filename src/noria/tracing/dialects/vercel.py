"""Vercel's AI SDK. `ai.generateText` is the step around `ai.generateText.doGenerate`, the call, and repeats its usage."""

from typing import Final

from noria.tracing.dialects.table import Table

_CALLS: Final = ("ai.generatetext.dogenerate", "ai.streamtext.dostream", "ai.generateobject.dogenerate")
_STEPS: Final = ("ai.generatetext", "ai.streamtext", "ai.generateobject", "ai.streamobject", "ai.embed", "ai.embedmany")

TABLE: Final = Table(
    name="vercel",
    source="https://ai-sdk.dev/docs/ai-sdk-core/telemetry",
    markers=("ai.operationId", "ai.model.", "ai.telemetry."),
    fields={
        "provider": ("ai.model.provider",),
        "requested_model": ("ai.model.id",),
        "served_model": ("ai.response.model",),
        "input_tokens": ("ai.usage.promptTokens", "ai.usage.inputTokens", "ai.usage.tokens"),
        "output_tokens": ("ai.usage.completionTokens", "ai.usage.outputTokens"),
        "cached_tokens": ("ai.usage.cachedInputTokens",),
        "written_tokens": ("ai.usage.inputTokenDetails.cacheWriteTokens",),
        "reasoning_tokens": ("ai.usage.reasoningTokens",),
        "response_id": ("ai.response.id",),
        "first_token_millis": ("ai.response.msToFirstChunk",),
        "session_id": ("ai.telemetry.metadata.sessionId", "ai.telemetry.metadata.threadId"),
        "subject_id": ("ai.telemetry.metadata.userId",),
        "tags": ("ai.telemetry.metadata.tags",),
        "tool_name": ("ai.toolCall.name",),
        "tool_call_id": ("ai.toolCall.id",),
    },
    kinds={
        "ai.operationId": {
            **dict.fromkeys((*_CALLS, "ai.streamobject.dostream"), "llm"),
            **dict.fromkeys(_STEPS, "chain"),
            **dict.fromkeys(("ai.embed.doembed", "ai.embedmany.doembed"), "embedding"),
            "ai.toolcall": "tool",
        }
    },
    messages={
        "ai.prompt.messages": "input",
        "ai.prompt": "input",
        "ai.response.text": "output",
        "ai.response.object": "output",
        "ai.response.toolCalls": "output",
    },
    payloads={
        "ai.toolCall.args": "input",
        "ai.toolCall.result": "output",
        "ai.value": "input",
        "ai.values": "input",
    },
    parameters={"ai.settings.": "", "ai.prompt.tools": "tools"},
)
