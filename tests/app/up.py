"""`noria up` as a process of these tests, with what it says and the processes that it started."""

import os
import random
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

ROLES = ("gateway", "server", "store", "worker")


def eventually(condition: Callable[[], Any], what: str, seconds: float = 30) -> Any:
    """The first true value of `condition`; fails after `seconds`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(0.05)
    raise AssertionError(f"within {seconds} s there was no {what}")


def two_ports() -> int:
    """A port that is free together with the next one, outside of the range from which the system takes ports itself."""
    while True:
        port = random.randrange(10_000, 30_000, 2)
        with socket.socket() as first, socket.socket() as second:
            try:
                first.bind(("127.0.0.1", port))
                second.bind(("127.0.0.1", port + 1))
            except OSError:
                continue
            return port


class Up:
    """One `noria up` on `folder`."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder
        self.port = port
        self.log = folder.with_name(f"{folder.name}-up-{time.monotonic_ns()}.log")
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "noria", "up", "--data", str(folder), "--port", str(port)],
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
            )

    def said(self) -> str:
        return self.log.read_text()

    def ready(self) -> "Up":
        eventually(lambda: "ready in" in self.said() or self.process.poll() is not None, "readiness", 60)
        assert "ready in" in self.said(), self.said()
        return self

    def roles(self) -> dict[str, psutil.Process]:
        """The running processes by role."""
        found = {}
        for child in psutil.Process(self.process.pid).children():
            try:
                words = child.cmdline()
            except psutil.Error:
                continue
            found.update({role: child for role in ROLES if words[1:4] == ["-m", "noria", role]})
        return found

    def answers(self, port: int) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=2) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def interrupt(self, seconds: float = 10) -> float:
        """Press Ctrl-C; the seconds until everything had ended."""
        began = time.monotonic()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        self.process.wait(seconds)
        return time.monotonic() - began

    def clean_up(self) -> None:
        """End whatever a failed test left."""
        left = psutil.Process(self.process.pid).children(recursive=True) if self.process.poll() is None else []
        try:
            self.interrupt()
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        for process in left:
            if process.is_running():
                process.kill()


def alive(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False
