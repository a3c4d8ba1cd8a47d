"""A provider's stream on its way to a caller, as server-sent events.

In: pieces of bytes as the network gave them. Out: bytes for the caller, and at the end an `Output` for the span. The
decision to know: where both speak the same dialect (`PassOn`) whole events pass on as they are, and only those in which one of
the dialect's marks stands (its end, usage, an error) are parsed; everything else is parsed once, at the end, in one go.
Otherwise (`Translate`) events become chat chunks and these the caller's events. What completes an answer is always kept
back, so that the span is written before the caller gets it.
"""

import re
from collections.abc import Callable, Iterable
from typing import Any, Protocol

import orjson

from noria.core.errors import NoriaError, ProviderFailed
from noria.gateway import payload, usage
from noria.gateway.dialects.base import CallerDialect, Json, ProviderDialect, Reader, Writer
from noria.gateway.dialects.chat import CHAT, is_usage
from noria.gateway.dialects.openai import encoded
from noria.gateway.heard import Heard
from noria.gateway.providers.base import Events
from noria.gateway.usage import Output

_END = re.compile(rb"\r?\n\r?\n")
_MAX_EVENT = 1_000_000
_MOST_RAW = 65_536
Event = tuple[str, bytes]
"""Name ("" when it has none) and data of one event."""


class Telling(Protocol):
    """One answer on its way as a stream, as the request path and the span see it."""

    done: bool
    """The answer is complete."""

    @property
    def truncated(self) -> bool:
        """The text was longer than what is kept for the span."""
        ...

    def last(self) -> bytes:
        """What completes the answer; for the caller once the span is safe."""
        ...

    def fail(self, error: NoriaError, request_id: str) -> bytes:
        """What ends a stream that broke off."""
        ...

    def output(self) -> Output:
        """What the stream amounted to so far."""
        ...

    def told(self) -> list[Json]:
        """The chat chunks that came; not all of them when `truncated`."""
        ...

    @property
    def chunks(self) -> int:
        """How many chunks came."""
        ...


class Relay(Telling, Protocol):
    """A provider's stream: its bytes in, the caller's out."""

    failure: ProviderFailed | None
    """The provider reported an error after events that `feed` has returned; nothing more will come."""

    def feed(self, piece: bytes) -> bytes:
        """What the caller may have now. Raises ProviderFailed when the provider reports an error or sends no events."""
        ...

    def end(self) -> bytes:
        """The provider closed its stream: what the caller may have of the last, perhaps unfinished event."""
        ...


class PassOn:
    """A stream whose caller speaks what the provider speaks."""

    def __init__(
        self,
        dialect: ProviderDialect,
        caller: CallerDialect,
        *,
        include_usage: bool,
        rewrite: Callable[[Json], Json] | None = None,
    ) -> None:
        """`rewrite` may change the events that are looked at; it returns what it leaves as it is."""
        self.done = False
        self.failure: ProviderFailed | None = None
        self._dialect = dialect
        self._reader = dialect.reader()
        self._hides_usage = not include_usage
        self._rest = b""
        self._last = caller.closing
        self._caller = caller
        self._rewrite = rewrite
        self._raw: list[bytes] = []
        self._raw_size = 0
        self._hearing = dialect.reader()
        self._heard = Heard()

    @property
    def truncated(self) -> bool:
        return self._heard.truncated

    def feed(self, piece: bytes) -> bytes:
        if self._rest:
            piece = self._rest + piece
        end = len(piece) if piece.endswith(b"\n\n") else _boundary(piece)
        ready, self._rest = piece[:end], piece[end:]
        if len(self._rest) > _MAX_EVENT:
            raise ProviderFailed("The provider sent an event without an end.")
        if not ready:
            return b""
        at = min((at for mark in self._dialect.marks if (at := ready.find(mark)) >= 0), default=-1)
        if at < 0:
            self._keep(ready)
            return ready
        plain, odd = ready[: (cut := _boundary(ready, at))], ready[cut:]
        if plain:
            self._keep(plain)
        return plain + self._looked_at(odd, after=bool(plain))

    def end(self) -> bytes:
        return self.feed(b"\n\n") if self._rest.strip() else b""

    def last(self) -> bytes:
        return self._last

    def fail(self, error: NoriaError, request_id: str) -> bytes:
        return self._caller.error_event(error, request_id)

    def output(self) -> Output:
        return usage.streamed(self.told())

    @property
    def chunks(self) -> int:
        self._hear()
        return self._heard.count

    def _looked_at(self, ready: bytes, *, after: bool) -> bytes:
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

    def _event(self, raw: bytes) -> bytes:
        event = event_in(raw)
        if event is None:
            return raw + b"\n\n"
        if event[1] == b"[DONE]":
            self.done = True
            return b""
        data = parsed(event[1])
        chunks = self._reader.read(event[0], data)
        if self._rewrite is not None and (changed := self._rewrite(data)) is not data:
            raw = (b"event: " + event[0].encode() + b"\n" if event[0] else b"") + b"data: " + encoded(changed)
        self._keep(raw + b"\n\n")
        if self._reader.done:
            self.done = True
            self._last = raw + b"\n\n"
            return b""
        if self._hides_usage and len(chunks) == 1 and is_usage(chunks[0]) and b'"choices"' in raw:
            return b""
        return raw + b"\n\n"

    def told(self) -> list[Json]:
        self._hear()
        return self._heard.told()

    def _keep(self, events: bytes) -> None:
        """A copy of what passed; read when it is wanted, or has grown."""
        self._raw.append(events)
        self._raw_size += len(events)
        if self._raw_size > _MOST_RAW:
            self._hear()

    def _hear(self) -> None:
        passed, self._raw, self._raw_size = b"".join(self._raw), [], 0
        if not passed:
            return
        if self._dialect is CHAT and (values := _plain_values(passed)) is not None:
            chunks = values
        else:
            events = [told for raw in _END.split(passed) if raw and (told := event_in(raw)) is not None]
            chunks = _read(self._hearing, events)
        size = len(passed) // max(1, len(chunks))
        for chunk in chunks:
            self._heard.add(chunk, size)


class Translate:
    """A stream whose caller speaks otherwise than the provider."""

    def __init__(self, events: Events, dialect: ProviderDialect, writer: Writer) -> None:
        self.done = False
        self.failure: ProviderFailed | None = None
        self._events = events
        self._reader = dialect.reader()
        self.writer = writer
        self._heard = Heard()

    @property
    def truncated(self) -> bool:
        return self._heard.truncated

    def feed(self, piece: bytes) -> bytes:
        return self._told(self._events.feed(piece))

    def end(self) -> bytes:
        return self._told(self._events.end())

    def last(self) -> bytes:
        return self.writer.end()

    def fail(self, error: NoriaError, request_id: str) -> bytes:
        return self.writer.fail(error)

    def output(self) -> Output:
        return usage.streamed(self._heard.told())

    def told(self) -> list[Json]:
        return self._heard.told()

    @property
    def chunks(self) -> int:
        return self._heard.count

    def _told(self, events: Iterable[Event]) -> bytes:
        told: list[bytes] = []
        for name, data in events:
            if data == b"[DONE]":
                self.done = True
                break
            try:
                chunks = self._reader.read(name, parsed(data))
            except ProviderFailed as error:
                if not any(told):
                    raise
                self.failure = error
                break
            for chunk in chunks:
                self._heard.add(chunk, len(data))
                told.append(self.writer.write(chunk))
            if self._reader.done:
                self.done = True
                break
        return b"".join(told)


def _plain_values(passed: bytes) -> list[Json] | None:
    """The values of a stream in which every event is one `data: {…}` line, as nearly all chat streams are; else None."""
    ends = passed.count(b"\n\n")
    if not passed.startswith(b"data: {") or passed.count(b"\n\ndata: {") != ends - 1 or passed.count(b"\n") != ends * 2:
        return None
    try:
        values: list[Any] = orjson.loads(b"[" + passed[6:-2].replace(b"\n\ndata: ", b",") + b"]")
    except orjson.JSONDecodeError:
        return None
    return values if len(values) == ends else None


def _read(reader: Reader, events: list[Event]) -> list[Json]:
    """Chat chunks of events that have passed; what is broken is left out, for the caller has it already."""
    datas = [data for _, data in events if data != b"[DONE]"]
    try:
        values: list[Any] = orjson.loads(b"[" + b",".join(datas) + b"]")
    except orjson.JSONDecodeError:
        values = [_tolerant(data) for data in datas]
    if len(values) != len(datas):  # one event held two values
        values = [_tolerant(data) for data in datas]
    names = (name for name, data in events if data != b"[DONE]")
    chunks: list[Json] = []
    for name, value in zip(names, values, strict=True):
        if isinstance(value, dict):
            try:
                chunks += reader.read(name, value)
            except ProviderFailed:
                break
    return chunks


def event_in(raw: bytes) -> Event | None:
    """One event; None for a comment or an event without data. Raises ProviderFailed for llama.cpp's bare errors."""
    if raw.startswith(b"data: ") and b"\n" not in raw:
        return "", raw[6:]
    if raw.startswith(b"error:"):
        raise ProviderFailed("The provider broke off with an error.", code="provider_error")
    name, lines = "", []
    for line in raw.splitlines():
        if line.startswith(b"data:"):
            lines.append(line[5:].strip())
        elif line.startswith(b"event:"):
            name = line[6:].strip().decode("utf-8", "replace")
    return (name, b"\n".join(lines)) if lines else None


def parsed(data: bytes) -> Json:
    """The JSON object of one event. Raises ProviderFailed."""
    try:
        value = payload.tolerant(data)
    except ValueError as error:
        raise ProviderFailed("The provider sent a broken event.") from error
    if not isinstance(value, dict):
        raise ProviderFailed("The provider sent an event that is no object.")
    return value


def _boundary(piece: bytes, before: int | None = None) -> int:
    """Where the last complete event (before an offset) ends; 0 when none is complete."""
    lf, crlf = piece.rfind(b"\n\n", 0, before), piece.rfind(b"\r\n\r\n", 0, before)
    return max(lf + 2 if lf >= 0 else 0, crlf + 4 if crlf >= 0 else 0)


def _tolerant(data: bytes) -> Any:
    try:
        return payload.tolerant(data)
    except ValueError:
        return None
