"""People, keys and audit entries as the service gives them out. None holds a password, a key or a digest."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from noria.governance.limits import NO_LIMITS, Limits

Role = Literal["viewer", "editor", "reviewer", "admin"]
Scope = Literal["call", "candidate", "write_traces", "manage"]


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody with an account, and their role in the project that was asked about."""

    id: str
    email: str
    name: str
    role: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class KeyRow:
    """One API key. `hint` is what may be shown of it; the key itself was shown once and is not kept."""

    id: str
    project_id: str
    name: str
    scope: str
    role: str
    release: str
    live: bool
    hint: str
    person_id: str | None
    """The person the key acts as (scope "manage"); None: the key acts as itself."""
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    limits: Limits = NO_LIMITS
    projects: tuple[str, ...] = ()
    """Names of the other projects that it may write traces to (scope "write_traces"), sorted."""


@dataclass(frozen=True, slots=True)
class GuestKey:
    """A key of another project that may write traces to this one."""

    id: str
    name: str
    hint: str
    project: str
    """Name of the project that the key is of."""
    since: datetime


@dataclass(frozen=True, slots=True)
class Project:
    """A project, what all that is called in it may use together, and how long its spans stay."""

    id: str
    name: str
    created_at: datetime
    limits: Limits
    keep_span_days: int | None = None
    """Days that its spans and scores are kept; None: the installation's setting of that name."""


@dataclass(frozen=True, slots=True)
class GatewayKey:
    """A valid key as the gateway needs it; the fields of noria.registry.snapshot.KeyEntry."""

    id: str
    project_id: str
    digest: str
    scope: str
    release: str
    live: bool
    expires_at: float
    """Unix seconds; 0: never."""
    limits: Limits


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """Who did what to which thing, when and why."""

    id: str
    project_id: str
    time: datetime
    actor_id: str
    actor: str
    """Name of the person or key at the time of reading; empty for the installation itself."""
    verb: str
    target_kind: str
    target_id: str
    reason: str = ""
    details: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FirstLogin:
    """What the first start prints, once."""

    project_id: str
    email: str
    password: str
    key: str
