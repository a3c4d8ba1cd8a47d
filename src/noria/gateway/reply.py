"""What goes back to the client: headers that name trace and release, then a body, a stream, or an error.

In: ASGI's `send` and the `Call`. Out: HTTP, in the dialect of the caller. The decision to know: an error after the first byte of
a stream is one event in the dialect's shape and no regular end, because the status line has long been sent.
"""

from collections.abc import Awaitable, Callable
from typing import Any

from noria.core.errors import NoriaError
from noria.gateway.dialects.base import CallerDialect
from noria.gateway.failures import retry_after
from noria.gateway.spans import Call
from noria.governance.links import Links

Send = Callable[[Any], Awaitable[None]]


class Reply:
    """One answer; `call` tells its trace, and its release once there is one."""

    __slots__ = ("_call", "_links", "_send", "_streaming")

    def __init__(self, send: Send, call: Call, links: Links | None = None) -> None:
        self._send = send
        self._links = links
        self._call = call
        self._streaming = False

    async def json(self, status: int, body: bytes, extra: list[tuple[bytes, bytes]] | None = None) -> None:
        await send_json(self._send, status, body, self._headers() + (extra or []))

    async def begin_stream(self, first: bytes) -> None:
        headers = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-cache")]
        self._streaming = True
        await self._send({"type": "http.response.start", "status": 200, "headers": headers + self._headers()})
        await self.piece(first)

    async def piece(self, data: bytes) -> None:
        if data:
            await self._send({"type": "http.response.body", "body": data, "more_body": True})

    async def end_stream(self, last: bytes) -> None:
        await self._send({"type": "http.response.body", "body": last, "more_body": False})

    async def fail(self, error: NoriaError) -> None:
        """The error, in the shape that fits how far the answer has come."""
        if self._streaming:
            call = self._call
            said = (
                call.relay.fail(error, call.trace_id) if call.relay else call.dialect.error_event(error, call.trace_id)
            )
            await self.end_stream(said)
        else:
            await send_error(self._send, error, self._call.dialect, self._call.trace_id, self._headers())

    def _headers(self) -> list[tuple[bytes, bytes]]:
        call = self._call
        trace = call.trace_id.encode()
        headers = [(b"x-noria-trace-id", trace), (call.dialect.request_id_header, trace), *call.headers]
        if call.route and call.release:
            name = f"{call.route.endpoint.name}@{call.release.number}"
            headers.append((b"x-noria-release", name.encode("ascii", "replace")))
            if self._links is not None and call.key.live:
                headers.append((b"x-noria-feedback-url", self._links.url(call.key.project_id, call.trace_id).encode()))
        if call.cache:
            headers.append((b"x-noria-cache", call.cache.encode()))
        return headers


async def send_error(
    send: Send,
    error: NoriaError,
    dialect: CallerDialect,
    request_id: str = "",
    extra: list[tuple[bytes, bytes]] | None = None,
) -> None:
    """An error as JSON, with retry-after where trying again makes sense."""
    headers = list(extra or [])
    if (wait := retry_after(error)) is not None:
        headers.append((b"retry-after", str(max(1, round(wait))).encode()))
        headers.append((b"retry-after-ms", str(max(1, round(wait * 1000))).encode()))
    if error.status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    await send_json(send, error.status, dialect.error(error, request_id), headers)


async def send_json(send: Send, status: int, body: bytes, extra: list[tuple[bytes, bytes]] | None = None) -> None:
    await send_body(send, status, b"application/json", body, extra)


async def send_body(
    send: Send, status: int, kind: bytes, body: bytes, extra: list[tuple[bytes, bytes]] | None = None
) -> None:
    headers = [(b"content-type", kind), (b"content-length", str(len(body)).encode()), *(extra or [])]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
