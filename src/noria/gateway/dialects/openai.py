"""What OpenAI's dialects have in common: errors, model lists, events.

In: Noria's errors and records. Out: bytes for the wire, as OpenAI's clients expect them.
"""

import json
from typing import Any

import orjson

from noria.core.errors import BadInput, NoriaError
from noria.gateway.failures import ProviderRefused

DONE = b"data: [DONE]\n\n"
_KINDS = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}


def error_object(error: NoriaError, *, param: str | None = None) -> dict[str, Any]:
    """{"error": {message, type, param, code}} as OpenAI's clients expect it."""
    message = f"{error.message} {error.hint}".strip()
    kind = _KINDS.get(error.status) or ("invalid_request_error" if error.status < 500 else "server_error")
    if isinstance(error, ProviderRefused):
        kind, param = error.kind or kind, error.param
    return {"error": {"message": message, "type": kind, "param": param, "code": error.code}}


def error_body(error: NoriaError) -> bytes:
    return orjson.dumps(error_object(error))


def error_event(error: NoriaError) -> bytes:
    """An error in the middle of a stream."""
    return event_of(error_object(error))


def event_of(chunk: dict[str, Any]) -> bytes:
    return b"data: " + encoded(chunk) + b"\n\n"


def encoded(answer: dict[str, Any]) -> bytes:
    """JSON; half a surrogate pair, which only JSON's escapes can carry, stays one."""
    try:
        return orjson.dumps(answer)
    except TypeError:
        return json.dumps(answer).encode()


def model(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 0, "owned_by": "noria"}


def model_list(names: list[str]) -> bytes:
    return orjson.dumps({"object": "list", "data": [model(name) for name in names]})


def check_stream_options(body: dict[str, Any]) -> None:
    """Raises BadInput when `stream_options` is no object."""
    if not isinstance(body.get("stream_options") or {}, dict):
        raise BadInput('"stream_options" must be an object.')
