"""Messages of any library in the one normal form: OpenAI's chat messages, content a text or a list of parts.

In: what an attribute held, text with JSON in it or values. Out: noria.core.records.Message. Shapes are told apart by what is in
them, not by who sent them, so that a library nobody has met still reads: GenAI parts, OpenAI chat and Responses, Anthropic
blocks, Gemini contents, Vercel AI parts, LangChain's serialised messages.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import orjson

from noria.core.records import Message

_DEEP: Final = 60
_ROLES: Final = {"human": "user", "ai": "assistant", "model": "assistant", "bot": "assistant", "function": "tool"}
_HOLDERS: Final = ("messages", "input_messages", "contents", "choices", "candidates", "generations", "message")
"""Names under which requests and answers hold their messages."""
_SAME: Final = ("name", "tool_call_id", "refusal")


def decoded(text: str) -> Any:
    """The value that JSON text holds; the text itself when it is none, or is nested too deeply to be written again."""
    first = text[:1]
    if first not in {"{", "[", '"'} and text[:1].isspace() is False:
        return text
    try:
        value = orjson.loads(text)
    except ValueError:
        return text
    if text.count("[") + text.count("{") > _DEEP and _depth(value) > _DEEP:
        return text
    return value


def plain(value: Any) -> Any:
    """JSON text without escapes for letters (\\ud55c becomes what it means), as search must find it; else unchanged."""
    if isinstance(value, str) and "\\u" in value:
        found = decoded(value)
        if isinstance(found, dict | list):
            return written(_plain_inside(found))
        if isinstance(found, str):
            return found
    return value


def written(value: Any) -> str:
    """A value as text: strings as they are, the rest as JSON with its letters whole."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def messages(value: Any, role: str) -> list[Message]:
    """All messages in `value`; what has no role of its own gets `role`."""
    if isinstance(value, str):
        value = decoded(value)
    return list(_messages(value, role))


def _messages(value: Any, role: str) -> Iterator[Message]:
    if value is None or value in ("", [], {}):
        return
    if isinstance(value, list):
        yield from _listed(value, role)
    elif isinstance(value, dict):
        yield from _from_object(value, role)
    else:
        yield {"role": role, "content": written(value)}


def _listed(value: list[Any], role: str) -> Iterator[Message]:
    if any(isinstance(item, dict) and _is_part(item) for item in value):
        yield from _message({"role": role, "content": value}, role)
        return
    for item in value:
        yield from _messages(decoded(item) if isinstance(item, str) else item, role)


def _is_part(item: Mapping[str, Any]) -> bool:
    return "role" not in item and ("text" in item or str(item.get("type")) in _PARTS or "functionCall" in item)


def _from_object(value: dict[str, Any], role: str) -> Iterator[Message]:
    if isinstance(value.get("kwargs") or value.get("data"), dict) and isinstance(value.get("type"), str):
        yield from _langchain(value, role)
    elif isinstance(value.get("content"), dict) and value["content"].keys() & {"role", "parts"}:
        yield from _from_object(value["content"], "assistant")  # Gemini's candidates
    elif "role" in value or "parts" in value or ("content" in value and not value.keys() & set(_HOLDERS)):
        yield from _message(value, role)
    elif "message" in value and not value.keys() & {"messages"}:
        finish = value.get("finish_reason")
        for message in _messages(value["message"], "assistant"):
            yield message if not finish else {**message, "finish_reason": str(finish)}
    elif held := next((name for name in _HOLDERS if value.get(name)), ""):
        for name in ("system", "instructions", "system_instruction", "systemInstruction"):
            yield from _messages(value.get(name), "system")
        yield from _messages(value[held], role)
    elif str(value.get("type")) in _PARTS:
        yield from _message({"role": role, "content": [value]}, role)
    elif isinstance(value.get("prompt"), str | list | dict) or isinstance(value.get("output"), list):
        yield from _messages(value.get("system"), "system")
        yield from _messages(value.get("prompt") or value.get("output"), role)
    else:
        yield {"role": role, "content": written(_plain_inside(value))}


def _langchain(value: dict[str, Any], role: str) -> Iterator[Message]:
    inner = value.get("kwargs") or value["data"]
    kind = str(inner.get("type") or value["type"])
    if "content" not in inner:
        yield {"role": role, "content": written(value)}
        return
    calls = [
        {"id": call.get("id"), "name": call.get("name"), "arguments": call.get("args")}
        for call in _objects(inner.get("tool_calls"))
    ]
    said = {"role": kind, "content": inner["content"], "tool_calls": calls, "name": inner.get("name")}
    yield from _message({**said, "tool_call_id": inner.get("tool_call_id")}, role)


def _message(value: Mapping[str, Any], role: str) -> Iterator[Message]:
    """One message; the results of several tools in one become one message each, as chat has them."""
    said = str(value.get("role") or role).lower()
    found: Message = {"role": _ROLES.get(said, said)}
    content = value.get("content") if value.get("content") is not None else value.get("parts")
    parts: list[dict[str, Any]] = []
    calls = [_call(call) for call in _objects(value.get("tool_calls"))]
    for part in content if isinstance(content, list) else [content]:
        for kind, made in _part(part):
            if kind == "part":
                parts.append(made)
            elif kind == "call":
                calls.append(made)
            else:
                yield made
    found |= {name: str(value[name]) for name in _SAME if value.get(name)}
    if value.get("id") and found["role"] == "tool":
        found.setdefault("tool_call_id", str(value["id"]))
    if calls:
        found["tool_calls"] = calls
    if value.get("finish_reason"):
        found["finish_reason"] = str(value["finish_reason"])
    only_text = all(part["type"] == "text" for part in parts)
    if parts or not calls:
        found["content"] = "\n".join(part["text"] for part in parts) if only_text else parts
    if parts or calls or not isinstance(content, list):
        yield found


def _part(part: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """("part", content part), ("call", tool call) or ("message", a tool's result as a message)."""
    if part is None or part == "":
        return
    if not isinstance(part, dict):
        yield "part", {"type": "text", "text": part if isinstance(part, str) else written(part)}
        return
    kind = str(part.get("type") or part.get("kind") or _gemini_kind(part))
    read = _PARTS.get(kind)
    if read is not None:
        yield read(part)
    elif isinstance(part.get("text"), str):
        yield "part", {"type": "text", "text": part["text"]}
    elif isinstance(part.get("content"), str):
        yield "part", {"type": "text", "text": part["content"]}
    else:
        yield "part", {**part, "type": kind or "json"}


def _gemini_kind(part: Mapping[str, Any]) -> str:
    names = (
        "text",
        "functionCall",
        "function_call",
        "functionResponse",
        "function_response",
        "inlineData",
        "inline_data",
    )
    return next((name for name in names if name in part), "")


def _call(call: Mapping[str, Any]) -> dict[str, Any]:
    function = call["function"] if isinstance(call.get("function"), dict) else call
    given: Any = next((function[name] for name in ("arguments", "args", "input") if function.get(name) is not None), {})
    name = function.get("name") or function.get("toolName") or function.get("tool_name") or ""
    number = call.get("id") or call.get("toolCallId") or call.get("call_id") or call.get("tool_call_id") or ""
    arguments = plain(given) if isinstance(given, str) else written(given)
    return {"id": str(number), "type": "function", "function": {"name": str(name), "arguments": arguments}}


def _text(part: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    said = next((part[name] for name in ("text", "content", "value") if part.get(name) is not None), "")
    return "part", {"type": "text", "text": said if isinstance(said, str) else written(said)}


def _tool_call(part: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    for name in ("functionCall", "function_call"):
        if isinstance(part.get(name), dict):
            return "call", _call(part[name])
    return "call", _call(part)


def _tool_result(part: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    inner = part.get("functionResponse") or part.get("function_response")
    part = inner if isinstance(inner, dict) else part
    names = ("response", "result", "output", "content")
    result = next((part[name] for name in names if part.get(name) is not None), "")
    told = messages(result, "tool") if isinstance(result, list) else []
    content = (
        told[0].get("content", "") if len(told) == 1 else plain(result) if isinstance(result, str) else written(result)
    )
    ids = ("id", "tool_call_id", "toolCallId", "tool_use_id", "call_id")
    found = {"role": "tool", "content": content}
    if number := next((part[name] for name in ids if part.get(name)), ""):
        found["tool_call_id"] = str(number)
    if name := part.get("name") or part.get("toolName"):
        found["name"] = str(name)
    return "message", found


def _image(part: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    held = part.get("image_url") or part.get("image") or part.get("url") or part.get("uri")
    while isinstance(held, dict):
        held = held.get("url") or held.get("image")
    return "part", {"type": "image_url", "image_url": {"url": str(held or "")}}


def _blob(part: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    inner = part.get("inlineData") or part.get("inline_data") or part.get("source") or part
    inner = inner if isinstance(inner, dict) else part
    kind = str(inner.get("mime_type") or inner.get("mimeType") or inner.get("media_type") or "")
    held = inner.get("content") or inner.get("data") or inner.get("uri") or inner.get("url") or ""
    modality = str(part.get("modality") or kind.partition("/")[0] or part.get("type") or "file")
    url = str(held) if "://" in str(held)[:20] or not kind else f"data:{kind};base64,{held}"
    if modality == "image":
        return "part", {"type": "image_url", "image_url": {"url": url}}
    return "part", {"type": modality, "file": {"url": url, "mime_type": kind}}


def _reasoning(part: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    said = next((part[name] for name in ("content", "text", "thinking", "reasoning") if part.get(name)), "")
    return "part", {"type": "reasoning", "reasoning": written(said)}


_PARTS: Final[Mapping[str, Callable[[Mapping[str, Any]], tuple[str, dict[str, Any]]]]] = {
    **dict.fromkeys(("text", "input_text", "output_text", "system-prompt", "user-prompt"), _text),
    **dict.fromkeys(("tool_call", "tool_use", "tool-call", "function_call", "functionCall"), _tool_call),
    **dict.fromkeys(("tool_call_response", "tool_result", "tool-result", "tool-return"), _tool_result),
    **dict.fromkeys(("function_call_output", "functionResponse", "function_response"), _tool_result),
    **dict.fromkeys(("image_url", "input_image", "image"), _image),
    **dict.fromkeys(("blob", "uri", "file", "inlineData", "inline_data", "media"), _blob),
    **dict.fromkeys(("reasoning", "thinking"), _reasoning),
}


def _objects(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _plain_inside(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain_inside(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_plain_inside(item) for item in value]
    return plain(value)


def _depth(value: Any) -> int:
    deepest, waiting = 0, [(value, 1)]
    while waiting:
        item, depth = waiting.pop()
        deepest = max(deepest, depth)
        inner = item.values() if isinstance(item, dict) else item if isinstance(item, list) else ()
        waiting.extend((part, depth + 1) for part in inner)
    return deepest
