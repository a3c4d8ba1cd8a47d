"""The installation that the demo plays on: a data folder of its own, `noria up` as a child, three people, and the CPU bill."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil

from noria.core.errors import Unavailable
from noria.core.settings import Settings

READY_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Login:
    email: str
    password: str


def fresh_folder(root: Path) -> Path:
    """The next data folder that nobody used yet: root/demo-1, root/demo-2, …"""
    taken = [int(m[1]) for p in root.glob("demo-*") if (m := re.fullmatch(r"demo-(\d+)", p.name))]
    return root / f"demo-{max(taken, default=0) + 1}"


def free_port() -> int:
    """A loopback port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Installation:
    """`noria up` on a data folder, as a child process."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.process: subprocess.Popen[bytes] | None = None
        self._log = settings.data.with_name(settings.data.name + "-up.log")
        self._others: list[subprocess.Popen[bytes]] = []
        self._spent = 0.0

    def start(self) -> float:
        """Start it and wait until gateway and server answer; returns the seconds that took. Raises Unavailable."""
        self.settings.data.parent.mkdir(parents=True, exist_ok=True)
        began = time.monotonic()
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "noria", "up"],
                env={**os.environ, **self.settings.environment()},
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        for url in (f"{self.settings.server_url}/healthz", f"{self.settings.gateway_url}/healthz"):
            self._wait_for(url, self.process, began)
        return time.monotonic() - began

    def _wait_for(self, url: str, process: subprocess.Popen[bytes], began: float) -> None:
        while time.monotonic() - began < READY_SECONDS and process.poll() is None:
            try:
                if httpx.get(url, timeout=2.0, trust_env=False).is_success:
                    return
            except httpx.TransportError:
                pass
            time.sleep(0.1)
        said = self._log.read_text(encoding="utf-8", errors="replace")[-1500:]
        raise Unavailable(f"Noria did not start; it said:\n{said}", hint="Run `noria doctor`.")

    def start_model_host(self, model: Path, adapter: Path, port: int) -> subprocess.Popen[bytes]:
        """A second machine's model server, played by a process of our own on loopback."""
        command = [sys.executable, "-m", "noria", "engine", "--model", str(model), "--adapter", str(adapter)]
        with self._log.open("ab") as log:
            host = subprocess.Popen(
                [*command, "--port", str(port)],
                env={**os.environ, **self.settings.environment()},
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self._others.append(host)
        self._wait_for(f"http://127.0.0.1:{port}/health", host, time.monotonic())
        return host

    def kill(self, host: subprocess.Popen[bytes]) -> None:
        """The second machine dies, without a word to anybody."""
        self._spent += cpu_of(host.pid)
        host.kill()
        host.wait()

    def cpu_seconds(self) -> float:
        """CPU that this process and everything it started has used so far, user and system."""
        total = self._spent + cpu_of(os.getpid())
        return total + sum(cpu_of(child.pid) for child in psutil.Process().children(recursive=True))

    def stop(self) -> None:
        """End what was started, as Ctrl-C would."""
        for process in [*self._others, *([self.process] if self.process else [])]:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
                try:
                    process.wait(20)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()

    def wait(self) -> None:
        """Stay until Noria ends or somebody presses Ctrl-C."""
        if self.process is not None:
            try:
                self.process.wait()
            except KeyboardInterrupt:
                self.stop()


def cpu_of(pid: int) -> float:
    """CPU seconds of one process and of those children that it has already reaped."""
    try:
        times = psutil.Process(pid).cpu_times()
    except psutil.Error:
        return 0.0
    reaped = getattr(times, "children_user", 0.0) + getattr(times, "children_system", 0.0)
    own = times.user + times.system
    return float(own + (0.0 if pid == os.getpid() else reaped))


@contextmanager
def stopping(installation: Installation, *, always: bool) -> Iterator[None]:
    """Stop the installation when the block fails, and also when it ends well if `always`."""
    try:
        yield
    except BaseException:
        installation.stop()
        raise
    if always:
        installation.stop()
