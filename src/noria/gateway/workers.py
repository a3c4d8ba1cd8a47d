"""Several gateway processes behind one listening socket, and their exchange without a dropped connection.

In: settings with `gateway_workers` above one. Out: a master that serves nothing itself: it holds the socket, so that a connection that
nobody has taken yet survives every worker, starts what dies again, and ends when told to. The decision to know: SIGHUP starts a
whole new set of workers (new code, new settings), waits until each is ready, and only then lets the old ones finish what
they have under way and go.
"""

import logging
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Final

from noria.core.errors import Conflict
from noria.core.settings import Settings
from noria.stores import lifeline

_log = logging.getLogger("noria.gateway")
_TURN: Final = 0.1
_READY_SECONDS: Final = 30.0
_LONGEST_PAUSE: Final = 10.0
READY_FD: Final = "NORIA_GATEWAY_READY_FD"
LISTEN_FD: Final = "NORIA_GATEWAY_LISTEN_FD"


@dataclass(slots=True)
class _Worker:
    process: subprocess.Popen[bytes]
    ready: int
    """The reading end of a pipe on which the worker says that it serves; -1 once it has."""
    born: float


class Master:
    """Runs `gateway_workers` workers until told to end."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._socket = _listen(settings.host, settings.gateway_port)
        self._metrics = metrics_folder(settings)
        shutil.rmtree(self._metrics, ignore_errors=True)  # figures begin with the process, as without a master
        self._metrics.mkdir(parents=True)
        self._workers: list[_Worker] = []
        self._leaving: list[_Worker] = []
        self._stop = False
        self._reload = False
        self._pause = 0.0
        self._start_at = 0.0

    def run(self) -> None:
        """Stay until SIGTERM or SIGINT."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_stop)
        signal.signal(signal.SIGHUP, self._on_reload)
        self._workers = [self._spawn() for _ in range(self._settings.gateway_workers)]
        while not self._stop:
            self._tend()
            if self._reload:
                self._reload = False
                self._exchange()
            time.sleep(_TURN)
        self._end()

    def _spawn(self) -> _Worker:
        reading, writing = os.pipe()
        listening = self._socket.fileno()
        environment = lifeline.mark({**os.environ, **self._settings.environment()})
        environment |= {"NORIA_GATEWAY_WORKERS": "1", LISTEN_FD: str(listening), READY_FD: str(writing)}
        process = subprocess.Popen(
            [sys.executable, "-m", "noria", "gateway"], env=environment, pass_fds=(listening, writing)
        )
        os.close(writing)
        os.set_blocking(reading, False)
        return _Worker(process, reading, time.monotonic())

    def _tend(self) -> None:
        """Take note of what is ready, and start what has died again, slower when it keeps dying."""
        for worker in self._leaving[:]:
            if worker.process.poll() is not None:
                self._leaving.remove(worker)
        for worker in self._workers:
            _hear(worker)
        dead = [worker for worker in self._workers if worker.process.poll() is not None]
        now = time.monotonic()
        for worker in dead:
            self._workers.remove(worker)
            well = worker.ready < 0 and now - worker.born > _LONGEST_PAUSE
            self._pause = 0.0 if well else min(max(0.1, self._pause * 2), _LONGEST_PAUSE)
            self._start_at = now + self._pause
            _close(worker)
            _log.error("gateway worker %d ended with status %s", worker.process.pid, worker.process.returncode)
        if len(self._workers) < self._settings.gateway_workers and now >= self._start_at:
            self._workers.append(self._spawn())

    def _exchange(self) -> None:
        """A new set of workers in the place of the old one; the old one stays when the new one does not come up."""
        fresh = [self._spawn() for _ in range(self._settings.gateway_workers)]
        end = time.monotonic() + _READY_SECONDS
        while any(worker.ready >= 0 for worker in fresh) and time.monotonic() < end and not self._stop:
            for worker in fresh:
                _hear(worker)
            if any(worker.process.poll() is not None for worker in fresh):
                break
            time.sleep(_TURN)
        if any(worker.ready >= 0 or worker.process.poll() is not None for worker in fresh):
            _log.error("the new workers did not come up; the old ones stay")
            for worker in fresh:
                _ask(worker)
            self._leaving += fresh
            return
        for worker in self._workers:
            _ask(worker)
        self._leaving += self._workers
        self._workers = fresh
        _log.info("exchanged %d workers", len(fresh))

    def _end(self) -> None:
        """Every worker finishes what it has under way; each has a limit of its own for that."""
        everyone = [*self._workers, *self._leaving]
        for worker in everyone:
            _ask(worker)
        for worker in everyone:
            worker.process.wait()
            _close(worker)
        self._socket.close()

    def _on_stop(self, _number: int, _frame: FrameType | None) -> None:
        self._stop = True

    def _on_reload(self, _number: int, _frame: FrameType | None) -> None:
        self._reload = True


def listening_socket() -> socket.socket | None:
    """In a worker: the master's socket. None in a gateway without a master."""
    number = os.environ.get(LISTEN_FD)
    return socket.socket(fileno=int(number)) if number else None


def ready_signal() -> Callable[[], None]:
    """In a worker: tells the master that it serves; does nothing without one."""
    number = os.environ.pop(READY_FD, "")

    def tell() -> None:
        if number:
            os.write(int(number), b"1")
            os.close(int(number))

    return tell


def metrics_folder(settings: Settings) -> Path:
    """Where the workers keep their figures, for whichever of them is asked."""
    return settings.folder.run / "metrics"


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except OSError as error:
        raise Conflict(f"Port {port} cannot be used on {host}: {error.strerror}.", hint="Choose another.") from error
    listening.listen(2048)
    listening.set_inheritable(True)
    return listening


def _hear(worker: _Worker) -> None:
    if worker.ready < 0:
        return
    try:
        said = os.read(worker.ready, 1)
    except BlockingIOError:
        return
    if said:
        _close(worker)


def _ask(worker: _Worker) -> None:
    if worker.process.poll() is None:
        worker.process.send_signal(signal.SIGTERM)


def _close(worker: _Worker) -> None:
    if worker.ready >= 0:
        os.close(worker.ready)
        worker.ready = -1
