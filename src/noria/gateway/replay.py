"""A whole chat answer told as a stream, and a stream's chunks put together as a whole answer.

In: a chat answer. Out: chat chunks, and of these the events of the caller's dialect. The decision to know: a replay is to the request
path what a provider's stream is, so that a caller who asked for a stream gets one, wherever its answer comes from. Both
directions keep what they do not know: `assembled(chunks_of(answer))` is the answer.
"""

from collections.abc import Iterable, Iterator
from typing import Any, Final, Self

from noria.core.errors import NoriaError
from noria.gateway.ask import Ask
from noria.gateway.dialects.base import Json
from noria.gateway.guard import Guard
from noria.gateway.usage import Output, whole

_SLICE: Final = 120
"""Characters in one chunk."""
_PIECE: Final = 16_384
"""Bytes after which the client is given what is ready, so that a slow one holds the rest back."""
_STREAMED: Final = ("reasoning_content", "reasoning", "content", "refusal")
"""Texts of a message that come in slices, in the order in which models say them."""


class Replay:
    """A stream whose answer is already there; it is its own relay."""

    truncated = False

    def __init__(self, chat: Json, ask: Ask) -> None:
        self._chat = chat
        self._output = whole(chat)
        self.writer = ask.dialect.writer(ask.told, include_usage=ask.include_usage)
        self._chunks = chunks_of(chat)
        self.done = False
        self.chunks = 0
        self.first = self._next()

    @property
    def relay(self) -> Self:
        return self

    async def more(self, guard: Guard) -> bytes | None:
        """What the client may have next, None at the end."""
        return None if self.done else self._next()

    async def close(self) -> None:
        """There is no connection to give back."""

    def last(self) -> bytes:
        """What completes the answer; for the caller once the span is safe."""
        return self.writer.end()

    def fail(self, error: NoriaError, request_id: str) -> bytes:
        """What ends a stream that broke off."""
        return self.writer.fail(error)

    def output(self) -> Output:
        return self._output

    def told(self) -> list[Json]:
        """All chat chunks of the answer."""
        return list(chunks_of(self._chat))

    def _next(self) -> bytes:
        told: list[bytes] = []
        size = 0
        for chunk in self._chunks:
            self.chunks += 1
            told.append(self.writer.write(chunk))
            size += len(told[-1])
            if size >= _PIECE:
                return b"".join(told)
        self.done = True
        return b"".join(told)


def chunks_of(chat: Json) -> Iterator[Json]:
    """The chat chunks in which a provider could have said this answer, its usage last."""
    like = {name: value for name, value in chat.items() if name not in {"choices", "usage", "object"}}
    like["object"] = "chat.completion.chunk"
    choices = [choice for choice in chat.get("choices") or () if isinstance(choice, dict)]
    for number, choice in enumerate(choices):
        index = choice.get("index", number)
        for part in _parts(choice):
            yield {**like, "choices": [{"index": index, "finish_reason": None, **part}]}
        rest = {name: value for name, value in choice.items() if name not in {"index", "message", "logprobs"}}
        yield {**like, "choices": [{"index": index, "delta": {}, **rest}]}
    if isinstance(chat.get("usage"), dict):
        yield {**like, "choices": [], "usage": chat["usage"]}


def _parts(choice: Json) -> Iterator[Json]:
    """The deltas of one choice's message."""
    given = choice.get("message")
    message: Json = given if isinstance(given, dict) else {}
    rest = {name: value for name, value in message.items() if name not in {*_STREAMED, "tool_calls", "role"}}
    rest |= {name: message[name] for name in _STREAMED if name in message and not isinstance(message[name], str)}
    yield {"delta": {"role": message.get("role", "assistant"), **rest}}
    logprobs = choice.get("logprobs")
    for name in _STREAMED:
        text = message.get(name)
        if not isinstance(text, str):
            continue
        if name == "content" and isinstance(logprobs, dict):
            yield from _with_logprobs(text, logprobs)
        elif text or name == "content":
            yield from ({"delta": {name: part}} for part in _slices(text))
    for number, call in enumerate(message.get("tool_calls") or ()):
        if isinstance(call, dict):
            yield from _call_parts(number, call)


def _with_logprobs(text: str, logprobs: Json) -> Iterator[Json]:
    """A chunk for each token when its log probabilities name them all; else one chunk."""
    tokens = logprobs.get("content")
    said = [token.get("token") for token in tokens if isinstance(token, dict)] if isinstance(tokens, list) else []
    if not isinstance(tokens, list) or "".join(word for word in said if isinstance(word, str)) != text:
        yield {"delta": {"content": text}, "logprobs": logprobs}
        return
    rest = {name: value for name, value in logprobs.items() if name != "content"}
    for token in tokens:
        yield {"delta": {"content": token["token"]}, "logprobs": {**rest, "content": [token]}}
    if not tokens:
        yield {"delta": {"content": text}, "logprobs": logprobs}


def _call_parts(number: int, call: Json) -> Iterator[Json]:
    given = call.get("function")
    function: Json = given if isinstance(given, dict) else {}
    arguments = function.get("arguments")
    head = {**call, "index": number}
    if isinstance(arguments, str):
        head["function"] = {**function, "arguments": ""}
    yield {"delta": {"tool_calls": [head]}}
    if isinstance(arguments, str) and arguments:
        for part in _slices(arguments):
            yield {"delta": {"tool_calls": [{"index": number, "function": {"arguments": part}}]}}


def _slices(text: str) -> Iterator[str]:
    return (text[at : at + _SLICE] for at in range(0, len(text) or 1, _SLICE))


def assembled(chunks: Iterable[Json]) -> Json:
    """The chat answer that a stream's chunks amount to."""
    chat: Json = {}
    choices: dict[int, Json] = {}
    for chunk in chunks:
        for name, value in chunk.items():
            if name == "usage":
                chat["usage"] = value if isinstance(value, dict) else chat.get("usage")
            elif name not in {"choices", "object"}:
                chat.setdefault(name, value)
        for choice in chunk.get("choices") or ():
            if isinstance(choice, dict):
                index = choice.get("index")
                _add_choice(choices.setdefault(index if isinstance(index, int) else 0, {}), choice)
    if not isinstance(chat.get("usage"), dict):
        chat.pop("usage", None)
    whole_choices = [{"index": index, **choices[index]} for index in sorted(choices)]
    for choice in whole_choices:
        choice["message"] = _message(choice.get("message", {}))
    return {**chat, "object": "chat.completion", "choices": whole_choices}


def _add_choice(known: Json, choice: Json) -> None:
    delta = choice.get("delta")
    message = known.setdefault("message", {})
    for name, value in (delta if isinstance(delta, dict) else {}).items():
        if name == "tool_calls":
            _add_calls(message.setdefault("tool_calls", {}), value)
        elif name in _STREAMED and isinstance(value, str) and isinstance(message.get(name), str):
            message[name] += value
        elif isinstance(value, list) and isinstance(message.get(name), list):
            message[name] = [*message[name], *value]
        elif value is not None or name not in message:
            message[name] = value
    for name, value in choice.items():
        if name in {"index", "delta"}:
            continue
        if name == "logprobs" and isinstance(value, dict) and isinstance(known.get("logprobs"), dict):
            known["logprobs"] = {key: _joined(known["logprobs"].get(key), item) for key, item in value.items()}
        elif value is not None or name not in known:
            known[name] = value


def _joined(before: Any, after: Any) -> Any:
    return before + after if isinstance(before, list) and isinstance(after, list) else after


def _add_calls(known: dict[int, Json], calls: Any) -> None:
    for call in calls if isinstance(calls, list) else ():
        if not isinstance(call, dict):
            continue
        index = call.get("index")
        entry = known.setdefault(index if isinstance(index, int) else 0, {})
        for name, value in call.items():
            if name == "function" and isinstance(value, dict):
                function = entry.setdefault("function", {})
                for key, item in value.items():
                    if key == "arguments" and isinstance(item, str):
                        function["arguments"] = function.get("arguments", "") + item
                    elif item is not None or key not in function:
                        function[key] = item
            elif name != "index" and (value or name not in entry):
                entry[name] = value


def _message(message: Json) -> Json:
    told: Json = {"role": "assistant", "content": None, **message}
    if isinstance(told.get("tool_calls"), dict):
        told["tool_calls"] = [told["tool_calls"][index] for index in sorted(told["tool_calls"])]
        told["content"] = told["content"] or None
    return told
