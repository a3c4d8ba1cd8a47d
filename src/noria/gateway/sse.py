"""Server-sent events on their way from a provider to a caller.

In: pieces of bytes as the network gave them. Out: bytes for the caller, and at the end an `Output` for the span. The
decision to know: where both speak the same dialect whole events pass on as they are, and only those that a search finds
suspicious (usage, an error, [DONE]) are parsed; everything else is parsed once, at the end, in one go. `[DONE]` is always
kept back, so that the span is written before the caller gets it.
"""

import re
from typing import Any

import orjson

from noria.core.errors import ProviderFailed
from noria.gateway import payload, shapes, usage
from noria.gateway.shapes import Dialect
from noria.gateway.usage import Output

_SUSPICIOUS = (b"[DONE]", b'"error"', b'"usage":{', b'"usage": {', b"error:")
_END = re.compile(rb"\r?\n\r?\n")
_MAX_EVENT = 1_000_000
MAX_KEPT = 1_000_000


class Relay:
    """One stream. `feed` takes the provider's bytes and returns the caller's; both dialects may be the same."""

    def __init__(self, provider: Dialect, caller: Dialect, *, include_usage: bool) -> None:
        self.done = False
        """The provider said [DONE]."""
        self.failure: ProviderFailed | None = None
        """The provider reported an error after events that `feed` has returned; nothing more will come."""
        self.truncated = False
        """The text was longer than what is kept for the span."""
        self._provider = provider
        self._caller = caller
        self._include_usage = include_usage
        self._rest = b""
        self._kept: list[bytes] = []
        self._kept_size = 0
        self._opened = False

    def feed(self, piece: bytes) -> bytes:
        """What the caller may have now. Raises ProviderFailed when the provider reports an error or sends no events."""
        if self._rest:
            piece = self._rest + piece
        end = len(piece) if piece.endswith(b"\n\n") else _boundary(piece)
        ready, self._rest = piece[:end], piece[end:]
        if len(self._rest) > _MAX_EVENT:
            raise ProviderFailed("The provider sent an event without an end.")
        if not ready:
            return b""
        if self._provider != self._caller:
            return self._looked_at(ready)
        at = _suspicious(ready)
        if at < 0:
            self._keep(ready)
            return ready
        plain, odd = ready[: (cut := _boundary(ready, at))], ready[cut:]
        if plain:
            self._keep(plain)
        return plain + self._looked_at(odd, after=bool(plain))

    def end(self) -> bytes:
        """The provider closed its stream: what the caller may have of the last, perhaps unfinished event."""
        return self.feed(b"\n\n") if self._rest.strip() else b""

    def output(self) -> Output:
        """What the stream amounted to so far."""
        return usage.streamed(self._chunks(), self._provider)

    @property
    def chunks(self) -> int:
        """How many chunks came."""
        return len(self._chunks())

    def _looked_at(self, ready: bytes, *, after: bool = False) -> bytes:
        """Event by event; what came before a failure (`after`: in the same piece) still goes to the caller."""
        told = b""
        for event in filter(None, _END.split(ready)):
            try:
                told += self._event(event)
            except ProviderFailed as error:
                if not told and not after:
                    raise
                self.failure = error
                break
        return told

    def _event(self, event: bytes) -> bytes:
        """One event that must be looked at."""
        data = _data(event)
        if event.startswith(b"error:"):
            raise ProviderFailed("The provider broke off with an error.", code="provider_error")
        if data is None:
            return event + b"\n\n"
        if data == b"[DONE]":
            self.done = True
            return b""
        try:
            chunk = payload.tolerant(data)
        except ValueError as error:
            raise ProviderFailed("The provider sent a broken event.") from error
        if not isinstance(chunk, dict):
            raise ProviderFailed("The provider sent an event that is no object.")
        if chunk.get("error") and not chunk.get("choices"):
            raise ProviderFailed(f"The provider broke off: {_reason(chunk['error'])}", code="provider_error")
        self._keep(b"data: " + data + b"\n\n")
        if isinstance(chunk.get("usage"), dict) and not chunk.get("choices") and not self._include_usage:
            return b""
        if self._provider == self._caller:
            return event + b"\n\n"
        return self._translated(chunk)

    def _translated(self, chunk: dict[str, Any]) -> bytes:
        if self._caller == "text":
            return _event_of(shapes.chunk_to_text(chunk))
        told = _event_of(shapes.chunk_to_chat(chunk))
        if self._opened or not chunk.get("choices"):
            return told
        self._opened = True
        return _event_of(shapes.first_chat_chunk(chunk)) + told

    def _keep(self, events: bytes) -> None:
        if self._kept_size > MAX_KEPT:
            self.truncated = True
            self._kept[-1] = events  # the last one carries the usage
            return
        self._kept.append(events)
        self._kept_size += len(events)

    def _chunks(self) -> list[Any]:
        datas = [
            data
            for event in _END.split(b"".join(self._kept))
            if event and (data := _data(event)) not in (None, b"[DONE]")
        ]
        try:
            return orjson.loads(b"[" + b",".join(datas) + b"]")  # type: ignore[no-any-return]
        except orjson.JSONDecodeError:
            return [chunk for data in datas if (chunk := _tolerant(data)) is not None]


def _suspicious(ready: bytes) -> int:
    """Where the first thing stands that must be looked at; -1 when there is none. It may be a false alarm."""
    return min((at for mark in _SUSPICIOUS if (at := ready.find(mark)) >= 0), default=-1)


def _boundary(piece: bytes, before: int | None = None) -> int:
    """Where the last complete event (before an offset) ends; 0 when none is complete."""
    lf, crlf = piece.rfind(b"\n\n", 0, before), piece.rfind(b"\r\n\r\n", 0, before)
    return max(lf + 2 if lf >= 0 else 0, crlf + 4 if crlf >= 0 else 0)


def _data(event: bytes) -> bytes | None:
    """The data of one event; None for a comment or an event without data."""
    if event.startswith(b"data: ") and b"\n" not in event:
        return event[6:]
    lines = [line[5:].strip() for line in event.splitlines() if line.startswith(b"data:")]
    return b"\n".join(lines) if lines else None


def _tolerant(data: bytes) -> Any:
    try:
        return payload.tolerant(data)
    except ValueError:
        return None


def _reason(error: Any) -> str:
    message = error.get("message") if isinstance(error, dict) else error
    return str(message)[:500]


def _event_of(chunk: dict[str, Any]) -> bytes:
    return b"data: " + shapes.encoded(chunk) + b"\n\n"
