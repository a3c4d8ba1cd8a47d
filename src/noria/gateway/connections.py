"""HTTP connections within bounds: how long a request's head may take and how large it may be.

In: uvicorn's protocol on httptools, which has no such bounds. Out: the same protocol with them, and refusals in OpenAI's
shape. The decision to know: a head that arrives in one packet, as nearly all do, starts no timer and costs one comparison.
"""

import asyncio
from typing import Any, cast

import orjson
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from noria.gateway.guard import Guard

_HEAD_SECONDS = 10.0
_HEAD_BYTES = 32_768
_UNREAD_SECONDS = 5.0
"""How long the rest of a body is read and thrown away after it was answered early; closing at once could lose the answer."""

_DRAIN_SECONDS = 1.0
"""How long an idle connection stays open when the gateway ends: closing at once would cut off a request that was just sent."""

_VERSIONS = frozenset({"1.0", "1.1"})
_REASONS = {400: "Bad Request", 408: "Request Timeout", 431: "Request Header Fields Too Large"}
_TOO_LARGE = (431, "headers_too_large", f"The request's headers are larger than {_HEAD_BYTES // 1024} KB.")
_TOO_SLOW = (408, "request_timeout", f"The request's headers did not arrive within {_HEAD_SECONDS:.0f} seconds.")
_INVALID = (400, "invalid_http", "The request is not valid HTTP.")


class _Refused(Exception):
    """Ends the parser's work on this connection."""


class Connection(HttpToolsProtocol):
    """One client's connection."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._in_head = False
        self._head_size = 0
        """Bytes of the head in packets before this one."""
        self._packet = 0
        self._refusal = _INVALID
        self._closing: asyncio.TimerHandle | None = None
        self._draining = False
        self.gone = False
        self.guard: Guard | None = None

    @property
    def has_whole_body(self) -> bool:
        return self.cycle is not None and not self.cycle.more_body

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._close_in(_HEAD_SECONDS)

    def connection_lost(self, exc: Exception | None) -> None:
        self._keep_open()
        super().connection_lost(exc)
        self.gone = True
        if self.guard is not None:
            self.guard.client_left()

    def data_received(self, data: bytes) -> None:
        self._packet = len(data)
        super().data_received(data)
        if self._in_head:
            self._head_size += self._packet
            if self._head_size > _HEAD_BYTES:
                self._refuse(*_TOO_LARGE)
        if self._closing is None and (self._in_head or self._idle()):
            self._close_in(_HEAD_SECONDS)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head = True
        self._head_size = 0

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._keep_open()
        if self._head_size + self._packet > _HEAD_BYTES and self._size_of_head() > _HEAD_BYTES:
            self._refusal = _TOO_LARGE
            raise _Refused
        if self.parser.get_http_version() not in _VERSIONS:
            raise _Refused
        super().on_headers_complete()
        cast("dict[str, object]", self.scope)["noria.connection"] = self
        if self._draining:
            self.cycle.keep_alive = False

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._packet = 0  # what follows in this packet belongs to the next request

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.cycle.more_body and not self.transport.is_closing():
            self._close_in(_UNREAD_SECONDS)

    def shutdown(self) -> None:
        """The gateway ends: an idle connection still takes the request that may be on its way, and is closed after its answer."""
        self._draining = True
        if self.cycle is None or self.cycle.response_complete:
            self.loop.call_later(_DRAIN_SECONDS, self._close_if_idle)
        else:
            super().shutdown()

    def send_400_response(self, msg: str) -> None:
        self._refuse(*self._refusal)

    def _size_of_head(self) -> int:
        return len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)

    def _idle(self) -> bool:
        """Bytes came that began no request, so uvicorn stopped its keep-alive timer and will not start it again."""
        return self.timeout_keep_alive_task is None and (self.cycle is None or self.cycle.response_complete)

    def _close_if_idle(self) -> None:
        if not self._in_head and (self.cycle is None or self.cycle.response_complete):
            self.transport.close()

    def _close_in(self, seconds: float) -> None:
        self._closing = self.loop.call_later(seconds, self._too_late)

    def _keep_open(self) -> None:
        if self._closing is not None:
            self._closing.cancel()
            self._closing = None

    def _too_late(self) -> None:
        if self._in_head:
            self._refuse(*_TOO_SLOW)
        else:
            self.transport.close()

    def _refuse(self, status: int, code: str, message: str) -> None:
        """Say why, unless an answer is on its way on this connection, and close."""
        if self.transport.is_closing():
            return
        cycle = self.cycle
        if not self.pipeline and (cycle is None or cycle.response_complete or not cycle.response_started):
            error = {"message": message, "type": "invalid_request_error", "param": None, "code": code}
            body = orjson.dumps({"error": error})
            head = (
                f"HTTP/1.1 {status} {_REASONS[status]}\r\ncontent-type: application/json\r\n"
                f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
            )
            self.transport.write(head.encode() + body)
        self.transport.close()
