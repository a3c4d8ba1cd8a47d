"""An HTTP/1.1 client for what the gateway calls: providers, engines, steps. Kept connections, streams, nothing else.

In: a method, a URL, headers, a body. Out: a `Response` whose status and headers are here and whose body is read piece by piece,
with back-pressure (noria.gateway.http1). The decision to know: general clients cost more than all the rest of a request
(design/0004), and what makes them general (redirects, cookies, proxies, compression, retries) must not happen here anyway.
Bytes are parsed by httptools (llhttp), names and addresses are checked by noria.gateway.resolver at each connection.
"""

import asyncio
import ssl
import time
from typing import Final

from yarl import URL

from noria.gateway.http1 import Broken, Connection, Key, Response
from noria.gateway.resolver import Resolver

_KEEP_SECONDS: Final = 15.0
_SWEEP_SECONDS: Final = 5.0


class Unreachable(OSError):
    """No connection was made. `late`: within the time for it."""

    def __init__(self, *, late: bool = False) -> None:
        super().__init__("the host could not be reached")
        self.late = late


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
