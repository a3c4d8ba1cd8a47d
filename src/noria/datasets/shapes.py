"""One foreign record in, one example out, or the reason why not. Pure functions.

Two shapes: OpenAI's chat fine-tuning shape (`messages`, the last one is the target) and columns (a text and its answer), which
become a user and an assistant message. What a shape does not use goes to `meta`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import orjson

from noria.core.errors import BadInput
from noria.core.records import Message

_TEXT = ("text", "question", "sentence", "utterance", "input", "prompt", "document", "message", "query", "review")
_LABEL = ("label", "category", "intent", "class", "answer", "completion", "output", "response", "target")
_ROLES = {"system", "developer", "user", "assistant", "tool", "function"}


@dataclass(frozen=True, slots=True)
class Columns:
    """Which column is what; empty: the shape does not have it. `messages` names the column of a whole conversation."""

    text: str = ""
    label: str = ""
    system: str = ""
    split: str = ""
    messages: str = ""


class Refused(ValueError):
    """This record cannot become an example. `hint` says what would help."""

    def __init__(self, reason: str, hint: str = "") -> None:
        super().__init__(reason)
        self.hint = hint


def parse_mapping(given: Mapping[str, Any]) -> Columns:
    """Raises BadInput for a key that is not a part of an example, or a value that is not a column's name."""
    known = [field.name for field in fields(Columns)]
    for key, value in given.items():
        if key not in known:
            raise BadInput(f"The mapping speaks of {key!r}.", hint=f"It may name columns for: {', '.join(known)}.")
        if not isinstance(value, str):
            raise BadInput(
                f"The mapping of {key!r} is not the name of a column.", hint='For example {"text": "question"}.'
            )
    return Columns(**given)


def complete_mapping(mapping: Columns, columns: Sequence[str]) -> Columns:
    """The mapping with text and label found among the columns where it names none. Raises BadInput."""
    available = f"The columns are: {', '.join(columns[:30]) or 'none'}."
    for field in fields(Columns):
        column = getattr(mapping, field.name)
        if column and column not in columns:
            raise BadInput(f"There is no column {column!r} (the mapping's {field.name}).", hint=available)
    if mapping.messages or (not mapping.text and not mapping.label and "messages" in columns):
        return Columns("", "", mapping.system, mapping.split, mapping.messages or "messages")
    text = mapping.text or _only(columns, _TEXT, taken=mapping.label)
    label = mapping.label or _only(columns, _LABEL, taken=text)
    if not text or not label:
        missing = "text (what the model is given)" if not text else "label (what it must answer)"
        raise BadInput(
            f"It is not clear which column holds the {missing}.",
            hint=f'{available} Say so in the mapping, for example {{"text": "question", "label": "answer"}}.',
        )
    return Columns(text, label, mapping.system, mapping.split)


def from_columns(record: Mapping[str, Any], mapping: Columns) -> tuple[list[Message], dict[str, Any]]:
    """(messages, meta) of a record with a text and a label. Raises Refused."""
    text, label = _text(record, mapping.text), _text(record, mapping.label)
    messages: list[Message] = [{"role": "user", "content": text}, {"role": "assistant", "content": label}]
    if mapping.system and record.get(mapping.system):
        messages.insert(0, {"role": "system", "content": str(record[mapping.system])})
    used = {mapping.text, mapping.label, mapping.system, mapping.split}
    return messages, {key: value for key, value in record.items() if key not in used and value not in (None, "")}


def from_chat(record: Mapping[str, Any], mapping: Columns) -> tuple[list[Message], dict[str, Any]]:
    """(messages, meta) of a record in the chat fine-tuning shape. Raises Refused."""
    key = mapping.messages or "messages"
    messages = record.get(key)
    if isinstance(messages, str):
        try:
            messages = orjson.loads(messages)
        except orjson.JSONDecodeError as error:
            raise Refused(f"{key!r} is text, but not JSON: {error}") from error
    if messages is None:
        there = ", ".join(list(record)[:8]) or "nothing"
        raise Refused(
            f"{key!r} is missing; the line has: {there}", 'Each line needs {"messages": [{"role", "content"}, …]}.'
        )
    if not isinstance(messages, list) or not messages:
        raise Refused(f"{key!r} is not a list of messages")
    checked = [_message(message, number) for number, message in enumerate(messages, 1)]
    if checked[-1]["role"] != "assistant":
        raise Refused(
            f"the last message is from {checked[-1]['role']!r}", "It is the target and must be from assistant."
        )
    if len(checked) == 1:
        raise Refused("there is only one message", "At least one message must stand before the target.")
    meta = {name: value for name, value in record.items() if name not in (key, mapping.split) and value is not None}
    return checked, meta


def _message(message: Any, number: int) -> Message:
    if not isinstance(message, dict):
        raise Refused(f"message {number} is not an object")
    role, content = message.get("role"), message.get("content")
    if role not in _ROLES:
        raise Refused(f"message {number} has the role {str(role)[:40]!r}", f"Known roles: {', '.join(sorted(_ROLES))}.")
    if isinstance(content, str):
        if not content.strip() and not message.get("tool_calls"):
            raise Refused(f"message {number} ({role}) is empty")
    elif isinstance(content, list):
        if not content or not all(isinstance(part, dict) and "type" in part for part in content):
            raise Refused(f"message {number} has parts without a type")
    elif content is not None or not (message.get("tool_calls") or message.get("function_call")):
        raise Refused(f"message {number} ({role}) has no content")
    return {name: value for name, value in message.items() if value is not None}


def _text(record: Mapping[str, Any], column: str) -> str:
    value = record.get(column)
    if isinstance(value, (dict, list)):
        return orjson.dumps(value).decode()
    text = "" if value is None else str(value)
    if not text.strip():
        raise Refused(f"the column {column!r} is empty")
    return text


def _only(columns: Sequence[str], names: Sequence[str], taken: str) -> str:
    """The column whose name is the first of the well-known `names` that is there."""
    by_name = {column.casefold(): column for column in columns if column != taken}
    return next((by_name[name] for name in names if name in by_name), "")
