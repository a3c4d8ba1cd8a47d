"""One HTTP/1.1 connection of the gateway's client, and the answer that is on its way over it.

In: a request's bytes. Out: a `Response` whose body is read piece by piece; a connection whose answers nobody reads stops
reading itself. The decision to know: whatever is not exactly one proper answer to one request ends the connection, so
nothing can be left on it that the next caller would take for its own.
"""

import asyncio
import contextlib
from collections import deque
from typing import Any, Final, Protocol, cast

import httptools

_HIGH, _AT_ONCE = 64 * 1024, 128 * 1024
_MOST_HEADERS: Final = 65_536
Key = tuple[bool, str, int]
"""TLS or not, host, port."""


class Keeper(Protocol):
    """Who keeps connections between two answers."""

    def give_back(self, connection: "Connection") -> None: ...

    def forget(self, connection: "Connection") -> None: ...


class Broken(ConnectionError):
    """The connection ended, or what came over it is no HTTP. `unseen`: a kept connection that ended before it gave a byte."""

    def __init__(self, *, unseen: bool = False) -> None:
        super().__init__("the connection broke")
        self.unseen = unseen


class Headers(dict[str, str]):
    """Headers of an answer by their names in lower case; looked up in any case."""

    def get(self, name: str, default: Any = None) -> Any:
        return super().get(name.lower(), default)

    def __getitem__(self, name: str) -> str:
        return super().__getitem__(name.lower())

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and super().__contains__(name.lower())


class Connection(asyncio.Protocol):
    """One connection, and the one answer that is on its way over it."""

    def __init__(self, keeper: Keeper, key: Key) -> None:
        self._keeper = keeper
        self.key = key
        self.idle_since = 0.0
        self.used = False
        """It has carried an answer before."""
        self._transport: asyncio.Transport | None = None
        self._parser: Any = None
        self._response: Response | None = None
        self._can_write = asyncio.Event()
        self._can_write.set()
        self._size = 0

    @property
    def alive(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._can_write.set()
        if self._response is not None:
            self._response.lost()
        self._keeper.forget(self)

    def pause_writing(self) -> None:
        self._can_write.clear()

    def resume_writing(self) -> None:
        self._can_write.set()

    async def send(self, head: bytes, body: bytes) -> "Response":
        """Sends a request; its answer once the headers are here. Raises Broken."""
        if self._transport is None:
            raise Broken(unseen=True)
        response = self._response = Response(self)
        self._parser = httptools.HttpResponseParser(self)
        self._size = 0
        if len(body) < _AT_ONCE:
            self._transport.write(head + body)
        else:
            self._transport.writelines((head, body))
            await self._can_write.wait()  # an answer that comes before all was sent is read all the same
        await response.begun()
        return response

    def data_received(self, data: bytes) -> None:
        response = self._response
        if response is None:  # nobody asked: what comes now would be read as the next answer
            self.abort()
            return
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, ValueError):
            response.fail(Broken())
            self.abort()

    # What the parser found.

    def on_message_begin(self) -> None:
        if self._response is not None and self._response.complete:
            raise ValueError("a second answer to one request")

    def on_header(self, name: bytes, value: bytes) -> None:
        self._size += len(name) + len(value)
        if self._size > _MOST_HEADERS:
            raise ValueError("too many headers")
        if self._response is not None:
            self._response.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        response = self._response
        if response is None or status < 200:
            return
        response.status = status
        response.keeps = self._parser.should_keep_alive()
        response.begin()

    def on_body(self, data: bytes) -> None:
        if self._response is not None:
            self._response.add(data)

    def on_message_complete(self) -> None:
        response = self._response
        if response is None:
            return
        if not response.status:  # an interim answer (100, 103)
            response.headers.clear()
            return
        response.finish()

    def finish(self, *, keep: bool) -> None:
        """The answer was read to its end, or nobody wants the rest of it."""
        self._response = None
        self.used = True
        if keep and self.alive:
            self.resume()
            self._keeper.give_back(self)
        else:
            self.abort()

    def pause(self) -> None:
        if self._transport is not None:
            self._transport.pause_reading()

    def resume(self) -> None:
        if self._transport is not None:
            with contextlib.suppress(RuntimeError):  # it was not paused
                self._transport.resume_reading()

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()


class Response:
    """An answer. Read it with `readany` or `read`, then `release` it; `close` it to cut it off."""

    __slots__ = (
        "_connection",
        "_error",
        "_loop",
        "_paused",
        "_pieces",
        "_size",
        "_waiter",
        "complete",
        "headers",
        "keeps",
        "status",
    )

    def __init__(self, connection: Connection) -> None:
        self.status = 0
        self.headers = Headers()
        self.keeps = False
        self._connection: Connection | None = connection
        self._pieces: deque[bytes] = deque()
        self._size = 0
        self.complete = False
        """All of it has come; some may still wait to be read."""
        self._paused = False
        self._error: Exception | None = None
        self._loop = asyncio.get_running_loop()
        self._waiter: asyncio.Future[None] | None = None

    @property
    def closed(self) -> bool:
        return self._connection is None

    @property
    def content_length(self) -> int | None:
        """What the headers say; None where they do not."""
        text = self.headers.get("content-length", "")
        return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else None

    def at_eof(self) -> bool:
        return self.complete and not self._pieces

    async def begun(self) -> None:
        while not self.status:
            if self._error is not None:
                raise self._error
            await self._wait()

    async def readany(self) -> bytes:
        """What has come since, at least one byte; b"" at the end. Raises Broken."""
        while not self._pieces:
            if self._error is not None:
                raise self._error
            if self.complete:
                return b""
            await self._wait()
        data = self._pieces.popleft() if len(self._pieces) == 1 else b"".join(self._pieces)
        self._pieces.clear()
        self._size = 0
        if self._paused and self._connection is not None:
            self._paused = False
            self._connection.resume()
        return data

    async def read(self, most: int) -> bytes:
        """The whole body, or its beginning when it is longer than `most`. Raises Broken."""
        parts, size = [], 0
        while size <= most and (piece := await self.readany()):
            parts.append(piece)
            size += len(piece)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def release(self) -> None:
        """Give the connection back when all was read, else cut it."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.finish(keep=self.complete and self.keeps)

    def close(self) -> None:
        """Cut the answer off."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.finish(keep=False)

    async def _wait(self) -> None:
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    # Told by the connection.

    def begin(self) -> None:
        self._wake()

    def add(self, data: bytes) -> None:
        self._pieces.append(data)
        self._size += len(data)
        if self._size > _HIGH and not self._paused and self._connection is not None:
            self._paused = True
            self._connection.pause()
        self._wake()

    def finish(self) -> None:
        self.complete = True
        self._wake()

    def fail(self, error: Exception) -> None:
        self._error = self._error or error
        self._wake()

    def lost(self) -> None:
        """The connection ended: a body without a length ends with it, anything else is cut off."""
        if self.complete:
            return
        counted = "content-length" in self.headers or "transfer-encoding" in self.headers
        if self.status and not counted:
            self.finish()
            return
        connection = self._connection
        unseen = connection is not None and connection.used and not self.status and not self.headers
        self.fail(Broken(unseen=unseen))
