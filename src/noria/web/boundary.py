"""The outermost layer of the server, as pure ASGI: security headers, body limits, and the last word on errors.

Bodies are counted as they arrive, so a wrong or missing content-length fools nobody. Large ones (multipart) are read only
from somebody whom the authenticator knows: otherwise a stranger could fill the disk before the route's guard looks.
"""

from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import Request
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from noria.core.errors import Unauthenticated
from noria.web import problems

_MB = 1024 * 1024
_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "font-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
    )
)
_HEADERS = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}


class Boundary:
    """Wraps the whole application."""

    def __init__(self, app: ASGIApp, *, max_body_mb: int, max_upload_mb: int) -> None:
        self._app = app
        self._max_body = max_body_mb * _MB
        self._max_upload = max_upload_mb * _MB

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        started = False

        async def send_safely(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                _add_headers(request, message)
            await send(message)

        try:
            limit = await self._limit(request)
            await self._app(scope, _counted(receive, limit), send_safely)
        except Exception as error:  # noqa: BLE001 - the request boundary: nothing above may see (and log) the message
            answer = await problems.of(request, error)
            if not started:
                await answer(scope, receive, send_safely)

    async def _limit(self, request: Request) -> int:
        upload = request.headers.get("content-type", "").startswith("multipart/")
        limit = self._max_upload if upload else self._max_body
        if upload and await _stranger(request):
            raise Unauthenticated("You are not signed in.", hint="Sign in, or send a key: Authorization: Bearer <key>.")
        stated = request.headers.get("content-length", "")
        if stated.isascii() and stated.isdigit() and int(stated) > limit:
            raise HTTPException(413)
        return limit


async def _stranger(request: Request) -> bool:
    authenticate: Callable[[Request], Awaitable[Any]] = request.app.state.authenticate
    return await authenticate(request) is None


def _counted(receive: Receive, limit: int) -> Receive:
    total = 0

    async def counting() -> Message:
        nonlocal total
        message = await receive()
        total += len(message.get("body", b""))
        if total > limit:
            raise HTTPException(413)  # the one exception that FastAPI passes on from reading a body
        return message

    return counting


def _add_headers(request: Request, message: Message) -> None:
    headers = MutableHeaders(scope=message)
    for name, value in _HEADERS.items():
        headers.setdefault(name, value)
    path = request.url.path
    if path.startswith("/static/"):
        kept = "public, max-age=31536000, immutable" if request.url.query.startswith("v=") else "no-cache"
        headers["cache-control"] = kept
    else:
        once = path.startswith("/api/") or request.method != "GET"  # the answer to a form may show a key
        headers.setdefault("cache-control", "no-store" if once else "private, no-cache")
