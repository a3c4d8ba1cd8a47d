"""CPU per request of Noria's gateway beside a bare uvicorn + aiohttp pass-through, in the same run.

A fast provider on loopback answers both; the same load (64 connections) goes to each in turn, in interleaved rounds, and
what is compared is the CPU time of the gateway process alone. Noria has authentication, rollout, a release's parameters
and the span journal on. The last printed line is one JSON object: figures, bars, `passed`.
"""

import argparse
import asyncio
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from noria.core.settings import load
from noria.governance.keys import digest, new_key
from noria.registry import snapshot as snapshots
from noria.registry.snapshot import EndpointEntry, KeyEntry, ProviderEntry, ReleaseEntry, Snapshot

CHUNKS = 50
BARS = {"plain_ratio": 1.5, "stream_ratio": 1.5, "memory_mb": 80.0}

RUN = """
import uvicorn
uvicorn.run(app, host="127.0.0.1", port={port}, http="httptools", loop="uvloop", ws="none", lifespan="off",
            access_log=False, log_level="warning", proxy_headers=False, server_header=False, date_header=False)
"""

PROVIDER = """
import json
MESSAGE = {"index": 0, "message": {"role": "assistant", "content": "word " * 40}, "finish_reason": "stop"}
USAGE = {"prompt_tokens": 20, "completion_tokens": 40, "total_tokens": 60}
PLAIN = json.dumps({"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [MESSAGE], "usage": USAGE}).encode()
def chunk(delta, reason=None):
    choice = {"index": 0, "delta": delta, "finish_reason": reason}
    return b"data: " + json.dumps({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}).encode() + b"\\n\\n"
EVENTS = [chunk({"content": "word "})] * CHUNKS + [chunk({}, "stop")]
END = b"data: " + json.dumps({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [], "usage": USAGE}).encode() + b"\\n\\ndata: [DONE]\\n\\n"
async def app(scope, receive, send):
    body = (await receive())["body"]
    if b'"stream":true' in body.replace(b" ", b""):
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]})
        for event in EVENTS:
            await send({"type": "http.response.body", "body": event, "more_body": True})
        await send({"type": "http.response.body", "body": END})
    else:
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(PLAIN)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": PLAIN})
"""

BARE = """
import aiohttp
session = None
async def app(scope, receive, send):
    global session
    if session is None:
        session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), timeout=aiohttp.ClientTimeout(total=None))
    body, more = b"", True
    while more:
        message = await receive()
        body += message["body"]
        more = message["more_body"]
    async with session.post("PROVIDER/v1/chat/completions", data=body, headers={"Content-Type": "application/json"}) as answer:
        kind = answer.headers["Content-Type"].encode()
        if kind.startswith(b"text/event-stream"):
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", kind)]})
            while piece := await answer.content.readany():
                await send({"type": "http.response.body", "body": piece, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
        else:
            data = await answer.read()
            headers = [(b"content-type", kind), (b"content-length", str(len(data)).encode())]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": data})
"""

NORIA = "from noria.core.settings import load\nfrom noria.gateway.main import main\nmain(load())"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def process(code: str, port: int, environment: dict[str, str] | None = None) -> Iterator[psutil.Process]:
    child = subprocess.Popen([sys.executable, "-c", code], env={**os.environ, **(environment or {})})
    try:
        end = time.monotonic() + 20
        while time.monotonic() < end:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield psutil.Process(child.pid)
    finally:
        child.terminate()
        child.wait(20)


async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes) -> None:
    writer.write(request)
    head = await reader.readuntil(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200"):
        raise SystemExit(f"not a 200: {head[:200]!r} {await reader.read(500)!r}")
    lower = head.lower()
    if b"transfer-encoding: chunked" in lower:
        await reader.readuntil(b"\r\n0\r\n\r\n")
    else:
        await reader.readexactly(int(lower.split(b"content-length: ")[1].split(b"\r\n")[0]))


async def drive(port: int, request: bytes, count: int, connections: int) -> list[float]:
    """Latencies in seconds of `count` requests over `connections` kept connections."""
    waiting = iter(range(count))
    latencies: list[float] = []

    async def client() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 20)
        for _ in waiting:
            started = time.perf_counter()
            await one(reader, writer, request)
            latencies.append(time.perf_counter() - started)
        writer.close()

    await asyncio.gather(*(client() for _ in range(connections)))
    return latencies


def request_bytes(key: str, *, stream: bool) -> bytes:
    body = json.dumps(
        {"model": "assistant", "messages": [{"role": "user", "content": "Say something. " * 10}], "stream": stream}
    ).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n"
    return f"{head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def prepare(folder: Path, provider: str, port: int) -> tuple[dict[str, str], str]:
    """A data folder with one endpoint; the gateway's environment and a key."""
    settings = load({}, data=folder, gateway_port=port, log_level="warning")
    key = new_key()
    entry = KeyEntry("k", "p", digest(key), "call")
    release = ReleaseEntry(
        1, "p1", "m", parameters={"temperature": 0.2, "max_tokens": 100}, input_micros=1, output_micros=1
    )
    snapshots.write(
        settings.folder.snapshot,
        Snapshot(
            version=1,
            published_at=time.time(),
            keys={entry.digest: entry},
            endpoints={"p/assistant": EndpointEntry("e", "p", "assistant", primary=1, releases={1: release})},
            providers={"p1": ProviderEntry("p1", "p", "loopback", "openai", f"{provider}/v1")},
        ),
    )
    return settings.environment(), key


def measure(target: psutil.Process, port: int, request: bytes, count: int) -> float:
    """CPU microseconds of the target for each request."""
    before = target.cpu_times()
    asyncio.run(drive(port, request, count, 64))
    after = target.cpu_times()
    return ((after.user + after.system) - (before.user + before.system)) / count * 1e6


def run(rounds: int, plain: int, streams: int) -> dict[str, Any]:
    ports = {name: free_port() for name in ("provider", "bare", "noria")}
    provider = f"http://127.0.0.1:{ports['provider']}"
    code = {
        "provider": f"CHUNKS = {CHUNKS}\n" + PROVIDER + RUN.format(port=ports["provider"]),
        "bare": BARE.replace("PROVIDER", provider) + RUN.format(port=ports["bare"]),
    }
    cpu: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        environment, key = prepare(Path(folder) / "data", provider, ports["noria"])
        requests = {
            "plain": (request_bytes(key, stream=False), plain),
            "stream": (request_bytes(key, stream=True), streams),
        }
        with (
            process(code["provider"], ports["provider"]),
            process(code["bare"], ports["bare"]) as bare,
            process(NORIA, ports["noria"], environment) as noria,
        ):
            targets = {"bare": bare, "noria": noria}
            for number in range(rounds + 1):
                for kind, (request, count) in requests.items():
                    for name, target in targets.items():
                        spent = measure(target, ports[name], request, count if number else count // 5)
                        if number:  # the first, short round warms up
                            cpu.setdefault(f"{name}_{kind}_us", []).append(spent)
                            print(f"round {number}  {kind:6}  {name:5}  {spent:7.0f} µs CPU a request", flush=True)
            p50 = {
                name: statistics.median(asyncio.run(drive(ports[name], requests["plain"][0], 300, 1))) * 1e3
                for name in targets
            }
            memory = noria.memory_info().rss / 1e6
    figures = {name: round(statistics.median(values), 1) for name, values in cpu.items()}
    figures |= {
        "plain_ratio": round(figures["noria_plain_us"] / figures["bare_plain_us"], 3),
        "stream_ratio": round(figures["noria_stream_us"] / figures["bare_stream_us"], 3),
        "noria_p50_ms": round(p50["noria"], 3),
        "bare_p50_ms": round(p50["bare"], 3),
        "memory_mb": round(memory, 1),
    }
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--plain", type=int, default=4000, help="requests a round")
    parser.add_argument("--streams", type=int, default=1000, help="streams a round")
    options = parser.parse_args()
    figures = run(options.rounds, options.plain, options.streams)
    passed = all(figures[name] <= bar for name, bar in BARS.items())
    print(json.dumps({"benchmark": "gateway", "figures": figures, "bars": BARS, "passed": passed}))


if __name__ == "__main__":
    main()
