"""The worker: claims jobs, runs each in a child process of its own, and decides what a child's end means.

In: the stores and a mapping of job names to "module:function". The worker never imports a job's code; it holds a slot
(a lock on this machine, a lease in the database), and whoever takes the slot next takes back its jobs at once.
"""

import contextlib
import hashlib
import json
import logging
import os
import platform
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field

import psutil
from sqlalchemy.exc import OperationalError

from noria.core.errors import Conflict, Unavailable
from noria.core.settings import Settings
from noria.jobs import child, leftovers, queue
from noria.stores import lifeline
from noria.stores.connect import Stores
from noria.stores.lock import PidLock

logger = logging.getLogger("noria.jobs")

POLL = 0.25
RENEW = 5.0
GRACE = 10.0
_HOUR = 3600.0
_SLOTS = 64


@dataclass(slots=True)
class _Running:
    """One child and the job it works on."""

    job: queue.Claim
    process: subprocess.Popen[bytes]
    stop_at: float = 0.0
    """When the child was asked to end, on the monotonic clock; 0: it was not."""

    def signal_group(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, number)


@dataclass(slots=True)
class Worker:
    """Runs up to `settings.worker_slots` jobs at a time until `stop` is set."""

    stores: Stores
    handlers: Mapping[str, str]
    stop: threading.Event = field(default_factory=threading.Event)
    _running: dict[str, _Running] = field(default_factory=dict)
    _renewed_at: float = 0.0
    _forgot_at: float = 0.0

    def run(self) -> None:
        """Work until `stop` is set; then the children are ended and their jobs queued again."""
        with contextlib.ExitStack() as stack:
            owner = stack.enter_context(_slot(self.stores.settings))
            for job_id in queue.release_all(self.stores, owner):
                logger.info("taking job %s up again", job_id)
            stack.callback(self._end)
            while not self.stop.wait(POLL if not self._running else POLL / 2):
                self._turn(owner)

    def _turn(self, owner: str) -> None:
        try:
            self._reap()
            self._stop_unwanted(owner)
            while len(self._running) < self.stores.settings.worker_slots:
                job = queue.claim(self.stores, owner)
                if job is None:
                    break
                self._start(job)
            self._keep_house(owner)
        except (Unavailable, OperationalError) as error:
            # the database is away: running children go on, and their leases outlast a short absence
            logger.warning("the database cannot be reached: %s", type(error).__name__)
            self.stop.wait(1.0)

    def _start(self, job: queue.Claim) -> None:
        handler = self.handlers.get(job.name)
        if handler is None:
            message = f"This version of Noria has no job named {job.name!r}."
            queue.fail(self.stores, job, code="unknown_job", message=message, hint="Was Noria downgraded?")
            return
        _kill_leftovers(job.id)
        environment = {
            **os.environ,
            **self.stores.settings.environment(),
            child.CLAIM: json.dumps(asdict(job)),
            child.HANDLER: handler,
            child.MARK: job.id,
        }
        process = subprocess.Popen(
            [sys.executable, "-m", "noria.jobs.child"],
            env=lifeline.mark(environment),
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        logger.info("job %s %s runs as process %d", job.name, job.id, process.pid)
        self._running[job.id] = _Running(job, process)

    def _reap(self) -> None:
        for running in list(self._running.values()):
            if (code := running.process.poll()) is not None:
                running.signal_group(signal.SIGKILL)  # what the job started does not outlive it
                del self._running[running.job.id]
                state = queue.settle(self.stores, running.job, cause=_cause(code))
                logger.info("job %s %s: %s", running.job.name, running.job.id, state)
                if state not in {"queued", "running"}:
                    shutil.rmtree(self.stores.settings.folder.work / running.job.id, ignore_errors=True)

    def _stop_unwanted(self, owner: str) -> None:
        now = time.monotonic()
        if not self._running:
            return
        for job_id in queue.to_stop(self.stores, owner, list(self._running)):
            running = self._running[job_id]
            if not running.stop_at:
                running.stop_at = now
                running.signal_group(signal.SIGTERM)
            elif now - running.stop_at > GRACE:
                running.signal_group(signal.SIGKILL)

    def _keep_house(self, owner: str) -> None:
        now = time.monotonic()
        if self._running and now - self._renewed_at > RENEW:
            self._renewed_at = now
            queue.renew(self.stores, owner)
        if not self._forgot_at or now - self._forgot_at > _HOUR:
            self._forgot_at = now
            queue.forget_old(self.stores)
            leftovers.sweep(self.stores)

    def _end(self) -> None:
        """End the children, within two seconds, and give their jobs back."""
        for running in self._running.values():
            running.signal_group(signal.SIGTERM)
        deadline = time.monotonic() + 2
        for running in self._running.values():
            with contextlib.suppress(subprocess.TimeoutExpired):
                running.process.wait(max(0.0, deadline - time.monotonic()))
            running.signal_group(signal.SIGKILL)
            running.process.wait()
            queue.put_back(self.stores, running.job)
        self._running.clear()


@contextlib.contextmanager
def _slot(settings: Settings) -> Iterator[str]:
    """Hold the first free slot of this machine and data folder; gives the owner's name, the same after a restart."""
    place = hashlib.sha256(str(settings.data).encode()).hexdigest()[:8]
    for number in range(_SLOTS):
        lock = PidLock(settings.folder.run / f"worker-{number}.lock")
        try:
            lock.__enter__()
        except Conflict:
            continue
        try:
            yield f"{platform.node()[:40]}/{place}/worker-{number}"
        finally:
            lock.__exit__(None, None, None)
        return
    raise Conflict(f"{_SLOTS} workers already run in this data folder.", hint="Stop some of them.")


def _kill_leftovers(job_id: str) -> None:
    """Kill what an earlier execution of the job left running on this machine, so that no two ever write at once."""
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.environ().get(child.MARK) == job_id and process.pid != os.getpid():
                process.kill()


def _cause(code: int) -> str:
    if code >= 0:
        return f"it exited with status {code}"
    name = signal.Signals(-code).name
    return f"{name} killed it" + (" (as the system does when memory runs out)" if name == "SIGKILL" else "")
