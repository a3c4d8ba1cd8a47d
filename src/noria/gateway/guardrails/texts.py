"""The texts of a request or an answer: to be read, or to be written anew in their places.

In: an `Ask` or a chat answer. Out: its texts, or a copy with other texts. The decision to know: everything counts as text except what
is known to be none (ids, roles, addresses, base64, schemas), so that a field that a provider added yesterday is checked too.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any, TypeVar

from noria.core.records import Message
from noria.gateway.ask import Ask
from noria.gateway.dialects.base import Json
from noria.gateway.guardrails.base import Unreadable

T = TypeVar("T")
_NO_TEXT = frozenset(
    {
        *("role", "type", "id", "call_id", "tool_call_id", "object", "model", "finish_reason", "status"),
        *("url", "file_id", "format", "media_type", "mime_type", "detail"),
        *("signature", "encrypted_content", "logprobs", "usage"),
        *("tools", "functions", "tool_choice", "response_format"),
    }
)
_MAYBE_BINARY = frozenset({"data", "file_data"})
_MOST = 1_000_000
"""Characters that one check reads: its time is bounded by this, whatever max_body_mb allows."""
_AT_ONCE = 20_000
"""Characters up to which a check is quicker than handing it to a thread."""


def texts(value: Any) -> Iterator[str]:
    """Every text within JSON."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from texts(item)
    elif isinstance(value, dict):
        for name, item in value.items():
            if not _is_none(name, item):
                yield from texts(item)


def mapped(value: Any, change: Callable[[str], str]) -> Any:
    """JSON with every text changed; the very same value where nothing did."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, list):
        items = [mapped(item, change) for item in value]
        return items if any(a is not b for a, b in zip(items, value, strict=True)) else value
    if isinstance(value, dict):
        fields = {name: item if _is_none(name, item) else mapped(item, change) for name, item in value.items()}
        return fields if any(fields[name] is not item for name, item in value.items()) else value
    return value


def asked(ask: Ask, *, roles: Iterable[str] | None = None) -> list[str]:
    """The texts of a request that its caller can fill: messages (of these roles), prompts, variables, unknown fields.

    Raises Unreadable for what cannot be read: token ids, and more text than a check may take.
    """
    if roles is not None:
        wanted = frozenset(roles)
        parts: list[Any] = [message for message in ask.messages if message.get("role") in wanted]
        if not ask.messages:
            parts.append(_prompt(ask))
    else:
        parts = [ask.chat, None if ask.messages else _prompt(ask)]
    return _bounded([*texts(parts), *texts(ask.variables)])


def answered(answer: Json) -> list[str]:
    """The texts of a chat answer: contents, reasoning, tool calls. Raises Unreadable when they are too long."""
    return _bounded(list(texts([choice.get("message") for choice in choices(answer)])))


def choices(answer: Json) -> list[Json]:
    """The choices of a chat answer that are objects."""
    found = answer.get("choices")
    return [choice for choice in found if isinstance(choice, dict)] if isinstance(found, list) else []


def rewritten(ask: Ask, change: Callable[[str], str]) -> Ask:
    """The request with every text changed, in its caller's words and in the hub's; the very same one when nothing did."""
    chat, variables = mapped(ask.chat, change), mapped(ask.variables, change)
    body = chat if ask.body is ask.chat else mapped(ask.body, change)
    whole = body if ask.whole is ask.body else mapped(ask.whole, change)
    if (chat, body, whole, variables) == (ask.chat, ask.body, ask.whole, ask.variables):
        return ask
    original = ask.original or ask
    return replace(ask, chat=chat, body=body, whole=whole, variables=variables, original=original)


def retold(ask: Ask, messages: list[Message]) -> Ask:
    """The request with other messages, which then are what is told to the provider."""
    chat, original = {**ask.chat, "messages": messages}, ask.original or ask
    if ask.caller == "chat":
        return replace(ask, chat=chat, body=chat, whole=chat, original=original)
    if ask.caller == "text" and len(messages) == 1:
        body = {**ask.body, "prompt": messages[0].get("content") or ""}
        return replace(ask, chat=chat, body=body, whole=body, original=original)
    return replace(ask, chat=chat, retold=True, original=original)


def with_texts(answer: Json, change: Callable[[str], str]) -> Json:
    """A chat answer with every text of its messages changed; the very same one when nothing did."""
    messages = [choice.get("message") for choice in choices(answer)]
    changed = mapped(messages, change)
    return answer if changed is messages else with_messages(answer, changed)


def with_messages(answer: Json, messages: list[Any]) -> Json:
    """A chat answer with other messages, one for each of its choices."""
    told = [{**choice, "message": message} for choice, message in zip(choices(answer), messages, strict=True)]
    return {**answer, "choices": told}


def _is_none(name: str, value: Any) -> bool:
    """Whether a field holds no text of anybody's: an id, an address, base64."""
    if name in _MAYBE_BINARY and isinstance(value, str):
        return value.startswith("data:") or not any(letter.isspace() for letter in value[:200])
    return name in _NO_TEXT


async def apart(size: int, work: Callable[[], T]) -> T:
    """`work` over so many characters: at once when that is quick, else beside the event loop."""
    return work() if size <= _AT_ONCE else await asyncio.to_thread(work)


def _prompt(ask: Ask) -> Any:
    """What a request without messages asks with: texts, or token ids, which nobody here can read."""
    given = ask.body.get("prompt", ask.body.get("input"))
    items = given if isinstance(given, list) else [given]
    if any(isinstance(item, int | list) for item in items):
        raise Unreadable("Token ids cannot be read by guardrails.")
    return given


def _bounded(found: list[str]) -> list[str]:
    if sum(map(len, found)) > _MOST:
        raise Unreadable(f"More than {_MOST:,} characters are not checked.")
    return found
