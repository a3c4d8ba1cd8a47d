"""What a running job sees. A job's function is `def run(context: JobContext) -> dict[str, Any]`.

Each job runs in a child process of the worker, so it may import what is heavy and use all of a core. It may be killed at
any moment and started again with the same `args`: it looks at what is already there and goes on from it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from noria.core.errors import NoriaError
from noria.stores.connect import Stores


class JobCancelled(NoriaError):
    """Somebody cancelled the job; raised inside it by `JobContext.progress` and `JobContext.check`."""

    status = 409
    code = "cancelled"


@dataclass(frozen=True, slots=True)
class JobContext:
    """One execution of one job."""

    job_id: str
    project_id: str
    actor_id: str
    args: dict[str, Any]
    stores: Stores
    report: Callable[[int, int, str], None]
    """Writes progress where readers see it; raises JobCancelled."""
    point: Callable[[int, dict[str, float]], None]
    """Writes one point of a curve (step, {"loss": 1.2})."""

    def progress(self, done: int, total: int, note: str = "") -> None:
        """Say how far the job is (written at most four times a second). Raises JobCancelled when somebody cancelled it."""
        self.report(done, total, note)

    def check(self) -> None:
        """Raise JobCancelled when somebody cancelled the job; cheap enough for an inner loop."""
        self.report(-1, -1, "")

    @property
    def work(self) -> Path:
        """A folder of this job alone that survives a kill; removed when the job has ended."""
        path = self.stores.settings.folder.work / self.job_id
        path.mkdir(parents=True, exist_ok=True)
        return path
