"""What taking spans costs, from decoding to readable: Noria, and Phoenix beside it in the same run on the same bytes.

Recorded chat calls (the tests' recordings, protobuf) get ids and times of their own and go out in batches, from several connections,
to a whole `noria up`. Measured are the CPU seconds of all its processes until the last span is readable through the API, the time to
acknowledge a batch, how long after its 200 a span could be read, and bytes on disk once the store has merged. `--phoenix` installs
arize-phoenix into an environment that is thrown away afterwards, and counts rows in its database. The last printed line is one JSON
object: figures, bars, `passed`.
"""

import argparse
import json
import os
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import psutil
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from noria.app.bootstrap import prepare
from noria.app.demo.installation import Installation, free_port
from noria.core.settings import load

RECORDINGS = Path(__file__).parents[1] / "tests" / "tracing" / "recordings"
CALLS = (
    "openinference-0.1.66-chat",
    "traceloop-0.62.4-session_ko",
    "otelgenai-1.3b0-tools",
    "openinference-0.1.66-tools",
)
BARS = {"spans_per_cpu_second": 3000.0, "to_phoenix": 50.0, "readable_after_s": 1.0}
PROBES = 10


def batches(count: int, size: int) -> Iterator[tuple[bytes, str]]:
    """Requests of `size` spans, and the trace id of the last span of each."""
    originals = []
    for name in CALLS:
        [path] = RECORDINGS.glob(f"{name}.0?.traces.bin")
        originals.append(ExportTraceServiceRequest.FromString(path.read_bytes()))
    number = 0
    while number < count:
        message, last = ExportTraceServiceRequest(), b""
        made = 0
        while made < size:
            copied = ExportTraceServiceRequest()
            copied.CopyFrom(originals[number % len(originals)])
            for part in copied.resource_spans:
                for group in part.scope_spans:
                    for span in group.spans:
                        last = span.trace_id = os.urandom(16)
                        span.span_id = os.urandom(8)
                        took = span.end_time_unix_nano - span.start_time_unix_nano
                        span.start_time_unix_nano = time.time_ns()
                        span.end_time_unix_nano = span.start_time_unix_nano + took
                        made += 1
                        number += 1
            message.resource_spans.extend(copied.resource_spans)
        yield message.SerializeToString(), last.hex()


def cpu(root: int) -> float:
    """CPU seconds of a process and all below it, reaped ones as well."""
    process = psutil.Process(root)
    total = 0.0
    for one in [process, *process.children(recursive=True)]:
        try:
            times = one.cpu_times()
        except psutil.Error:
            continue
        total += times.user + times.system
    return total


def send(url: str, headers: dict[str, str], bodies: list[bytes], connections: int) -> list[float]:
    """Seconds of each acknowledgement."""
    waiting, took, lock = list(reversed(bodies)), [], threading.Lock()

    def client() -> None:
        with httpx.Client(timeout=120, trust_env=False) as http:
            while True:
                with lock:
                    if not waiting:
                        return
                    body = waiting.pop()
                began = time.perf_counter()
                http.post(url, content=body, headers=headers).raise_for_status()
                took.append(time.perf_counter() - began)

    threads = [threading.Thread(target=client) for _ in range(connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return took


def until(check: Callable[[], bool], seconds: float) -> bool:
    """Whether `check` held before the time was over."""
    deadline = time.monotonic() + seconds
    while not check():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


@contextmanager
def noria(folder: Path) -> Iterator[tuple[Installation, str]]:
    settings = replace(
        load({}, data=folder / "noria"), gateway_port=free_port(), server_port=free_port(), otlp_grpc_port=0
    )
    first = prepare(settings)
    if first is None:
        raise SystemExit("the data folder is not new")
    installation = Installation(settings)
    installation.start()
    try:
        yield installation, first.key
    finally:
        installation.stop()


def on_noria(folder: Path, requests: list[tuple[bytes, str]], spans: int, connections: int) -> dict[str, float]:
    with noria(folder) as (installation, key):
        url = installation.settings.server_url
        headers = {"authorization": f"Bearer {key}", "content-type": "application/x-protobuf"}
        reader = httpx.Client(headers=headers, timeout=60, trust_env=False)

        def readable(trace: str) -> bool:
            return reader.get(f"{url}/api/traces/{trace}").is_success

        assert installation.process is not None
        pid = installation.process.pid
        warm, warm_trace = next(batches(1, 1))
        send(f"{url}/v1/traces", headers, [warm], 1)
        until(lambda: readable(warm_trace), 60)
        before, began = cpu(pid), time.perf_counter()
        took = send(f"{url}/v1/traces", headers, [body for body, _ in requests], connections)
        accepted = time.perf_counter() - began
        for _, trace in requests:
            if not until(lambda trace=trace: readable(trace), 120):  # type: ignore[misc]
                raise SystemExit("a span did not become readable")
        wall, used = time.perf_counter() - began, cpu(pid) - before
        waits = []
        for body, trace in batches(PROBES, 1):
            send(f"{url}/v1/traces", headers, [body], 1)
            asked = time.perf_counter()
            until(lambda trace=trace: readable(trace), 30)  # type: ignore[misc]
            waits.append(time.perf_counter() - asked)
        return {
            "spans_per_cpu_second": spans / used,
            "spans_per_second": spans / wall,
            "accepted_s": accepted,
            "ack_p50_ms": 1000 * statistics.median(took),
            "ack_p99_ms": 1000 * statistics.quantiles(took, n=100)[98],
            "readable_after_s": max(waits),
            "bytes_per_span": on_disk(installation.settings.folder.spans) / spans,
        }


def on_disk(folder: Path) -> float:
    """Bytes of the tables' files once they no longer change."""
    sizes = [0, -1]
    while sizes[-1] != sizes[-2]:
        time.sleep(3)
        sizes.append(sum(size(path) for path in folder.rglob("*")))
    return float(sizes[-1])


def size(path: Path) -> int:
    try:
        return path.stat().st_size if path.is_file() else 0
    except FileNotFoundError:  # merged away meanwhile
        return 0


def on_phoenix(folder: Path, requests: list[tuple[bytes, str]], spans: int, connections: int, limit: float) -> float:
    """Spans per CPU second of as many as it had stored within `limit` seconds."""
    home = folder / "phoenix"
    subprocess.run([sys.executable, "-m", "venv", str(home / "venv")], check=True)
    pip = [str(home / "venv" / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check", "arize-phoenix"]
    subprocess.run(pip, check=True)
    port, database = free_port(), home / "phoenix.db"
    environment = {
        **os.environ,
        "PHOENIX_WORKING_DIR": str(home),
        "PHOENIX_PORT": str(port),
        "PHOENIX_GRPC_PORT": str(free_port()),
        "PHOENIX_SQL_DATABASE_URL": f"sqlite:///{database}",
        "PHOENIX_TELEMETRY_ENABLED": "false",
    }
    with (home / "log").open("wb") as log:
        server = subprocess.Popen(
            [str(home / "venv" / "bin" / "phoenix"), "serve"], env=environment, stdout=log, stderr=log
        )
    try:
        url = f"http://127.0.0.1:{port}"
        if not until(lambda: answers(f"{url}/healthz"), 180):
            raise SystemExit((home / "log").read_text()[-2000:])
        before = cpu(server.pid)
        headers = {"content-type": "application/x-protobuf"}
        send(f"{url}/v1/traces", headers, [body for body, _ in requests], connections)
        until(lambda: stored(database) >= spans, limit)
        return stored(database) / (cpu(server.pid) - before)
    finally:
        server.terminate()
        server.wait()


def answers(url: str) -> bool:
    try:
        return httpx.get(url, trust_env=False).is_success
    except httpx.TransportError:
        return False


def stored(database: Path) -> int:
    with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as connection:
        return int(connection.execute("SELECT count(*) FROM spans").fetchone()[0])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--spans", type=int, default=50_000)
    parser.add_argument("--batch", type=int, default=500)
    parser.add_argument("--connections", type=int, default=4)
    parser.add_argument("--phoenix", action="store_true", help="Measure Phoenix on the first --phoenix-spans of them.")
    parser.add_argument("--phoenix-spans", type=int, default=5_000)
    parser.add_argument("--phoenix-seconds", type=float, default=120.0)
    given = parser.parse_args()
    requests = list(batches(given.spans, given.batch))
    spans = sum(count(body) for body, _ in requests)
    with tempfile.TemporaryDirectory() as folder:
        figures: dict[str, Any] = on_noria(Path(folder), requests, spans, given.connections)
        if given.phoenix:
            some = requests[: max(1, given.phoenix_spans // given.batch)]
            total = sum(count(body) for body, _ in some)
            theirs = on_phoenix(Path(folder), some, total, given.connections, given.phoenix_seconds)
            figures |= {"phoenix_spans_per_cpu_second": theirs, "to_phoenix": figures["spans_per_cpu_second"] / theirs}
    passed = (
        figures["spans_per_cpu_second"] >= BARS["spans_per_cpu_second"]
        and figures["readable_after_s"] < BARS["readable_after_s"]
        and figures.get("to_phoenix", BARS["to_phoenix"]) >= BARS["to_phoenix"]
    )
    rounded = {name: round(value, 2) for name, value in figures.items()}
    print(json.dumps({"benchmark": "ingest", "spans": spans, "figures": rounded, "bars": BARS, "passed": passed}))


def count(body: bytes) -> int:
    parts = ExportTraceServiceRequest.FromString(body).resource_spans
    return sum(len(group.spans) for part in parts for group in part.scope_spans)


if __name__ == "__main__":
    main()
