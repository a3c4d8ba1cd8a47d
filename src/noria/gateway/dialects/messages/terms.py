"""Why an answer ended and what it used, in Anthropic's words and in chat's.

The decision to know: chat knows fewer reasons, so Anthropic's own stands beside it as `native_finish_reason`, and the stop
sequence that was met as `stop_reason` (vLLM's name for it). Anthropic counts cached tokens beside `input_tokens`, chat within
`prompt_tokens`: the sum is built here, and what has no word in chat keeps its name (`cache_creation`, by how long it is kept).
"""

from typing import Any

from noria.gateway.dialects.base import Json
from noria.gateway.dialects.messages import lenient

_FINISH = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "pause_turn": "stop",
    "tool_use": "tool_calls",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "refusal": "content_filter",
}
_STOP = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "function_call": "tool_use",
    "content_filter": "refusal",
}
_COUNTED = ("input_tokens", "output_tokens", "output_tokens_details", "cache_read_input_tokens")


def finish(message: Json, *, calls: bool) -> Json:
    """What a chat choice says of its end; `message` holds stop_reason, stop_sequence and stop_details."""
    reason = lenient.text(message.get("stop_reason"))
    told: Json = {"finish_reason": _FINISH.get(reason) or ("tool_calls" if calls else "stop")}
    if reason:
        told["native_finish_reason"] = reason
    if sequence := lenient.text(message.get("stop_sequence")):
        told["stop_reason"] = sequence
    if details := lenient.obj(message.get("stop_details")):
        told["stop_details"] = details
    return told


def stop(choice: Json, *, calls: bool, refusal: str = "") -> Json:
    """What an Anthropic message says of its end. A provider that says `stop` after tool calls is corrected."""
    finished = lenient.text(choice.get("finish_reason"))
    native = lenient.text(choice.get("native_finish_reason"))
    reason = native if native and _FINISH.get(native) == finished else _STOP.get(finished, "end_turn")
    sequence = lenient.text(choice.get("stop_reason"))
    if sequence and finished == "stop" and reason == "end_turn":
        reason = "stop_sequence"
    if refusal:
        reason = "refusal"
    elif calls and reason == "end_turn":
        reason = "tool_use"
    told: Json = {"stop_reason": reason, "stop_sequence": sequence if reason == "stop_sequence" else None}
    if details := lenient.obj(choice.get("stop_details")):
        told["stop_details"] = details
    elif refusal:
        told["stop_details"] = {"type": "refusal", "category": None, "explanation": refusal}
    return told


def chat_usage(raw: Any) -> Json | None:
    """Anthropic's counts as chat's; None when the provider gave none."""
    if not isinstance(raw, dict) or not raw:
        return None
    read, written = (
        lenient.count(raw.get("cache_read_input_tokens")),
        lenient.count(raw.get("cache_creation_input_tokens")),
    )
    prompt, output = lenient.count(raw.get("input_tokens")) + read + written, lenient.count(raw.get("output_tokens"))
    told: Json = {
        "prompt_tokens": prompt,
        "completion_tokens": output,
        "total_tokens": prompt + output,
        "prompt_tokens_details": {"cached_tokens": read, **({"cache_write_tokens": written} if written else {})},
    }
    if thought := lenient.count(lenient.obj(raw.get("output_tokens_details")).get("thinking_tokens")):
        told["completion_tokens_details"] = {"reasoning_tokens": thought}
    return {**told, **{name: value for name, value in raw.items() if name not in _COUNTED and value is not None}}


def message_usage(raw: Any) -> Json:
    """Chat's counts as Anthropic's; all 0 when the provider gave none."""
    usage = lenient.obj(raw)
    details = lenient.obj(usage.get("prompt_tokens_details"))
    read = lenient.count(details.get("cached_tokens"))
    written = lenient.count(usage.get("cache_creation_input_tokens")) or lenient.count(
        details.get("cache_write_tokens")
    )
    told: Json = {
        "input_tokens": max(lenient.count(usage.get("prompt_tokens")) - read - written, 0),
        "cache_creation_input_tokens": written,
        "cache_read_input_tokens": read,
        "output_tokens": lenient.count(usage.get("completion_tokens")),
    }
    reasoning = lenient.count(lenient.obj(usage.get("completion_tokens_details")).get("reasoning_tokens"))
    if reasoning:
        told["output_tokens_details"] = {"thinking_tokens": reasoning}
    for name in ("cache_creation", "server_tool_use", "service_tier", "inference_geo", "speed"):
        if usage.get(name) is not None:
            told[name] = usage[name]
    return told
