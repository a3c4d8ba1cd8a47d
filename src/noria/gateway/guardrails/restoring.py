"""Puts a caller's own data back in the place of placeholders, in whole answers and in streams.

In: a caller's dialect and {"[EMAIL_1]": "mina@example.com"}. Out: a dialect that tells chat answers and chunks as the other does, with
the data in them. The decision to know: it stands outermost, after span and cache have seen the placeholders, so that nothing but the
answer to this caller holds the data. A placeholder may be cut by the border of two chunks: at most its own length is held back.
"""

import json
import re
from typing import Any, Final

from noria.core.errors import NoriaError
from noria.gateway.dialects.base import CallerDialect, Json, Writer
from noria.gateway.guardrails.texts import mapped

_TEXTS: Final = ("content", "reasoning_content", "reasoning", "refusal")
_Place = tuple[int, str, int]
"""Choice, field, and which tool call (0 for other fields)."""


class Originals:
    """What stands for each placeholder."""

    def __init__(self, originals: dict[str, str]) -> None:
        self._plain = originals
        # Arguments of tools are JSON within a text, so that what goes into them is escaped once more.
        self._escaped = {name: json.dumps(text, ensure_ascii=False)[1:-1] for name, text in originals.items()}
        self._any = re.compile("|".join(map(re.escape, originals)) or "(?!)")
        self._longest = max(map(len, originals), default=1)

    def put_back(self, text: str, *, escaped: bool = False) -> str:
        if "[" not in text:
            return text
        known = self._escaped if escaped else self._plain
        return self._any.sub(lambda match: known[match[0]], text)

    def open_end(self, text: str) -> int:
        """Where an unfinished placeholder begins at the end of the text; its length when there is none."""
        at = text.rfind("[", max(0, len(text) - self._longest + 1))
        return at if at >= 0 and any(name.startswith(text[at:]) for name in self._plain) else len(text)

    def in_message(self, message: Any) -> Any:
        """An answer's message."""
        if not isinstance(message, dict):
            return message
        told = mapped({name: value for name, value in message.items() if name != "tool_calls"}, self.put_back)
        if "tool_calls" in message:
            told = {**told, "tool_calls": mapped(message["tool_calls"], lambda text: self.put_back(text, escaped=True))}
        return told


class Restoring:
    """A caller's dialect, told with the caller's own data."""

    def __init__(self, inner: CallerDialect, originals: dict[str, str]) -> None:
        self._inner = inner
        self._originals = Originals(originals)
        self.name = f"{inner.name} restored"
        """No provider speaks it, so that nothing is passed on unread."""
        self.span_name = inner.span_name
        self.usage_on_request = inner.usage_on_request
        self.closing = inner.closing
        self.request_id_header = inner.request_id_header

    def check(self, body: Json) -> None:
        self._inner.check(body)

    def to_chat(self, body: Json) -> Json:
        return self._inner.to_chat(body)

    def answer(self, chat: Json, body: Json) -> Json:
        told = [
            {**choice, "message": self._originals.in_message(choice.get("message"))}
            if isinstance(choice, dict)
            else choice
            for choice in chat.get("choices") or ()
        ]
        return self._inner.answer({**chat, "choices": told}, body)

    def writer(self, body: Json, *, include_usage: bool) -> "RestoringWriter":
        return RestoringWriter(self._inner.writer(body, include_usage=include_usage), self._originals)

    def error(self, error: NoriaError, request_id: str = "") -> bytes:
        return self._inner.error(error, request_id)

    def error_event(self, error: NoriaError, request_id: str = "") -> bytes:
        return self._inner.error_event(error, request_id)


class RestoringWriter:
    """Chat chunks with the data put back, for the writer of the caller's dialect."""

    def __init__(self, inner: Writer, originals: Originals) -> None:
        self.inner = inner
        self._originals = originals
        self._held: dict[_Place, str] = {}
        self._like: Json = {}
        """A chunk without choices, for what is told when nothing comes any more."""

    def write(self, chunk: Json) -> bytes:
        choices = chunk.get("choices")
        if not isinstance(choices, list) or not choices:
            return self._flushed() + self.inner.write(chunk)
        self._like = {name: value for name, value in chunk.items() if name not in {"choices", "usage"}}
        told, before = [], b""
        for choice in choices:
            if not isinstance(choice, dict) or not isinstance(choice.get("delta"), dict):
                told.append(choice)
                continue
            index = _number(choice)
            delta, places = self._delta(index, choice["delta"])
            ends = choice.get("finish_reason")
            before += self._flushed(index, () if ends else places)
            told.append({**choice, "delta": delta})
        return before + self.inner.write({**chunk, "choices": told})

    def end(self) -> bytes:
        return self._flushed() + self.inner.end()

    def fail(self, error: NoriaError) -> bytes:
        return self._flushed() + self.inner.fail(error)

    def _delta(self, index: int, delta: Json) -> tuple[Json, list[_Place]]:
        """The delta with the data in it, and the places it speaks of."""
        told, places = dict(delta), []
        for name in _TEXTS:
            if isinstance(delta.get(name), str) and delta[name]:
                places.append((index, name, 0))
                told[name] = self._told(places[-1], delta[name])
        if isinstance(delta.get("tool_calls"), list):
            told["tool_calls"] = [self._call(index, call, places) for call in delta["tool_calls"]]
        return told, places

    def _call(self, index: int, call: Any, places: list[_Place]) -> Any:
        function = call.get("function") if isinstance(call, dict) else None
        if not isinstance(function, dict) or not isinstance(function.get("arguments"), str):
            return call
        places.append((index, "arguments", _number(call)))
        return {**call, "function": {**function, "arguments": self._told(places[-1], function["arguments"])}}

    def _told(self, place: _Place, text: str) -> str:
        text = self._held.pop(place, "") + text
        cut = self._originals.open_end(text)
        if cut < len(text):
            self._held[place] = text[cut:]
        return self._originals.put_back(text[:cut], escaped=place[1] == "arguments")

    def _flushed(self, index: int | None = None, but: Any = ()) -> bytes:
        """What is held, of one choice or of all, told as it is: it turned out to be no placeholder."""
        due = [place for place in self._held if (index is None or place[0] == index) and place not in but]
        told = b""
        for place in due:
            text, (choice, name, number) = self._held.pop(place), place
            delta: Json = {name: text}
            if name == "arguments":
                delta = {"tool_calls": [{"index": number, "function": {"arguments": text}}]}
            only = {"index": choice, "delta": delta, "finish_reason": None}
            told += self.inner.write({**self._like, "choices": [only]})
        return told


def _number(value: Json) -> int:
    """The index of a choice or a call."""
    index = value.get("index")
    return index if isinstance(index, int) else 0
