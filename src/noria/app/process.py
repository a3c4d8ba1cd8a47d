"""One process of Noria as its supervisor sees it: started, watched, started again with growing pauses, ended.

A process writes to `logs/<role>.log`; the log turns over when the process starts and the file has grown large.
"""

import http.client
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urlsplit

import psutil

from noria import __version__
from noria.core.settings import Settings
from noria.stores import lifeline

HELLO = "NORIA_HELLO_FD"
"""Environment variable: where the server tells the supervisor the first login, so that it is in no log and no file."""
LARGE_LOG = 10_000_000
KEPT_LOGS = 3
LONGEST_PAUSE = 10.0
SETTLED = 20.0
"""Seconds after which a process counts as running well, so that its next death is a new story."""


@dataclass(frozen=True, slots=True)
class Role:
    """A kind of process: `python -m noria <name>`."""

    name: str
    outlives: bool = False
    """Whether it goes on when the supervisor is killed."""
    tells: bool = False
    """Whether it has something to tell the supervisor alone (see HELLO)."""


class Process:
    """One role's process, over all its lives."""

    def __init__(self, role: Role, settings: Settings) -> None:
        self.role = role
        self.settings = settings
        self._handle: subprocess.Popen[bytes] | psutil.Process | None = None
        self._started_at = 0.0
        self._again_at = 0.0
        self._deaths = 0
        self._ear = -1

    @property
    def name(self) -> str:
        return self.role.name

    @property
    def pid(self) -> int:
        return 0 if self._handle is None else int(self._handle.pid)

    def start(self) -> None:
        """Start it now."""
        environment = {**os.environ, **self.settings.environment()}
        environment = environment if self.role.outlives else lifeline.mark(environment)
        pipe = self._open_pipe() if self.role.tells else -1
        if pipe >= 0:
            environment[HELLO] = str(pipe)
        with _open_log(self.settings.folder.logs / f"{self.name}.log") as log:
            self._handle = subprocess.Popen(
                [sys.executable, "-m", "noria", self.name],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(pipe,) if pipe >= 0 else (),
                start_new_session=True,  # Ctrl-C reaches the supervisor alone, which then ends the others in order
            )
        if pipe >= 0:
            os.close(pipe)
        self._started_at = time.monotonic()
        self._again_at = 0.0
        if self.role.outlives:
            _remember(self.settings, self._handle.pid)

    def _open_pipe(self) -> int:
        """A fresh pipe: this process keeps the reading end; returns the writing one."""
        self._stop_listening()
        self._ear, writing = os.pipe()
        os.set_blocking(self._ear, False)
        return writing

    def heard(self) -> bytes:
        """What the process told since it started; empty when it has not, or has nothing to tell."""
        if self._ear < 0:
            return b""
        try:
            said = os.read(self._ear, 65_536)
        except BlockingIOError:
            return b""
        self._stop_listening()
        return said

    def _stop_listening(self) -> None:
        if self._ear >= 0:
            os.close(self._ear)
            self._ear = -1

    def take(self, running: psutil.Process) -> None:
        """Watch a process that somebody else started."""
        self._handle = running
        self._started_at = time.monotonic()

    def alive(self) -> bool:
        if isinstance(self._handle, subprocess.Popen):
            return self._handle.poll() is None
        if self._handle is None:
            return False
        with suppress(psutil.Error):
            return bool(self._handle.is_running() and self._handle.status() != psutil.STATUS_ZOMBIE)
        return False

    def turn(self) -> str:
        """Start the process again if it died and its pause is over; what to tell people, or nothing."""
        if self.alive():
            return ""
        now = time.monotonic()
        if not self._again_at:
            self._deaths = 1 if now - self._started_at > SETTLED else self._deaths + 1
            pause = 0.0 if self._deaths == 1 else min(LONGEST_PAUSE, 0.25 * 2 ** (self._deaths - 2))
            self._again_at = now + pause
            return f"{self.name} ended ({self._how()}); starting it again" + (f" in {pause:.1f} s" if pause else "")
        if now >= self._again_at:
            self.start()
        return ""

    def _how(self) -> str:
        code = self._handle.returncode if isinstance(self._handle, subprocess.Popen) else None
        if code is None:
            return "nobody knows how"
        if code < 0:
            return signal.Signals(-code).name
        return f"status {code}: {_last_line(self.settings.folder.logs / f'{self.name}.log')}"

    def ask_to_end(self) -> None:
        if self._handle is not None and self.alive():
            with suppress(ProcessLookupError, psutil.Error):
                self._handle.terminate()

    def kill(self) -> None:
        """End what is left of it."""
        self._stop_listening()
        if self._handle is None:
            return
        if self.alive():
            with suppress(ProcessLookupError, psutil.Error):
                self._handle.kill()
        with suppress(psutil.Error):
            self._handle.wait(5)


def answers(url: str) -> bool:
    """Whether the process at `url` says that it is well."""
    where = urlsplit(url)
    connection = http.client.HTTPConnection(where.hostname or "", where.port, timeout=1.0)
    try:
        connection.connect()
        # close with a reset: many questions would else leave as many ports waiting for a minute, maybe the one we wait for
        connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.request("GET", "/healthz")
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def describe(email: str, password: str, key: str) -> str:
    """The first login, for a terminal."""
    return (
        "\nThis is the first start. Shown once, so keep it:\n"
        f"  email      {email}\n  password   {password}\n  API key    {key}\n"
    )


def adopt(settings: Settings) -> Process | None:
    """The gateway that outlived an earlier supervisor of this folder, if it can go on; else it is ended here."""
    try:
        noted = json.loads(_note(settings).read_text())
        running = psutil.Process(noted["pid"])
        if abs(running.create_time() - noted["created"]) > 1 or running.status() == psutil.STATUS_ZOMBIE:
            return None
    except (OSError, ValueError, KeyError, psutil.Error):
        return None
    if (noted["version"], noted["host"], noted["port"]) == _identity(settings):
        process = Process(Role("gateway", outlives=True), settings)
        process.take(running)
        return process
    running.terminate()
    with suppress(psutil.TimeoutExpired):
        running.wait(5)
    return None


def _identity(settings: Settings) -> tuple[str, str, int]:
    return __version__, settings.host, settings.gateway_port


def _note(settings: Settings) -> Path:
    return settings.folder.run / "gateway.json"


def _remember(settings: Settings, pid: int) -> None:
    version, host, port = _identity(settings)
    created = psutil.Process(pid).create_time()
    noted = {"pid": pid, "created": created, "version": version, "host": host, "port": port}
    temporary = _note(settings).with_suffix(".new")
    temporary.write_text(json.dumps(noted))
    temporary.replace(_note(settings))


def _open_log(path: Path) -> BinaryIO:
    """The log for appending, after turning it over if it has grown large."""
    if path.exists() and path.stat().st_size > LARGE_LOG:
        for number in range(KEPT_LOGS - 1, 0, -1):
            with suppress(FileNotFoundError):
                path.with_suffix(f".log.{number}").replace(path.with_suffix(f".log.{number + 1}"))
        path.replace(path.with_suffix(".log.1"))
    return path.open("ab")


def _last_line(path: Path) -> str:
    with path.open("rb") as log:
        log.seek(0, os.SEEK_END)
        log.seek(max(0, log.tell() - 2000))
        lines = log.read().decode("utf-8", "replace").strip().splitlines()
    told = [line for line in lines if " ERROR " in line or "Error" in line] or lines
    return told[-1][:300] if told else "its log is empty"
