"""Messages in the shape of OpenTelemetry's GenAI conventions: a role and parts.

In: a text, chat messages as most clients write them, or messages in parts already. Out: [{"role", "parts": [{"type", …}]}].
Pictures and sounds in the message itself are named, not recorded.
"""

from collections.abc import Mapping, Sequence
from typing import Any

Json = dict[str, Any]


def in_parts(value: Any, role: str) -> list[Json]:
    """`value` as messages; a bare text is one of `role`."""
    if isinstance(value, Mapping):
        return [_message(value, role)]
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        if value and all(_is_message(item) for item in value):
            return [_message(item, role) for item in value]
        return [{"role": role, "parts": [_text(item) for item in value]}]
    return [{"role": role, "parts": [_text(value)]}]


def completion(value: Any) -> Json | None:
    """A chat completion as a dict, when `value` is one (a client's object or JSON)."""
    dump = getattr(value, "model_dump", None)
    found = dump() if callable(dump) and hasattr(value, "choices") else value
    if isinstance(found, Mapping) and isinstance(found.get("choices"), list):
        return dict(found)
    return None


def answers(completed: Mapping[str, Any]) -> list[Json]:
    """The answers in a chat completion, with why each ended."""
    told = []
    for choice in completed["choices"]:
        if isinstance(choice, Mapping) and isinstance(choice.get("message"), Mapping):
            told.append(
                {**_message(choice["message"], "assistant"), "finish_reason": choice.get("finish_reason") or ""}
            )
    return told


def _is_message(value: Any) -> bool:
    return isinstance(value, Mapping) and ("role" in value or "parts" in value)


def _message(message: Mapping[str, Any], role: str) -> Json:
    role = str(message.get("role") or role)
    if isinstance(message.get("parts"), list):
        return dict(message)
    if role == "tool":
        parts = [{"type": "tool_call_response", "id": message.get("tool_call_id"), "response": message.get("content")}]
        return {"role": role, "parts": parts}
    content = message.get("content")
    parts = [_part(part) for part in content] if isinstance(content, list | tuple) else []
    if content is not None and not isinstance(content, list | tuple):
        parts.append(_text(content))
    calls = message.get("tool_calls")
    parts += [_call(call) for call in calls if isinstance(call, Mapping)] if isinstance(calls, list | tuple) else []
    named = {"name": message["name"]} if message.get("name") else {}
    return {"role": role, "parts": parts, **named}


def _text(value: Any) -> Json:
    return {"type": "text", "content": value}


def _part(part: Any) -> Json:
    if not isinstance(part, Mapping):
        return _text(part)
    kind = str(part.get("type") or "")
    if "text" in part:
        return _text(part["text"])
    if kind == "image_url":
        link = part.get("image_url")
        address = str(link.get("url") if isinstance(link, Mapping) else link)
        if address.startswith("data:"):
            return {"type": "blob", "modality": "image", "content": f"<{len(address)} characters>"}
        return {"type": "uri", "modality": "image", "uri": address}
    if kind in {"input_audio", "file", "image"}:
        return {"type": kind, "content": "(left out)"}
    return dict(part)


def _call(call: Mapping[str, Any]) -> Json:
    function = call.get("function")
    asked = function if isinstance(function, Mapping) else call
    return {"type": "tool_call", "id": call.get("id"), "name": asked.get("name"), "arguments": asked.get("arguments")}
