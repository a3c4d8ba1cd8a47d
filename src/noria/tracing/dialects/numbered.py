"""Messages that a library spells out attribute by attribute: `prefix.0.role`, `prefix.0.content`, `prefix.0.tool_calls.0.name`.

In: attributes below a prefix. Out: messages. `tree` builds the nested value that the names describe; what a dialect wraps around
each part (OpenInference's `message.`, `tool_call.`, `message_content.`) is taken off before.
"""

from collections.abc import Mapping
from typing import Any, Final

from noria.core.records import Message
from noria.tracing.dialects.messages import decoded, messages

_MOST: Final = 5_000
"""Numbers that may follow one another in one name; a larger one is a name, not a place in a list."""


def tree(attributes: Mapping[str, Any]) -> Any:
    """{"0.role": "user", "0.calls.0.name": "f"} as [{"role": "user", "calls": [{"name": "f"}]}]."""
    root: dict[str, Any] = {}
    for name, value in attributes.items():
        at, steps = root, name.split(".")[:20]
        for step in steps[:-1]:
            below = at.setdefault(step, {})
            if not isinstance(below, dict):
                below = at[step] = {}
            at = below
        at[steps[-1]] = value
    return _lists(root)


def traceloop(attributes: Mapping[str, Any]) -> list[Message]:
    """gen_ai.prompt.N and gen_ai.completion.N of OpenLLMetry before the conventions had messages."""
    found = []
    for item in _items(tree(attributes)):
        content = item.get("content")
        parts = decoded(content) if isinstance(content, str) else content
        content = parts if isinstance(parts, list) else None if content is None else str(content)
        found.extend(messages({"role": "user", **item, "content": content}, "user"))
    return found


def openinference(attributes: Mapping[str, Any]) -> list[Message]:
    """llm.input_messages.N.message.…"""
    found = []
    for item in _items(tree(attributes)):
        message = item.get("message", item)
        if not isinstance(message, dict):
            continue
        calls = [call.get("tool_call", call) for call in _items(message.get("tool_calls"))]
        contents = [_content(part) for part in _items(message.get("contents"))]
        told = {name: value for name, value in message.items() if name not in {"contents", "tool_calls"}}
        if contents and not message.get("content"):
            # a call stands both among the contents and among the calls
            told["content"] = [part for part in contents if not calls or part.get("type") != "tool_use"]
        found.extend(messages({"role": "user", **told, "tool_calls": calls}, "user"))
    return found


def documents(attributes: Mapping[str, Any]) -> list[Message]:
    """retrieval.documents.N.document.content: each document is what the tool "retrieval" brought, with its id, score and metadata."""
    found = []
    for item in _items(tree(attributes)):
        held = item.get("document", item)
        if isinstance(held, dict):
            told = {name: decoded(value) if isinstance(value, str) else value for name, value in held.items()}
            about = {name: told[name] for name in ("id", "score", "metadata") if told.get(name) not in (None, "")}
            message = {"role": "tool", "content": str(held.get("content") or "")}
            found.append({**message, "document": about} if about else message)
    return found


def texts(attributes: Mapping[str, Any]) -> list[Message]:
    """embedding.embeddings.N.embedding.text; the vectors stay out."""
    held = [item.get("embedding", item) for item in _items(tree(attributes))]
    return [
        {"role": "user", "content": str(item["text"])} for item in held if isinstance(item, dict) and "text" in item
    ]


def _content(part: dict[str, Any]) -> dict[str, Any]:
    inner = part.get("message_content", part)
    inner = dict(inner) if isinstance(inner, dict) else {"type": "text", "text": str(inner)}
    if isinstance(part.get("tool_call"), dict):
        inner |= part["tool_call"]
    return inner


def _items(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _lists(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    if value and all(name.isascii() and name.isdigit() and int(name) < _MOST for name in value):
        return [_lists(value[name]) for name in sorted(value, key=int)]
    return {name: _lists(item) for name, item in value.items()}
