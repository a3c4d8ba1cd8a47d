"""The job as everybody sees it: service, API and pages."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

JobState = Literal["queued", "running", "done", "failed", "cancelled"]
ENDED: frozenset[JobState] = frozenset({"done", "failed", "cancelled"})


@dataclass(frozen=True, slots=True)
class Job:
    """Durable background work. `total` 0 means that nobody knows yet how much there is to do."""

    id: str
    project_id: str
    name: str
    """"datasets.import": a name that some slice's manifest maps to a function."""
    args: dict[str, Any]
    state: JobState
    done: int
    total: int
    note: str
    """What it is doing now, for people."""
    result: dict[str, Any] | None
    error: dict[str, str] | None
    """{"code", "message", "hint"} of a job that failed."""
    actor_id: str
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    cpu_seconds: float
    """CPU time of the job's process and its children, over all its executions."""

    @property
    def ended(self) -> bool:
        return self.state in ENDED
