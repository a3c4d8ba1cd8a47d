"""Several workers behind one port: what dies comes back, and all are exchanged without a dropped request."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from noria.governance.limits import Limits
from noria.registry.policy import Policy
from noria.registry.snapshot import EndpointEntry
from tests.gateway.conftest import Running, release, running, until


class Workers(Running):
    """A gateway whose process is the master of two workers."""

    def children(self) -> list[psutil.Process]:
        assert self.process is not None
        found: list[psutil.Process] = psutil.Process(self.process.pid).children()
        return found

    def serve_everywhere(self) -> None:
        one = EndpointEntry("e", "project", "assistant", primary=1, releases={1: release(1, "ok")})
        self.publish(one, wait=False)
        until(lambda: all(self.ask().status_code == 200 for _ in range(20)))


@pytest.fixture
def gateway(tmp_path: Path, provider: str) -> Iterator[Workers]:
    plain = running(tmp_path / "data", provider, gateway_workers=2)
    workers = Workers(plain.settings, provider, plain.key, snapshot=plain.snapshot)
    try:
        workers.start()
        workers.publish(wait=False)
        until(lambda: len(workers.children()) == 2)
        workers.serve_everywhere()
        yield workers
    finally:
        workers.stop()


def load(gateway: Workers, stop: threading.Event, failed: list[Any], answered: list[str]) -> None:
    with httpx.Client() as client:
        while not stop.is_set():
            try:
                answer = client.post(
                    f"{gateway.url}/v1/chat/completions",
                    headers={"authorization": f"Bearer {gateway.key}"},
                    json={"model": "assistant", "messages": [{"role": "user", "content": "hello"}]},
                )
                (answered if answer.status_code == 200 else failed).append(answer.headers["x-noria-trace-id"])
            except httpx.TransportError as error:
                failed.append(repr(error))


def test_all_workers_are_exchanged_under_load_without_a_failed_request(gateway: Workers) -> None:
    before = {child.pid for child in gateway.children()}
    stop = threading.Event()
    failed: list[Any] = []
    answered: list[str] = []
    threads = [threading.Thread(target=load, args=(gateway, stop, failed, answered)) for _ in range(4)]
    for thread in threads:
        thread.start()
    until(lambda: len(answered) > 20)
    assert gateway.process is not None
    gateway.process.send_signal(signal.SIGHUP)
    until(lambda: len(now := {child.pid for child in gateway.children()}) == 2 and not now & before, 40)
    count = len(answered)
    until(lambda: len(answered) > count + 20)
    stop.set()
    for thread in threads:
        thread.join()
    assert failed == []
    spans = [span["trace_id"] for span in gateway.spans()]
    assert set(answered) <= set(spans)
    assert len(spans) == len(set(spans))


def test_a_killed_worker_comes_back(gateway: Workers) -> None:
    victim = gateway.children()[0]
    victim.kill()
    until(lambda: len(pids := {child.pid for child in gateway.children()}) == 2 and victim.pid not in pids)
    until(lambda: all(gateway.ask().status_code == 200 for _ in range(10)))


def test_workers_share_limits_and_metrics(gateway: Workers) -> None:
    policy = Policy(1, limits=Limits(requests_per_minute=4))
    one = EndpointEntry("e2", "project", "four", primary=1, releases={1: release(1, "ok")}, policy=policy)
    gateway.publish(one, wait=False)
    until(lambda: all(gateway.ask(model="four").status_code == 429 for _ in range(6)))
    until(lambda: answered_by_all(gateway, "four") == 4)  # each worker tells the others once a second


def answered_by_all(gateway: Workers, endpoint: str) -> float:
    """Successful requests of an endpoint, as whichever worker is asked adds them up."""
    text = httpx.get(f"{gateway.url}/metrics", headers={"authorization": f"Bearer {gateway.key}"}).text
    name, labels = "gen_ai_server_request_duration_seconds_count", (f'noria_endpoint="{endpoint}"', 'error_type=""')
    lines = [line for line in text.splitlines() if line.startswith(name) and all(label in line for label in labels)]
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines)


def test_a_port_that_is_taken_is_said_clearly(gateway: Workers) -> None:
    second = subprocess.run(
        [sys.executable, "-m", "noria", "gateway", "--data", str(gateway.settings.data)],
        env={**os.environ, **gateway.settings.environment()},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert second.returncode != 0
    assert f"Port {gateway.settings.gateway_port} cannot be used" in second.stderr + second.stdout
