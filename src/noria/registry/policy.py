"""An endpoint's policy: how its requests are carried, limited, cached and guarded. A leaf that the gateway imports.

A policy is part of the endpoint's configuration: versioned, audited, and in force within a second of its change. An empty
policy ("{}") is what most endpoints have, and costs a request nothing. Numbers that are 0 mean: not limited, or the
installation's setting. Checked where it is written (noria.registry.policies); here it is only read.
"""

from dataclasses import dataclass, field, fields
from functools import cache
from types import UnionType
from typing import Any, Final, Literal, get_args, get_origin, get_type_hints

from noria.governance.limits import NO_LIMITS, Limits, decode_limits

__all__ = [
    "EMPTY",
    "GUARDRAILS",
    "NO_LIMITS",
    "Breaker",
    "Cache",
    "Guardrail",
    "Hedge",
    "Limits",
    "Policy",
    "Retries",
    "Timeouts",
    "decode",
    "decode_limits",
    "sparse",
]

OnTrouble = Literal["open", "closed"]
GUARDRAILS: Final = ("pii", "deny", "allow", "schema", "injection", "secrets", "max_cost", "step")


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds; 0 stands for the installation's setting."""

    connect: float = 0.0
    first_byte: float = 0.0
    idle: float = 0.0
    total: float = 0.0


@dataclass(frozen=True, slots=True)
class Retries:
    """How often one release is tried again before its first byte, with a jittered pause that doubles."""

    attempts: int = 0
    """Tries after the first; 0 to 5."""
    base_ms: int = 200
    most_ms: int = 5_000


@dataclass(frozen=True, slots=True)
class Breaker:
    """A provider that fails `failures` times in a row within `window_seconds` is left alone for `open_seconds`."""

    failures: int = 0
    """0: no breaker."""
    window_seconds: float = 30.0
    open_seconds: float = 15.0


@dataclass(frozen=True, slots=True)
class Hedge:
    """A second try beside the first when the first byte is late; the first answer wins, the other is aborted."""

    after_ms: int = 0
    """0: no hedging."""


@dataclass(frozen=True, slots=True)
class Cache:
    """Answers kept to be given again."""

    mode: Literal["off", "exact", "semantic"] = "off"
    ttl_seconds: int = 3_600
    threshold: float = 0.95
    """Semantic: least cosine similarity that counts as the same question."""
    step: str = ""
    """Semantic: URL of the step process that embeds texts (docs/steps.md)."""


@dataclass(frozen=True, slots=True)
class Guardrail:
    """One check of what goes in or comes out. `options` are those of its kind (docs/policy.md), complete."""

    kind: Literal["pii", "deny", "allow", "schema", "injection", "secrets", "max_cost", "step"]
    when: Literal["before", "after", "both"] = "before"
    on_trouble: OnTrouble = "closed"
    """What happens when the check itself fails or takes too long: open lets the request through, closed refuses it."""
    timeout_ms: int = 500
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Policy:
    """All of it. `version` counts the endpoint's policies; 0 is the one that every endpoint is born with."""

    version: int = 0
    fallbacks: tuple[int, ...] = ()
    """Releases that are asked in this order when the chosen one fails before its first byte."""
    timeouts: Timeouts = Timeouts()
    retries: Retries = Retries()
    breaker: Breaker = Breaker()
    hedge: Hedge = Hedge()
    limits: Limits = NO_LIMITS
    cache: Cache = Cache()
    guardrails: tuple[Guardrail, ...] = ()


EMPTY: Final = Policy()


def decode(raw: dict[str, Any] | None) -> Policy:
    """The policy in `raw`, as `sparse` or a person wrote it; what this version does not know is dropped."""
    if not raw:
        return EMPTY
    policy: Policy = _build(Policy, raw)
    return policy


def sparse(policy: Policy) -> dict[str, Any]:
    """Only what differs from the empty policy: `decode(sparse(p)) == p`, and "{}" is what most endpoints have."""
    told: dict[str, Any] = _told(policy)
    return told


def _told(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_told(item) for item in value]
    if type(value) not in _NESTED and not isinstance(value, Policy):
        return value
    found = {}
    for one in fields(value):
        told = getattr(value, one.name)
        # A guardrail's kind has no default, and what it says is said whole: it reads better in a diff.
        if isinstance(value, Guardrail) or told != one.default:
            found[one.name] = _told(told)
    return found


def _build(kind: Any, raw: dict[str, Any]) -> Any:
    hints = _hints(kind)
    return kind(**{name: _value(hint, raw[name]) for name, hint in hints.items() if name in raw})


@cache
def _hints(kind: Any) -> dict[str, Any]:
    """Working these out takes longer than all the rest of a policy."""
    return get_type_hints(kind)


def _value(hint: Any, value: Any) -> Any:
    if hint in _NESTED and isinstance(value, dict):
        return _build(hint, value)
    if get_origin(hint) is tuple and isinstance(value, list | tuple):
        return tuple(_value(get_args(hint)[0], item) for item in value)
    return value


_NESTED: Final[frozenset[type | UnionType]] = frozenset({Limits, Timeouts, Retries, Breaker, Hedge, Cache, Guardrail})
