"""Clients that leave, providers that stall, full disks, kills, drains: nothing complete is lost, nothing hangs."""

import json
import resource
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import httpx
import psutil
import pytest

from noria.registry.snapshot import EndpointEntry
from tests.gateway.conftest import Running, answers, release, until

Make = Callable[..., Running]
BODY: dict[str, Any] = {"model": "assistant", "messages": [{"role": "user", "content": "hello there"}]}


def leave(gateway: Running, *, stream: bool, model: str) -> dict[str, Any]:
    """Call, leave as soon as the provider works (or the first bytes came), and return the span."""
    gateway.serve(model)
    name = model.partition(":")[2]
    known = len(gateway.spans())
    headers = {"authorization": f"Bearer {gateway.key}"}
    url = f"{gateway.url}/v1/chat/completions"
    if stream:
        with httpx.stream("POST", url, json={**BODY, "stream": True}, headers=headers) as answer:
            next(answer.iter_raw())
    else:
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(url, json=BODY, headers=headers, timeout=httpx.Timeout(0.5))
    until(lambda: len(gateway.spans()) > known, seconds=2)
    until(lambda: gateway.calls(name)["aborted"] == 1, seconds=2)
    return gateway.spans()[-1]


def test_a_client_that_leaves_aborts_the_provider_within_a_second(gateway: Running) -> None:
    span = leave(gateway, stream=False, model="stall:left-plain")
    assert (span["status_code"], span["error_type"], span["requested_release"]) == (499, "client_left", 1)
    span = leave(gateway, stream=True, model="stall-stream:left-stream")
    assert (span["status_code"], span["release"], span["output_tokens"]) == (499, 1, 1)
    assert span["attributes"]["usage"] == "estimated"
    assert span["output_messages"][0]["content"] == "echo: "


def test_a_client_that_leaves_while_it_sends(gateway: Running) -> None:
    def half() -> Any:
        yield b'{"model": '
        raise ConnectionAbortedError

    known = len(gateway.spans())
    with pytest.raises(ConnectionAbortedError):
        headers = {"authorization": f"Bearer {gateway.key}"}
        httpx.post(f"{gateway.url}/v1/chat/completions", content=half(), headers=headers)
    until(lambda: len(gateway.spans()) > known)
    assert gateway.spans()[-1]["status_code"] == 499


def test_time_limits(make_gateway: Make) -> None:
    gateway = make_gateway(provider_first_byte_timeout=0.5, provider_idle_timeout=0.4, provider_total_timeout=1.5)
    for stream in (False, True):
        gateway.serve("stall:first")
        started = time.monotonic()
        answer = gateway.ask(stream=stream)
        assert (answer.status_code, answer.json()["error"]["code"]) == (504, "timed_out")
        assert 0.4 < time.monotonic() - started < 1.4
    gateway.serve("stall-stream:idle")
    answer = gateway.ask(stream=True)
    assert "sent nothing for too long" in answer.text
    assert not answer.text.endswith("[DONE]\n\n")
    gateway.serve("slow:total", parameters={"repeat": 50})
    answer = gateway.ask(stream=True)
    assert "longer than 1.5 seconds" in answer.text
    assert gateway.span(answer.headers["x-noria-trace-id"])["status_code"] == 504
    until(lambda: gateway.calls("total")["aborted"] == 1)


def test_a_slow_reader_does_not_count_as_a_slow_provider(make_gateway: Make) -> None:
    gateway = make_gateway(provider_idle_timeout=0.3)
    gateway.serve("ok:slow-reader", parameters={"repeat": 30_000})
    headers = {"authorization": f"Bearer {gateway.key}"}
    size = 0
    with httpx.stream(
        "POST", f"{gateway.url}/v1/chat/completions", json={**BODY, "stream": True}, headers=headers
    ) as answer:
        pieces = answer.iter_raw(65_536)
        size += len(next(pieces))
        time.sleep(1.0)  # longer than the idle limit: what is measured is that nothing happens
        last = b""
        for piece in pieces:
            size += len(piece)
            last = (last + piece)[-100:]
        assert last.endswith(b"data: [DONE]\n\n")
    span = gateway.span(answer.headers["x-noria-trace-id"])
    assert span["output_tokens"] == 3
    assert len(span["output_messages"][0]["content"]) < 1_000_000 < size


def test_keys_and_endpoints_change_within_a_second(gateway: Running) -> None:
    gateway.serve("ok")
    key = gateway.new_key()
    assert gateway.ask(key=key).status_code == 200
    kept = {name: entry for name, entry in gateway.snapshot.keys.items() if name in list(gateway.snapshot.keys)[:1]}
    gateway.publish(keys=kept, wait=False)
    until(lambda: gateway.ask(key=key).status_code == 401, seconds=1)
    assert gateway.ask().status_code == 200


def test_a_broken_snapshot_changes_nothing(gateway: Running) -> None:
    gateway.serve("ok")
    gateway.folder.snapshot.write_bytes(b'{"version": 99')
    until(lambda: "snapshot cannot be read" in gateway.log)
    gateway.folder.snapshot.write_bytes(b'{"version": 99, "published_at": 1, "keys": {"a": 5}}')
    until(lambda: gateway.log.count("snapshot cannot be read") == 2)
    assert gateway.ask().status_code == 200
    gateway.publish()


def test_without_a_snapshot_or_with_an_old_one_it_is_not_ready(make_gateway: Make) -> None:
    gateway = make_gateway(snapshot_max_age=3600)
    gateway.serve("ok")
    assert httpx.get(f"{gateway.url}/readyz").status_code == 200
    gateway.publish(published_at=time.time() - 4000, wait=False)
    until(lambda: httpx.get(f"{gateway.url}/readyz").status_code == 503)
    answer = gateway.ask()
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "snapshot_too_old")
    gateway.stop()
    gateway.folder.snapshot.unlink()
    gateway.start()
    assert httpx.get(f"{gateway.url}/readyz").status_code == 503
    answer = gateway.ask()
    assert answer.status_code == 503
    assert "retry-after" in answer.headers
    gateway.publish()
    assert gateway.ask().status_code == 200


def test_a_full_disk_stops_requests_before_they_cost_and_heals(make_gateway: Make) -> None:
    """A limit on file size stands in for the full disk: write() fails alike."""
    gateway = make_gateway()
    gateway.serve("ok:full")
    assert gateway.ask().status_code == 200
    assert gateway.process is not None
    resource.prlimit(gateway.process.pid, resource.RLIMIT_FSIZE, (100, resource.RLIM_INFINITY))
    before = gateway.calls("full")["calls"]
    first = gateway.ask()
    assert (first.status_code, first.json()["error"]["code"]) == (503, "not_ready")
    assert "Free space" in first.json()["error"]["message"]
    assert gateway.calls("full")["calls"] == before + 1
    assert [gateway.ask().status_code for _ in range(3)] == [503] * 3
    assert gateway.calls("full")["calls"] == before + 1, "no provider is paid for an answer that cannot be recorded"
    assert httpx.get(f"{gateway.url}/readyz").status_code == 503
    resource.prlimit(gateway.process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    until(lambda: gateway.ask().status_code == 200)


def test_sigterm_lets_a_stream_end(make_gateway: Make) -> None:
    gateway = make_gateway()
    gateway.serve("slow:drain", parameters={"repeat": 8})
    headers = {"authorization": f"Bearer {gateway.key}"}
    with httpx.stream(
        "POST", f"{gateway.url}/v1/chat/completions", json={**BODY, "stream": True}, headers=headers
    ) as answer:
        pieces = answer.iter_raw()
        last = next(pieces)
        assert gateway.process is not None
        gateway.process.send_signal(signal.SIGTERM)
        until(lambda: not answers(f"{gateway.url}/healthz"))
        for piece in pieces:
            last = piece
    assert last.endswith(b"data: [DONE]\n\n")
    assert gateway.process.wait(10) in {0, -signal.SIGTERM}
    assert gateway.span(answer.headers["x-noria-trace-id"])["status"] == "ok"
    gateway.process = None


class Load:
    """Clients that call as fast as they can and remember which answers were complete."""

    def __init__(self, gateway: Running, clients: int) -> None:
        self._gateway = gateway
        self._ending = threading.Event()
        self.complete: list[str] = []
        self.failed: Counter[str] = Counter()
        self.releases: Counter[str] = Counter()
        self._threads = [threading.Thread(target=self._call, args=(n % 2 == 1,)) for n in range(clients)]
        for thread in self._threads:
            thread.start()

    def _call(self, stream: bool) -> None:
        headers = {"authorization": f"Bearer {self._gateway.key}"}
        content = json.dumps({**BODY, "stream": stream}).encode()
        with httpx.Client(base_url=self._gateway.url, headers=headers, timeout=10) as client:
            while not self._ending.is_set():
                try:
                    answer = client.post("/v1/chat/completions", content=content)
                except httpx.TransportError as error:
                    self.failed[type(error).__name__] += 1
                    self._ending.wait(0.02)
                    continue
                whole = answer.text.endswith("[DONE]\n\n") if stream else answer.text.endswith("}")
                if answer.status_code == 200 and whole:
                    self.complete.append(answer.headers["x-noria-trace-id"])
                    self.releases[answer.headers["x-noria-release"]] += 1
                else:
                    self.failed[f"{answer.status_code} {answer.text[-200:]}"] += 1

    def end(self) -> None:
        self._ending.set()
        for thread in self._threads:
            thread.join()


def test_killed_under_load_every_complete_answer_has_exactly_one_span(make_gateway: Make) -> None:
    gateway = make_gateway()
    gateway.serve("ok:killed")
    load = Load(gateway, 4)
    for _ in range(8):
        seen = len(load.complete)
        until(lambda seen=seen: len(load.complete) > seen + 20)  # type: ignore[misc]
        gateway.stop(signal.SIGKILL)
        gateway.start()
    load.end()
    spans = Counter(span["trace_id"] for span in gateway.spans())
    assert len(load.complete) > 160
    assert [trace for trace in load.complete if spans[trace] != 1] == []


def test_rollout_changes_under_load_fail_no_request(make_gateway: Make) -> None:
    gateway = make_gateway()
    releases = {number: release(number, f"ok:r{number}") for number in (1, 2)}
    endpoint = EndpointEntry("e", "project", "assistant", primary=1, releases=releases)
    gateway.publish(endpoint)
    load = Load(gateway, 4)
    for number in range(100):
        gateway.publish(
            EndpointEntry("e", "project", "assistant", primary=1 + number % 2, releases=releases), wait=False
        )
        time.sleep(0.03)  # the pace of the changes
    load.end()
    assert load.failed == Counter()
    assert set(load.releases) == {"assistant@1", "assistant@2"}
    spans = {span["trace_id"]: span for span in gateway.spans()}
    for trace in load.complete:
        answered = spans[trace]["release"]
        assert spans[trace]["served_model"] == f"ok:r{answered}-served"


def test_the_process_stays_light(make_gateway: Make) -> None:
    gateway = make_gateway()
    gateway.serve("ok")
    for _ in range(50):
        assert gateway.ask().status_code == 200
    assert gateway.process is not None
    assert psutil.Process(gateway.process.pid).memory_info().rss < 80 * 1024 * 1024


def test_what_the_gateway_imports() -> None:
    code = "import sys, noria.gateway.main; print('\\n'.join(sys.modules))"
    modules = set(
        subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    )
    heavy = {
        "sqlalchemy",
        "fastapi",
        "pydantic",
        "jinja2",
        "numpy",
        "pandas",
        "torch",
        "chdb",
        "openai",
        "httpx",
        "pyarrow",
    }
    assert not modules & heavy
    assert not {name for name in modules if name.startswith(("noria.web", "noria.jobs", "noria.tracing"))}


@pytest.mark.parametrize("path", ["chat/completions", "messages"])
def test_a_long_stream_is_kept_whole_in_little_memory(gateway: Running, path: str) -> None:
    gateway.serve("ok", name="long", parameters={"repeat": 30_000})
    body = {"model": "long", "messages": [{"role": "user", "content": "one two"}], "max_tokens": 9, "stream": True}
    answer = gateway.post(body, path=f"/v1/{path}")
    assert answer.status_code == 200
    assert len(answer.content) > 6_000_000
    span = gateway.span(answer.headers["x-noria-trace-id"], 20)
    assert span["output_messages"][0]["content"] == "echo: one two " * 30_000
    assert "output_truncated" not in span["attributes"]
    assert span["attributes"]["finish_reason"] in {"stop", "end_turn"}
    assert span["output_tokens"] == 3


def test_a_text_that_is_too_long_is_cut_off_and_said_so(gateway: Running) -> None:
    gateway.serve("ok", name="huge", parameters={"repeat": 90_000})
    answer = gateway.ask("one two", model="huge", stream=True)
    span = gateway.span(answer.headers["x-noria-trace-id"], 20)
    assert span["attributes"]["output_truncated"]
    assert 500_000 < len(span["output_messages"][0]["content"]) < 1_300_000
    assert span["output_tokens"] == 3, "the usage came last"
