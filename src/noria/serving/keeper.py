"""Keeps the local engines running that the snapshot wants. Lives in the supervisor; each tick is short and never waits.

In: Snapshot.engines. Out: one child process an engine, and `Folder.engines`, which tells the gateway where each listens.
An engine that nobody wants any more drains first, because a request may still be on its way to it.
"""

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

import orjson

from noria.core.folder import Folder
from noria.core.settings import Settings
from noria.registry.snapshot import EngineEntry, Snapshot
from noria.serving.engine import HOST
from noria.stores import lifeline

DRAIN = 15.0
"""Seconds that an unwanted engine goes on, for requests that are under way."""
LONGEST_PAUSE = 30.0
SETTLED = 60.0
"""Seconds after which an engine counts as running well, so that its next death starts with a short pause again."""
_LARGE_LOG = 5_000_000


@dataclass(slots=True)
class Status:
    """What Folder.engines says about one engine."""

    url: str = ""
    state: Literal["starting", "ready", "failed"] = "starting"
    pid: int = 0
    error: str = ""


@dataclass(slots=True)
class _Engine:
    entry: EngineEntry
    status: Status = field(default_factory=Status)
    process: subprocess.Popen[bytes] | None = None
    port: int = 0
    started_at: float = 0.0
    again_at: float = 0.0
    deaths: int = 0
    unwanted_since: float = 0.0


class EngineKeeper:
    """All local engines of one supervisor. Call every method from the thread that made it: engines die with that thread."""

    def __init__(self, settings: Settings, *, drain: float = DRAIN) -> None:
        self._settings = settings
        self._drain = drain
        self._engines: dict[str, _Engine] = {}
        self._written: bytes | None = None
        self._write()  # what an earlier supervisor left there is no longer true

    def tick(self, snapshot: Snapshot) -> None:
        """One step toward the engines that `snapshot` wants."""
        now = time.monotonic()
        for key, entry in snapshot.engines.items():
            self._engines.setdefault(key, _Engine(entry)).unwanted_since = 0.0
        for key, engine in list(self._engines.items()):
            if key not in snapshot.engines:
                engine.unwanted_since = engine.unwanted_since or now
                if engine.status.state != "ready" or now - engine.unwanted_since >= self._drain:
                    _end([engine], patience=2.0)
                    del self._engines[key]
                    continue
            self._advance(engine, now)
        self._write()

    def stop(self) -> None:
        """End all engines."""
        _end(list(self._engines.values()), patience=2.0)
        self._engines.clear()
        self._write()

    def _advance(self, engine: _Engine, now: float) -> None:
        if engine.process is None:
            if now >= engine.again_at:
                self._start(engine, now)
        elif engine.process.poll() is not None:
            self._note_death(engine, now)
        elif engine.status.state == "starting" and _answers(engine):
            engine.status.state = "ready"
            engine.status.error = ""

    def _start(self, engine: _Engine, now: float) -> None:
        engine.port = _free_port()
        engine.started_at = now
        entry = engine.entry
        command = [sys.executable, "-m", "noria", "engine", "--model", entry.model_path]
        command += ["--adapter", entry.adapter_path] if entry.adapter_path else []
        command += ["--port", str(engine.port), "--name", entry.key]
        log = _log(self._settings.folder, entry.key)
        log.parent.mkdir(parents=True, exist_ok=True)
        if log.exists() and log.stat().st_size > _LARGE_LOG:
            log.replace(log.with_suffix(".old.log"))
        with log.open("ab") as output:
            engine.process = subprocess.Popen(
                command,
                env=lifeline.mark({**os.environ, **self._settings.environment()}),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,  # Ctrl-C reaches the supervisor alone
            )
        # The error of the last death stays to be read until the engine is ready.
        engine.status.url = f"http://{HOST}:{engine.port}"
        engine.status.state = "starting"
        engine.status.pid = engine.process.pid

    def _note_death(self, engine: _Engine, now: float) -> None:
        assert engine.process is not None  # noqa: S101 - for the type checker; the caller looked
        code = engine.process.returncode
        engine.process = None
        engine.deaths = 1 if now - engine.started_at > SETTLED else engine.deaths + 1
        engine.again_at = now + min(LONGEST_PAUSE, 0.5 * 2 ** (engine.deaths - 1) if engine.deaths > 1 else 0.0)
        engine.status = Status(state="failed", error=self._how(engine, code))

    def _how(self, engine: _Engine, code: int) -> str:
        if code < 0:
            with suppress(ValueError):
                return f"ended by {signal.Signals(-code).name}"
        try:
            lines = _log(self._settings.folder, engine.entry.key).read_text(errors="replace").strip().splitlines()
        except OSError:
            lines = []
        told = [line.removeprefix("noria: ") for line in lines if line.startswith("noria: ")]
        return (told or lines or [f"ended with status {code}"])[-1][:300]

    def _write(self) -> None:
        """Replace Folder.engines when something changed."""
        data = orjson.dumps({key: asdict(engine.status) for key, engine in self._engines.items()})
        if data == self._written:
            return
        path = self._settings.folder.engines
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.{os.getpid()}")
        temporary.write_bytes(data)
        temporary.replace(path)
        self._written = data


def _log(folder: Folder, key: str) -> Path:
    return folder.logs / f"engine-{key[:12]}.log"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def _answers(engine: _Engine) -> bool:
    """Whether the engine itself (and not another that took its port) has loaded its model."""
    connection = http.client.HTTPConnection(HOST, engine.port, timeout=0.25)
    try:
        connection.request("GET", "/v1/models")
        answer = connection.getresponse()
        return answer.status == http.HTTPStatus.OK and engine.entry.key.encode() in answer.read()
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _end(engines: list[_Engine], *, patience: float) -> None:
    """Ask all at once, wait a little, then insist."""
    running = [engine.process for engine in engines if engine.process is not None]
    for process in running:
        process.terminate()
    deadline = time.monotonic() + patience
    for process in running:
        try:
            process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
