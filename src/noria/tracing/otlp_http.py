"""OTLP over HTTP: /v1/traces, /v1/logs, /v1/metrics, and the first of them again where Langfuse's clients look for it.

In: protobuf or JSON, gzip or not. Out: the same encoding; 200 means that what was kept is in the journal. Errors are a google.rpc.Status in
the encoding of the request, as the protocol asks, so these routes map errors themselves.
"""

import logging
from collections.abc import Callable, Coroutine
from typing import Annotated, Any, Final

from fastapi import APIRouter, Request
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import Response

from noria.core.errors import BadInput, NoriaError
from noria.stores.connect import Stores
from noria.tracing.otlp import answers
from noria.tracing.otlp.body import JSON, PROTOBUF, inflated, is_json
from noria.tracing.otlp.ingest import TAKE, Signal, Taken
from noria.web.auth import Caller, allow
from noria.web.deps import StoresDep

logger = logging.getLogger("noria.tracing")

_MB: Final = 1024 * 1024
_INFLATES: Final = 4
"""How many times larger than the largest body one may become when it is unpacked."""
_Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class _Route(APIRoute):
    """A route whose errors, the guard's as well, are told as OTLP clients read them."""

    def get_route_handler(self) -> _Handler:
        handle = super().get_route_handler()

        async def handler(request: Request) -> Response:
            try:
                return await handle(request)
            except NoriaError as error:
                return _refusal(request, error.status, f"{error.message} {error.hint}".strip())
            except HTTPException as error:
                words = {413: "The request is larger than the setting max_body_mb; send smaller batches."}
                return _refusal(request, error.status_code, words.get(error.status_code, str(error.detail)))

        return handler


router = APIRouter(tags=["OTLP"], route_class=_Route)
MayWrite = Annotated[Caller, allow("write_traces")]


@router.post("/v1/traces")
async def traces(request: Request, stores: StoresDep, caller: MayWrite) -> Response:
    """Spans as OTLP/HTTP sends them (docs/otlp.md); the project is the key's."""
    return await _take(request, stores, caller, "traces")


@router.post("/api/public/otel/v1/traces")
async def langfuse_traces(request: Request, stores: StoresDep, caller: MayWrite) -> Response:
    """The same for clients of Langfuse, whose secret key is a key of Noria."""
    return await _take(request, stores, caller, "traces")


@router.post("/v1/logs")
async def logs(request: Request, stores: StoresDep, caller: MayWrite) -> Response:
    """Log events; the messages of model calls in them are joined to their spans, others are not kept."""
    return await _take(request, stores, caller, "logs")


@router.post("/v1/metrics")
async def metrics(request: Request, stores: StoresDep, caller: MayWrite) -> Response:
    """Metrics; they are understood and not kept, which the answer says."""
    return await _take(request, stores, caller, "metrics")


async def _take(request: Request, stores: Stores, caller: Caller, signal: Signal) -> Response:
    json = is_json(request.headers.get("content-type", ""))
    limit = stores.settings.max_body_mb * _MB * _INFLATES
    encoding = request.headers.get("content-encoding", "")
    data = await request.body()

    def take() -> Taken:
        return TAKE[signal](stores, caller, inflated(data, encoding, limit), json=json)

    taken = await run_in_threadpool(take)
    return _answer(answers.success(signal, taken, json=json), json=json)


def _refusal(request: Request, status: int, message: str) -> Response:
    if status >= 500:
        logger.warning("OTLP was refused: %s", message)
    try:
        json = is_json(request.headers.get("content-type", ""))
    except BadInput:
        json = True
    answer = _answer(answers.failure(status, message, json=json), json=json, status=status)
    if status in {429, 503}:
        answer.headers["retry-after"] = "1"
    if status == 401:
        answer.headers["www-authenticate"] = "Bearer"
    return answer


def _answer(data: bytes, *, json: bool, status: int = 200) -> Response:
    return Response(data, status, media_type=JSON if json else PROTOBUF)
