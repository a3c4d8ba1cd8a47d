"""Errors as answers: problem+json (RFC 9457) below /api, a readable page elsewhere. The only place that maps them.

A NoriaError carries its own words. Input that a route's types refuse becomes `bad_input` that names each field (never its
value: it may be a secret). Anything else is our fault: the caller gets an id, the log gets the id with the place in
the code, and neither gets the message, which may hold somebody's data.
"""

import logging
import traceback
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, RedirectResponse, Response

from noria.core import ids
from noria.core.errors import BadInput, NoriaError, Unauthenticated
from noria.web import langfuse

logger = logging.getLogger("noria.web")

_WORDS = {
    404: ("not_found", "There is nothing at this address.", "Check the address, or start from the overview."),
    405: ("method_not_allowed", "This address does not accept that method.", "See /api/openapi.json."),
    413: ("too_large", "The request is larger than this address accepts.", "Send less at once."),
}


def install(app: FastAPI) -> None:
    """Answer all errors of `app` in our shapes."""
    app.exception_handler(NoriaError)(_known)
    app.exception_handler(RequestValidationError)(_invalid)
    app.exception_handler(HTTPException)(_http)


async def of(request: Request, error: Exception) -> Response:
    """The answer to any error at all; the boundary asks for it when no handler was inside to do so."""
    if isinstance(error, NoriaError):
        return await _known(request, error)
    if isinstance(error, HTTPException):
        return await _http(request, error)
    return await _unexpected(request, error)


def problem(*, status: int, code: str, message: str, hint: str = "") -> dict[str, Any]:
    """The problem+json document."""
    return {
        "type": f"urn:noria:error:{code}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": message,
        "hint": hint,
        "code": code,
    }


def describe(errors: list[dict[str, Any]]) -> str:
    """What pydantic refused, as one sentence a field: `items → 0 → name: Field required`. Values are left out."""
    parts = []
    for error in errors[:10]:
        where = [str(step) for step in error.get("loc", ()) if step not in {"body", "query", "path"}]
        words = str(error.get("msg", "not valid")).removeprefix("Value error, ")
        parts.append(f"{' → '.join(where)}: {words}" if where else words)
    more = f"; and {len(errors) - 10} more" if len(errors) > 10 else ""
    return "; ".join(parts) + more


def answer(request: Request, *, status: int, code: str, message: str, hint: str = "") -> Response:
    """The error in the shape that suits the address: JSON below /api and for assistants, a page elsewhere."""
    document = problem(status=status, code=code, message=message, hint=hint)
    if request.url.path.startswith(f"{langfuse.PREFIX}/"):  # where Langfuse's clients look for words
        document |= {"error": code, "message": f"{message} {hint}".strip()}
    if wants_json(request):
        headers = {"www-authenticate": "Bearer"} if status == 401 else None
        return JSONResponse(document, status, headers=headers, media_type="application/problem+json")
    from noria.web import templates

    return templates.error_page(request, document)


def wants_json(request: Request) -> bool:
    path = request.url.path
    return (
        path.startswith("/api/")
        or path == "/mcp"
        or "application/json" in request.headers.get("accept", "").split(",")[0]
    )


async def _known(request: Request, error: NoriaError) -> Response:
    if isinstance(error, Unauthenticated) and not wants_json(request):
        return _to_login(request)
    if error.status >= 500:
        logger.warning("%s: %s", error.code, error.message)
    return answer(request, status=error.status, code=error.code, message=error.message, hint=error.hint)


def _to_login(request: Request) -> Response:
    back = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    target = "/login" if request.method != "GET" or back == "/" else f"/login?next={quote(back, safe='')}"
    return RedirectResponse(target, 303)


async def _invalid(request: Request, error: RequestValidationError) -> Response:
    errors = list(error.errors())
    broken = any(e.get("type") == "json_invalid" for e in errors)
    status = 400 if broken else 422
    message = "The body is not JSON." if broken else f"The request cannot be used: {describe(errors)}."
    return answer(request, status=status, code=BadInput.code, message=message, hint="Nothing was changed.")


async def _http(request: Request, error: HTTPException) -> Response:
    phrase = HTTPStatus(error.status_code).phrase
    code, message, hint = _WORDS.get(error.status_code, (phrase.lower().replace(" ", "_"), f"{phrase}.", ""))
    if error.status_code in {404, 405} and request.url.path.startswith(f"{langfuse.PREFIX}/"):
        message = "Noria answers only a part of Langfuse's API, and this is not in it."
        hint = "docs/moving-from-langfuse.md lists what is there, and what to use in the place of the rest."
    return answer(request, status=error.status_code, code=code, message=message, hint=hint)


async def _unexpected(request: Request, error: Exception) -> Response:
    number = ids.new_id()
    frames = traceback.extract_tb(error.__traceback__)
    place = " < ".join(f"{f.filename.rpartition('noria/')[2]}:{f.lineno} {f.name}" for f in reversed(frames[-6:]))
    logger.error("unexpected error %s: %s in %s %s", number, type(error).__name__, request.method, place)
    return answer(
        request,
        status=500,
        code="internal",
        message=f"Something in Noria went wrong (error {number}).",
        hint="Nothing is known to be lost. Tell whoever runs this installation the number; the log has it.",
    )
