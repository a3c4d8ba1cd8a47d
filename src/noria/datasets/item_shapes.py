"""An item of Langfuse's datasets as an example, and back without loss. Pure functions.

Their input and expected output are any JSON; an example is a conversation whose last message is the target. How each side was
written is kept in `meta`, and the words only in the messages, so that what masking or cleaning does to them holds for whoever reads
the item. An item measures unless it says otherwise: its split is `test`, or `unlabelled` when it expects nothing.
"""

import re
from dataclasses import dataclass
from typing import Any, Final

import orjson

from noria.core.errors import BadInput
from noria.core.records import Message
from noria.datasets.records import Example, message_text

SHAPE: Final = "noria.item"
"""The key of `meta` that says how the sides were written."""
_ROLES: Final = {"system", "developer", "user", "assistant", "tool", "function"}
_SPLIT: Final = re.compile(r"[^\W_][\w.-]{0,39}")
_MOST_BYTES: Final = 4_000_000


@dataclass(frozen=True, slots=True)
class Item:
    """One item in their words."""

    id: str
    input: Any = None
    expected_output: Any = None
    metadata: Any = None
    trace_id: str = ""
    observation_id: str = ""


def to_example(item: Item) -> Example:
    """Raises BadInput for values that cannot be kept."""
    how, asked = _asked(item.input)
    wanted_how, wanted = _wanted(item.expected_output)
    shape = {"input": how, "expected": wanted_how, "metadata": "object"}
    meta: dict[str, Any] = {}
    if isinstance(item.metadata, dict) and SHAPE not in item.metadata:
        meta = dict(item.metadata)
    elif item.metadata is not None:
        meta, shape["metadata"] = {"metadata": item.metadata}, "value"
    else:
        shape["metadata"] = "none"
    said = str(meta.get("split", ""))
    split = said if _SPLIT.fullmatch(said) else "unlabelled" if item.expected_output is None else "test"
    source: dict[str, Any] = {"via": "langfuse"}
    if item.trace_id:
        source["trace_id"] = item.trace_id
    if item.observation_id:
        source["span_id"] = item.observation_id
    messages = [*asked, wanted]
    try:
        size = len(orjson.dumps([messages, meta]))
    except (TypeError, RecursionError) as error:
        raise BadInput("The item holds something that is no JSON.") from error
    if size > _MOST_BYTES:
        raise BadInput(f"An item has at most {_MOST_BYTES:,} bytes.", hint="Send large files as media.")
    return Example(item.id, split, messages, {**meta, SHAPE: shape}, source)


def to_item(example: Example) -> Item:
    """The item of any example, also of one that was imported: then the messages are its input and the target what it expects."""
    meta = dict(example.meta)
    shape = meta.pop(SHAPE, None)
    if not isinstance(shape, dict):
        shape = {"input": "messages", "expected": "text", "metadata": "object"}
    metadata: Any = meta
    if shape.get("metadata") == "value":
        metadata = meta.get("metadata")
    elif shape.get("metadata") == "none" and not meta:
        metadata = None
    return Item(
        id=example.row_id,
        input=_input(example.input, str(shape.get("input"))),
        expected_output=_expected(example.messages[-1], str(shape.get("expected"))),
        metadata=metadata,
        trace_id=str(example.source.get("trace_id", "")),
        observation_id=str(example.source.get("span_id", "")),
    )


def _asked(value: Any) -> tuple[str, list[Message]]:
    if isinstance(value, str):
        return "text", [{"role": "user", "content": value}]
    if _is_chat(value):
        return "messages", value
    if isinstance(value, dict) and value.keys() == {"messages"} and _is_chat(value["messages"]):
        return "object", value["messages"]
    return "json", [{"role": "user", "content": _json(value)}]


def _wanted(value: Any) -> tuple[str, Message]:
    if value is None:
        return "none", {"role": "assistant", "content": ""}
    if isinstance(value, str):
        return "text", {"role": "assistant", "content": value}
    if _is_chat([value]) and value["role"] == "assistant":
        return "message", value
    return "json", {"role": "assistant", "content": _json(value)}


def _input(messages: list[Message], how: str) -> Any:
    if how == "messages":
        return messages
    if how == "object":
        return {"messages": messages}
    text = message_text(messages[0]) if messages else ""
    return _read(text) if how == "json" else text


def _expected(message: Message, how: str) -> Any:
    if how == "message":
        return message
    text = message_text(message)
    if how == "none" and not text:
        return None
    return _read(text) if how == "json" else text


def _is_chat(value: Any) -> bool:
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(one, dict) and one.get("role") in _ROLES and _says(one) for one in value)
    )


def _says(message: Message) -> bool:
    return isinstance(message.get("content"), str | list) or bool(message.get("tool_calls"))


def _json(value: Any) -> str:
    try:
        return orjson.dumps(value).decode()
    except (TypeError, RecursionError) as error:
        raise BadInput("The item holds something that is no JSON.") from error


def _read(text: str) -> Any:
    """JSON again, unless somebody has changed the text since."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return text
