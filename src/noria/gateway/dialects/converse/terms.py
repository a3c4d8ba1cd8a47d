"""Why an answer of Converse's ended, and what it used, in chat's words.

The decision to know: chat has fewer reasons, so Converse's own stands beside as `native_finish_reason`. Converse counts cached
tokens beside `inputTokens`, chat within `prompt_tokens`: the sum is built here, and what was written to a cache keeps
Anthropic's name for it.
"""

from typing import Any

from noria.gateway.dialects import values
from noria.gateway.dialects.base import Json
from noria.gateway.failures import ProviderRefused

_FINISH = {
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "guardrail_intervened": "content_filter",
    "content_filtered": "content_filter",
    "tool_use": "tool_calls",
}
_STATUS = {
    "throttlingexception": 429,
    "validationexception": 400,
    "accessdeniedexception": 403,
    "resourcenotfoundexception": 404,
    "modeltimeoutexception": 504,
    "serviceunavailableexception": 503,
    "modelnotreadyexception": 503,
}


def finish(reason: str, *, calls: bool) -> Json:
    """What a chat choice says of its end."""
    told = _FINISH.get(reason) or ("tool_calls" if calls else "stop")
    return {"finish_reason": told, **({"native_finish_reason": reason} if reason else {})}


def usage(raw: Any) -> Json | None:
    """Converse's counts as chat's; None when there are none."""
    if not isinstance(raw, dict) or not raw:
        return None
    read, written = values.count(raw.get("cacheReadInputTokens")), values.count(raw.get("cacheWriteInputTokens"))
    prompt, output = values.count(raw.get("inputTokens")) + read + written, values.count(raw.get("outputTokens"))
    told: Json = {
        "prompt_tokens": prompt,
        "completion_tokens": output,
        "total_tokens": prompt + output,
        "prompt_tokens_details": {"cached_tokens": read, **({"cache_write_tokens": written} if written else {})},
    }
    if written:
        told["cache_creation_input_tokens"] = written
    if kept := _kept_for_an_hour(raw.get("cacheDetails")):
        told["cache_creation"] = {"ephemeral_1h_input_tokens": kept}
    return told


def _kept_for_an_hour(details: Any) -> int:
    """Of the tokens that were written to a cache, those that stay there longest."""
    return sum(values.count(one.get("inputTokens")) for one in values.objects(details) if one.get("ttl") == "1h")


def thought(reasoning: Json) -> Json:
    """A block of reasoning as an item of `thinking_blocks`; {} when it has no signature."""
    if redacted := values.text(reasoning.get("redactedContent")):
        return {"type": "redacted_thinking", "data": redacted}
    said = values.obj(reasoning.get("reasoningText"))
    if signature := values.text(said.get("signature")):
        return {"type": "thinking", "thinking": values.text(said.get("text")), "signature": signature}
    return {}


def reported(kind: str, data: Json) -> ProviderRefused:
    """An exception that stands in the place of an answer or of an event."""
    message = values.text(data.get("message")) or values.text(data.get("Message"))
    status = _STATUS.get(kind.lower(), 502)
    original = data.get("originalStatusCode")
    if type(original) is int and 400 <= original < 600:
        status = original
    said = message[:2000] or "The provider broke off with an error."
    return ProviderRefused(status, said, code=(values.text(data.get("code")) or kind)[:200] or "provider_error")
