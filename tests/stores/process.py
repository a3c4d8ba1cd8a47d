"""The store process as tests start, kill and reach it."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

from noria.core.settings import Settings


def eventually(what: str, check: Callable[[], bool], seconds: float = 20) -> None:
    """Wait until `check` holds."""
    deadline = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < deadline, f"after {seconds:.0f} s still not so: {what}"
        time.sleep(0.02)


class StoreProcess:
    """`python -m noria store` on the data folder of `settings`."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start it and wait until it listens."""
        self.launch()
        eventually("the store listens", lambda: self._announced() or self._process_ended())
        assert not self._process_ended()

    def launch(self) -> None:
        """Start it without waiting."""
        self._process = subprocess.Popen(self.command(), env=self.environment())

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def stop(self) -> int:
        """Ask it to end; its exit status."""
        assert self._process is not None
        self._process.terminate()
        return self._process.wait(10)

    def where(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.settings.folder.store.read_text())
        return found

    def dsn(self) -> str:
        where = self.where()
        return str(where["url"]).replace("http://", f"http://noria:{where['password']}@")

    def command(self) -> list[str]:
        return [sys.executable, "-m", "noria", "store"]

    def environment(self) -> dict[str, str]:
        return {**os.environ, **self.settings.environment()}

    def _announced(self) -> bool:
        try:
            return bool(self.where()["pid"] == self.pid)
        except FileNotFoundError:
            return False

    def _process_ended(self) -> bool:
        return self._process is None or self._process.poll() is not None
