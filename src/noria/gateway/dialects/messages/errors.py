"""Errors as Anthropic's clients expect them: {"type": "error", "error": {"type", "message"}, "request_id"}.

Source: platform.claude.com/docs/en/api/errors, November 2026. The decision to know: a type that an Anthropic provider gave
is kept; all else is told by the status, as its clients choose their exception by the status too.
"""

from noria.core.errors import NoriaError
from noria.gateway.dialects.base import Json
from noria.gateway.dialects.messages import lenient
from noria.gateway.failures import ProviderRefused

_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    409: "conflict_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
    503: "overloaded_error",
    504: "timeout_error",
    529: "overloaded_error",
}
_STATUSES = {kind: status for status, kind in _TYPES.items()}


def error_object(error: NoriaError, request_id: str = "") -> Json:
    """`request_id` is what the response's `request-id` header says; left out while it is not known."""
    kind = _TYPES.get(error.status) or ("invalid_request_error" if error.status < 500 else "api_error")
    if isinstance(error, ProviderRefused) and error.kind in _STATUSES:
        kind = error.kind
    told = {"type": "error", "error": {"type": kind, "message": f"{error.message} {error.hint}".strip()}}
    return {**told, "request_id": request_id} if request_id else told


def reported(data: Json) -> ProviderRefused:
    """The error that a provider sent as an event, or in place of an answer."""
    raw = data.get("error")
    told = lenient.obj(raw)
    kind = lenient.text(told.get("type"))[:200]
    reason = (lenient.text(told.get("message")) or lenient.text(raw) or kind)[:500] or "it gave no reason."
    status = _STATUSES.get(kind, 500)
    return ProviderRefused(status, f"The provider broke off: {reason}", kind=kind or None, code="provider_error")
