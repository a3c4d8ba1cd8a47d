"""The process of one execution of one job: `python -m noria.jobs.child`, started by noria.jobs.worker.

In: the claim (JSON) and the handler's "module:function" in the environment. Out: progress, points and the end, written to the
job's row. SIGTERM raises JobCancelled wherever the job is; if it does not let go, the worker kills it.
"""

import contextlib
import errno
import json
import logging
import math
import os
import resource
import signal
import time
import traceback
from types import FrameType

from noria.core import settings as core_settings
from noria.core.errors import NoriaError
from noria.core.slices import resolve
from noria.jobs import queue
from noria.jobs.context import JobCancelled, JobContext
from noria.stores import lifeline
from noria.stores.connect import Stores

logger = logging.getLogger("noria.jobs")

CLAIM = "NORIA_JOB_CLAIM"
HANDLER = "NORIA_JOB_HANDLER"
MARK = "NORIA_JOB_ID"
"""Is in the environment of the child and of all it starts, so that leftovers can be found."""

_INTERVAL = 0.25


class Reporter:
    """Writes progress and points to the job's row, at most four times a second, and notices cancellation."""

    def __init__(self, stores: Stores, job: queue.Claim) -> None:
        self._stores = stores
        self._job = job
        self._written_at = 0.0
        self._cpu_written = 0.0
        self._progress: tuple[int, int, str] | None = None
        self._points: dict[int, dict[str, float]] = {}
        self.cancelled = False

    def on_signal(self, _number: int, _frame: FrameType | None) -> None:
        first, self.cancelled = not self.cancelled, True
        if first:
            raise JobCancelled("The job was stopped.")

    def report(self, done: int, total: int, note: str) -> None:
        self._check()
        if done >= 0:
            self._progress = (done, total, note)
            self._write_when_due()

    def point(self, step: int, values: dict[str, float]) -> None:
        self._check()
        # JSON has no NaN: a loss that ran away is left out of its point
        self._points[step] = {name: float(value) for name, value in values.items() if math.isfinite(value)}
        self._write_when_due()

    def _check(self) -> None:
        if self.cancelled:
            raise JobCancelled("The job was stopped.")

    def _write_when_due(self) -> None:
        if time.monotonic() - self._written_at >= _INTERVAL:
            self.flush()

    def flush(self) -> None:
        """Write what is still held back."""
        self._written_at = time.monotonic()
        if self._points:
            collected, self._points = self._points, {}
            queue.add_points(self._stores, self._job, collected)
        if self._progress is not None:
            (done, total, note), self._progress = self._progress, None
            queue.progress(self._stores, self._job, done=done, total=total, note=note, cpu_seconds=self.new_cpu())

    def new_cpu(self) -> float:
        """CPU seconds of this process and its ended children since the last call."""
        used = sum(
            usage.ru_utime + usage.ru_stime
            for usage in (resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN))
        )
        new, self._cpu_written = used - self._cpu_written, used
        return new


def main() -> None:
    lifeline.tie_to_parent()
    job = queue.Claim(**json.loads(os.environ[CLAIM]))
    stores = Stores(core_settings.load())
    reporter = Reporter(stores, job)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)  # a line for each request of an evaluation says nothing
    with contextlib.suppress(OSError):
        os.nice(5)  # answering callers comes before background work
    signal.signal(signal.SIGTERM, reporter.on_signal)
    try:
        _run(stores, job, reporter, os.environ[HANDLER])
    except JobCancelled:
        queue.add_cpu(stores, job, reporter.new_cpu())
        logger.info("job %s %s was stopped", job.name, job.id)
    finally:
        stores.close()


def _run(stores: Stores, job: queue.Claim, reporter: Reporter, handler: str) -> None:
    """The boundary of jobs: whatever goes wrong inside becomes the job's error, in words for people."""
    try:
        function = resolve(handler)
        context = JobContext(
            job.id, job.project_id, job.actor_id, job.args, stores, report=reporter.report, point=reporter.point
        )
        result = function(context)
        json.dumps(result, allow_nan=False)
        reporter.flush()
    except JobCancelled:
        raise
    except Exception as error:  # noqa: BLE001 - the job boundary
        words = explain(error)
        logger.error("job %s %s failed: %s (%s)", job.name, job.id, words["code"], _place(error))
        with contextlib.suppress(JobCancelled):
            reporter.flush()
        queue.fail(stores, job, **words, cpu_seconds=reporter.new_cpu())
    else:
        queue.finish(stores, job, result=result, cpu_seconds=reporter.new_cpu())


def explain(error: Exception) -> dict[str, str]:
    """code, message and hint. The text of unknown errors stays out: it may hold somebody's data."""
    if isinstance(error, NoriaError):
        return {"code": error.code, "message": error.message, "hint": error.hint}
    if isinstance(error, ImportError):
        message = f"This needs a package that is not installed here: {error.name or 'unknown'}."
        return {"code": "missing_package", "message": message, "hint": "`noria doctor` says how to get it."}
    if isinstance(error, MemoryError):
        return {
            "code": "out_of_memory",
            "message": "There was not enough memory.",
            "hint": "Give it less to do at once.",
        }
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        hint = "Make room and start it again; what was finished is kept."
        return {"code": "disk_full", "message": "The disk is full.", "hint": hint}
    message = f"Something in Noria went wrong: {type(error).__name__} in {_place(error)}."
    return {"code": "internal", "message": message, "hint": "Nothing that was finished is lost. Please report this."}


def _place(error: Exception) -> str:
    frames = traceback.extract_tb(error.__traceback__)[-3:]
    return " < ".join(
        f"{f.filename.rpartition('site-packages/')[2].rpartition('src/')[2]}:{f.lineno}" for f in reversed(frames)
    )


if __name__ == "__main__":
    main()
