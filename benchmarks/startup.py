"""What a warm `noria up` costs: seconds until gateway and first page answer, and the memory of all its idle processes.

A first start makes the data folder; the warm starts after it are measured, each until the gateway says ready and the login
page is there. Memory is anonymous memory (Linux: /proc/PID/smaps_rollup; else unique set size) summed over all processes
once it no longer grows, after the admin has signed in and opened the overview and a caller has asked the gateway. The
gateway's imports are those of the real process, which Python lists at one more start. The last printed line is one JSON
object: figures, bars, `passed`. Other load on the machine makes the seconds longer, not the CPU seconds or the memory.
"""

import argparse
import json
import os
import re
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil

BARS = {"ready_s": 6.0, "all_anonymous_mb": 300.0, "gateway_mb": 80.0, "gateway_heavy_modules": 0}
HEAVY = ("sqlalchemy", "fastapi", "pydantic", "starlette", "numpy", "torch", "pandas", "pyarrow", "chdb")
PATIENCE = 60.0
STEADY = 2.0
"""Seconds without growth after which memory counts as settled."""


@dataclass(frozen=True)
class Up:
    """One running `noria up`."""

    process: subprocess.Popen[str]
    gateway: str
    server: str
    ready_s: float
    """Seconds until gateway and login page had answered."""

    def processes(self) -> list[psutil.Process]:
        top = psutil.Process(self.process.pid)
        return [top, *top.children(recursive=True)]

    def role(self, name: str) -> psutil.Process:
        return next(child for child in self.processes() if child.cmdline()[1:4] == ["-m", "noria", name])


def free_ports() -> tuple[int, int]:
    with socket.socket() as first, socket.socket() as second:
        first.bind(("127.0.0.1", 0))
        second.bind(("127.0.0.1", 0))
        return first.getsockname()[1], second.getsockname()[1]


@contextmanager
def started(folder: Path, said: Path, **environment: str) -> Iterator[Up]:
    """`noria up` on `folder`, whose words go to `said`; ended by Ctrl-C."""
    ports = free_ports()
    given = {"NORIA_DATA": str(folder), "NORIA_GATEWAY_PORT": str(ports[0]), "NORIA_SERVER_PORT": str(ports[1])}
    gateway, server = (f"http://127.0.0.1:{port}" for port in ports)
    with said.open("w") as log:
        began = time.monotonic()
        process = subprocess.Popen(
            [sys.executable, "-m", "noria", "up"],
            env={**os.environ, **given, **environment},
            stdout=log,
            stderr=log,
            text=True,
        )
    try:
        for url in (f"{gateway}/readyz", f"{server}/login"):
            wait_for(url, process, began, said)
        yield Up(process, gateway, server, time.monotonic() - began)
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(30)


def wait_for(url: str, process: subprocess.Popen[str], began: float, said: Path) -> None:
    while time.monotonic() - began < PATIENCE and process.poll() is None:
        try:
            if httpx.get(url, timeout=2.0, trust_env=False).status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.02)
    raise SystemExit(f"{url} did not answer; noria up said:\n{said.read_text()[-2000:]}")


def anonymous_mb(process: psutil.Process) -> float:
    """Memory that belongs to this process and to no file, in MB."""
    rollup = Path(f"/proc/{process.pid}/smaps_rollup")
    if not rollup.exists():
        return float(process.memory_full_info().uss / 1e6)
    found = re.search(r"^Anonymous:\s+(\d+) kB", rollup.read_text(), re.MULTILINE)
    return int(found[1]) * 1024 / 1e6 if found else 0.0


def cpu_seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def settled(up: Up) -> dict[str, float]:
    """Anonymous MB of each process once their sum has stopped growing."""
    most, since = 0.0, time.monotonic()
    began = since
    while True:
        each = {name_of(process): anonymous_mb(process) for process in up.processes()}
        now = time.monotonic()
        if sum(each.values()) > most + 1.0:
            most, since = sum(each.values()), now
        if now - since > STEADY or now - began > PATIENCE:
            return each
        time.sleep(0.2)


def name_of(process: psutil.Process) -> str:
    words = process.cmdline()
    return words[3] if words[1:3] == ["-m", "noria"] else " ".join(words[-2:])[-40:]


def use(up: Up, email: str, password: str) -> None:
    """Sign in, open the overview, make a key, ask the gateway what it can call."""
    with httpx.Client(base_url=up.server, trust_env=False, follow_redirects=True) as browser:
        login = browser.post("/api/login", json={"email": email, "password": password}).raise_for_status()
        browser.get("/").raise_for_status()
        token = {"x-csrf-token": login.json()["csrf"]}
        made = browser.post("/api/keys", json={"name": "shop", "scope": "call"}, headers=token).raise_for_status()
        key = made.json()["key"]
    answer = httpx.get(f"{up.gateway}/v1/models", headers={"authorization": f"Bearer {key}"}, trust_env=False)
    answer.raise_for_status()


def login_in(said: str) -> tuple[str, str]:
    """Email and password of the first start's words."""
    words = [re.search(rf"^\s*{name}\s+(\S+)$", said, re.MULTILINE) for name in ("email", "password")]
    email, password = (word[1] if word else "" for word in words)
    return email, password


def imported(log: str) -> set[str]:
    """Root packages that a process imported, from what `-X importtime` writes."""
    names = re.findall(r"^import time:\s+\d+ \|\s+\d+ \|\s+(\S+)", log, re.MULTILINE)
    return {name.partition(".")[0] for name in names}


def run(starts: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        folder, said = root / "data", root / "said.log"
        with started(folder, said) as up:
            wait_for_login(said)
            login = login_in(said.read_text())
            print(f"first start: {up.ready_s:.2f} s", flush=True)
        seconds, spent = [], []
        for number in range(starts):
            with started(folder, said) as up:
                seconds.append(up.ready_s)
                spent.append(sum(cpu_seconds(process) for process in up.processes()))
                print(f"warm start {number + 1}: {up.ready_s:.2f} s, {spent[-1]:.2f} s CPU", flush=True)
                if number == starts - 1:
                    use(up, *login)
                    each = settled(up)
                    gateway = up.role("gateway").memory_info().rss / 1e6
        (folder / "logs" / "gateway.log").unlink()
        with started(folder, said, PYTHONPROFILEIMPORTTIME="1") as up:
            use(up, *login)
        found = imported((folder / "logs" / "gateway.log").read_text())
    if "uvicorn" not in found:
        raise SystemExit("The gateway's imports could not be read.")
    for role, megabytes in each.items():
        print(f"{role:12} {megabytes:6.1f} MB anonymous", flush=True)
    heavy = sorted(found & set(HEAVY))
    if heavy:
        print(f"the gateway imports {', '.join(heavy)}", flush=True)
    return {
        "ready_s": round(statistics.median(seconds), 2),
        "ready_worst_s": round(max(seconds), 2),
        "ready_cpu_s": round(statistics.median(spent), 2),
        "all_anonymous_mb": round(sum(each.values()), 1),
        "gateway_mb": round(gateway, 1),
        "gateway_heavy_modules": len(heavy),
    }


def wait_for_login(said: Path) -> None:
    end = time.monotonic() + PATIENCE
    while not all(login_in(said.read_text())):
        if time.monotonic() > end:
            raise SystemExit(f"The first login was not told:\n{said.read_text()}")
        time.sleep(0.05)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--starts", type=int, default=3, help="warm starts")
    figures = run(parser.parse_args().starts)
    passed = all(figures[name] <= bar for name, bar in BARS.items())
    print(json.dumps({"benchmark": "startup", "figures": figures, "bars": BARS, "passed": passed}))


if __name__ == "__main__":
    main()
