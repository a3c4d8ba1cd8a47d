"""CPU time of an evaluation: of this process, and of the local engine that answers it.

The engine is another process and may serve others too; its whole CPU time between two looks is counted, so the figure is
exact only while nobody else uses that engine. A provider elsewhere costs no CPU here and counts nothing.
"""

import time

import orjson
import psutil

from noria.core.settings import Settings
from noria.evaluation.records import Evaluation
from noria.registry import snapshot


class CpuClock:
    """CPU seconds since the last look."""

    def __init__(self, settings: Settings, evaluation: Evaluation) -> None:
        self._settings = settings
        self._evaluation = evaluation
        self._own = time.process_time()
        self._engine: psutil.Process | None = None
        self._engine_seen = 0.0
        self._engine_seconds()

    def seconds(self) -> float:
        """Of both, since this was last called (or the clock was made)."""
        own = time.process_time()
        used, self._own = own - self._own, own
        return used + self._engine_seconds()

    def _engine_seconds(self) -> float:
        if self._evaluation.baseline:
            return 0.0
        try:
            if self._engine is None or not self._engine.is_running():
                self._engine = self._find()
                self._engine_seen = _cpu(self._engine) if self._engine else 0.0
                return 0.0
            now = _cpu(self._engine)
        except psutil.Error:
            self._engine = None
            return 0.0
        used, self._engine_seen = now - self._engine_seen, now
        return used

    def _find(self) -> psutil.Process | None:
        """The process of the engine that serves the evaluation's release, if it runs on this machine."""
        endpoint, _, number = self._evaluation.target.partition("@")
        current = snapshot.read(self._settings.folder.snapshot)
        entry = current.endpoint(self._evaluation.project_id, endpoint) if current else None
        release = entry.releases.get(int(number)) if entry else None
        if release is None or not release.engine:
            return None
        try:
            engines = orjson.loads(self._settings.folder.engines.read_bytes())
        except (FileNotFoundError, ValueError):
            return None
        pid = engines.get(release.engine, {}).get("pid")
        return psutil.Process(pid) if pid else None


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)
