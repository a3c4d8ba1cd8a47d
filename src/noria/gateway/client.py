"""An HTTP/1.1 client for what the gateway calls: providers, engines, steps. Kept connections, streams, nothing else.

In: a method, a URL, headers, a body. Out: a `Response` whose status and headers are here and whose body is read piece by piece,
with back-pressure. The decision to know: general clients cost more than all the rest of a request (design/0004), and what
makes them general (redirects, cookies, proxies, compression, retries) must not happen here anyway. Bytes are parsed by
httptools (llhttp), names and addresses are checked by noria.gateway.resolver at each connection.
"""

import asyncio
import contextlib
import ssl
import time
from collections import deque
from typing import Any, Final, cast

import httptools
from yarl import URL

from noria.gateway.resolver import Resolver

_HIGH, _LOW = 512 * 1024, 128 * 1024
_MOST_HEADERS: Final = 65_536
_KEEP_SECONDS: Final = 15.0
_SWEEP_SECONDS: Final = 5.0
Key = tuple[bool, str, int]


class Unreachable(OSError):
    """No connection was made. `late`: within the time for it."""

    def __init__(self, *, late: bool = False) -> None:
        super().__init__("the host could not be reached")
        self.late = late


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

    def __init__(self, client: "Client", key: Key) -> None:
        self.client = client
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
        self.client.forget(self)

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
        if len(body) < _LOW:
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
            self.client.give_back(self)
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


class Client:
    """The connections to everything that the gateway calls; one for the process."""

    def __init__(self, resolver: Resolver, *, connect_timeout: float, tls: ssl.SSLContext | None = None) -> None:
        """`tls`: whom to trust; the system's authorities when it is not given."""
        self._resolver = resolver
        self._connect_timeout = connect_timeout
        self._idle: dict[Key, list[Connection]] = {}
        self._tls = tls
        self._sweeper: asyncio.TimerHandle | None = None
        self._closed = False

    async def close(self) -> None:
        self._closed = True
        if self._sweeper is not None:
            self._sweeper.cancel()
        for connections in list(self._idle.values()):
            for connection in list(connections):
                connection.abort()
        self._idle.clear()

    async def request(
        self,
        method: str,
        url: URL,
        *,
        headers: dict[str, str],
        body: bytes = b"",
        connect_seconds: float = 0.0,
        trusted: bool = False,
    ) -> Response:
        """The answer, once its headers are here. Raises Unreachable, Broken.

        `trusted`: the address comes from this installation (an engine, a step), so it may be a private one. A kept connection
        that ended before it gave a byte has not brought the request to anybody; it is sent once more over a new one.
        """
        key: Key = (url.scheme == "https", url.raw_host or "", url.port or 0)
        head = _head(method, url, headers, len(body))
        connection = self._take(key)
        if connection is not None:
            try:
                return await _asked(connection, head, body)
            except Broken as error:
                if not error.unseen:
                    raise
        fresh = await self._connect(key, connect_seconds or self._connect_timeout, trusted=trusted)
        return await _asked(fresh, head, body)

    def _take(self, key: Key) -> Connection | None:
        waiting = self._idle.get(key)
        while waiting:
            connection = waiting.pop()
            if connection.alive:
                return connection
        return None

    def give_back(self, connection: Connection) -> None:
        if self._closed:
            connection.abort()
            return
        connection.idle_since = time.monotonic()
        self._idle.setdefault(connection.key, []).append(connection)
        if self._sweeper is None:
            self._sweeper = asyncio.get_running_loop().call_later(_SWEEP_SECONDS, self._sweep)

    def forget(self, connection: Connection) -> None:
        waiting = self._idle.get(connection.key)
        if waiting and connection in waiting:
            waiting.remove(connection)

    def _sweep(self) -> None:
        """Close what nobody has used for a while; the longest idle are at the front."""
        self._sweeper = None
        old = time.monotonic() - _KEEP_SECONDS
        for key, waiting in list(self._idle.items()):
            while waiting and waiting[0].idle_since < old:
                waiting.pop(0).abort()
            if not waiting:
                self._idle.pop(key, None)
        if self._idle:
            self._sweeper = asyncio.get_running_loop().call_later(_SWEEP_SECONDS, self._sweep)

    async def _connect(self, key: Key, seconds: float, *, trusted: bool) -> Connection:
        secure, host, port = key
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(seconds):
                failure: OSError | None = None
                for address in await self._resolver.addresses(host, port, trusted=trusted):
                    try:
                        _, protocol = await loop.create_connection(
                            lambda: Connection(self, key),
                            address,
                            port,
                            ssl=self._context() if secure else None,
                            server_hostname=host if secure else None,
                        )
                    except ssl.SSLError:
                        raise
                    except OSError as error:
                        failure = error
                    else:
                        return protocol
        except TimeoutError as error:
            raise Unreachable(late=True) from error
        raise Unreachable from failure

    def _context(self) -> ssl.SSLContext:
        """Made when it is first needed: reading the system's certificates takes 20 ms and 2 MB."""
        if self._tls is None:
            self._tls = ssl.create_default_context()
            self._tls.set_alpn_protocols(["http/1.1"])
        return self._tls


async def _asked(connection: Connection, head: bytes, body: bytes) -> Response:
    try:
        return await connection.send(head, body)
    except BaseException:
        connection.abort()
        raise


def _head(method: str, url: URL, headers: dict[str, str], size: int) -> bytes:
    lines = [f"{method} {url.raw_path_qs} HTTP/1.1", f"Host: {url.raw_authority}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    if size or method == "POST":
        lines.append(f"Content-Length: {size}")
    head = "\r\n".join(lines)
    if head.count("\n") != len(lines) - 1 or head.count("\r") != len(lines) - 1:
        raise ValueError("a header holds the end of a line")
    return head.encode("utf-8") + b"\r\n\r\n"
