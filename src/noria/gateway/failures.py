"""What can go wrong between the gateway and a provider, beside the errors of noria.core.errors.

ProviderFailed (core)
└── ProviderRefused   the provider answered with an error of its own; its message and code are kept
Unavailable (core)
└── NotReady          a part is starting or full: try again after `retry_after` seconds
    └── GuardrailFailed  a guardrail without which nothing passes could not be applied
Limited (core)
└── OverLimit         a limit or a budget is used up
BadInput (core)
├── BodyLate          the request's body did not arrive in time (408)
└── GuardrailRefused  a guardrail of the endpoint does not let a request or its answer pass
ClientLeft            nobody waits for the answer any more; never sent, only recorded (499)
"""

from typing import Literal

from noria.core.errors import BadInput, Limited, NoriaError, ProviderFailed, Unavailable

Unit = Literal["requests", "tokens", "concurrent", "day", "month"]

_PASSED_ON = frozenset({400, 404, 409, 413, 415, 422, 429, 503, 504, 529})
_MAX_RETRY_AFTER = 300.0


class ProviderRefused(ProviderFailed):
    """The provider answered with an error status. `provider_status` is its, `status` is what our caller gets."""

    code = "provider_error"

    def __init__(
        self,
        provider_status: int,
        message: str,
        *,
        kind: str | None = None,
        param: str | None = None,
        code: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message, code=code)
        self.provider_status = provider_status
        self.status = provider_status if provider_status in _PASSED_ON else 502
        self.kind = kind
        self.param = param
        self.retry_after = None if retry_after is None else min(max(retry_after, 0.0), _MAX_RETRY_AFTER)


class NotReady(Unavailable):
    """Something starts or has no room now; `retry_after` is in seconds."""

    code = "not_ready"

    def __init__(self, message: str, *, hint: str = "", retry_after: float = 2.0) -> None:
        super().__init__(message, hint=hint)
        self.retry_after = retry_after


class GuardrailFailed(NotReady):
    """A check could not be made, and its policy says that nothing passes then."""

    code = "guardrail_failed"


class OverLimit(Limited):
    """A limit is used up. `retry_after` is in seconds; `unit` says which."""

    def __init__(self, message: str, *, unit: Unit, retry_after: float, hint: str = "") -> None:
        budget = unit in {"day", "month"}
        super().__init__(message, hint=hint, code="insufficient_quota" if budget else "rate_limit_exceeded")
        self.unit = unit
        self.retry_after = retry_after


class BodyLate(BadInput):
    """The body of a request stalled or came too slowly."""

    status = 408
    code = "request_timeout"


class GuardrailRefused(BadInput):
    """Sending it again changes nothing, so no client should: 400."""

    code = "guardrail_refused"


class ClientLeft(NoriaError):
    """The client closed its connection before the answer was complete."""

    status = 499
    code = "client_left"


def retry_after(error: NoriaError) -> float | None:
    """Seconds after which trying again makes sense, where that is known."""
    return error.retry_after if isinstance(error, ProviderRefused | NotReady | OverLimit) else None


def without_key(text: str, key: str) -> str:
    """A provider's text without the key that it was called with, or any part of it (AWS: "id:secret:token")."""
    for part in (key, *key.split(":")):
        if len(part) > 7:
            text = text.replace(part, "…")
    return text
