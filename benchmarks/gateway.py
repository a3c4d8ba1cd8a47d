"""What Noria's gateway costs, beside a bare uvicorn + aiohttp pass-through and LiteLLM's proxy, in the same run.

A fast provider on loopback answers all; the same load (64 connections) goes to each in turn, in interleaved rounds, and
what is compared is the CPU time of each gateway process alone, as medians. Noria has authentication, rollout, a release's
parameters, prices, metrics, feedback links and the span journal on. The last printed line is one JSON object: figures, bars, `passed`.
"""

import argparse
import asyncio
import json
import pstats
import statistics
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psutil

from gateway_peers import BARE, CHUNKS, LITELLM_KEY, NORIA, PROVIDER, RUN, free_port, litellm, process
from noria.core.settings import load
from noria.governance.keys import digest, new_key
from noria.governance.sealing import derived
from noria.registry import snapshot as snapshots
from noria.registry.snapshot import EndpointEntry, KeyEntry, ProviderEntry, ReleaseEntry, Snapshot

BARS = {
    "plain_to_bare": 1.5,
    "plain_to_litellm": 1 / 50,
    "stream_to_litellm": 1 / 100,
    "memory_mb": 80.0,
    "memory_growth_mb": 4.0,
}
PROFILE = """
import cProfile, signal
signal.signal(signal.SIGTERM, lambda *_: None)  # the server raises it again after its shutdown
profile = cProfile.Profile()
from noria.core.settings import load
from noria.gateway.main import main
profile.enable()
main(load())
profile.disable()
profile.dump_stats({path!r})
"""


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
    settings.data.mkdir(parents=True)
    derived(settings.folder.secret, "start")  # as the server does: with it answers carry links for feedback
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
    """CPU microseconds of the target, with its children, for each request."""
    before = cpu(target)
    asyncio.run(drive(port, request, count, 64))
    return (cpu(target) - before) / count * 1e6


def cpu(target: psutil.Process) -> float:
    times = [one.cpu_times() for one in (target, *target.children(recursive=True))]
    return sum(one.user + one.system for one in times)


def memory(target: psutil.Process) -> float:
    """Resident megabytes."""
    return float(target.memory_info().rss) / 1e6


class Bench:
    """One run: the processes, the load, the figures."""

    def __init__(self, options: argparse.Namespace, folder: Path, stack: ExitStack) -> None:
        self.options = options
        names = ["bare", "noria", *([] if options.no_litellm else ["litellm"])]
        self.ports = {name: free_port() for name in ("provider", *names)}
        self.provider = f"http://127.0.0.1:{self.ports['provider']}"
        self.environment, key = prepare(folder / "data", self.provider, self.ports["noria"])
        self.folder = folder
        code = f"CHUNKS = {CHUNKS}\n" + PROVIDER + RUN.format(port=self.ports["provider"])
        stack.enter_context(process(code, self.ports["provider"]))
        bare = BARE.replace("PROVIDER", self.provider) + RUN.format(port=self.ports["bare"])
        self.targets = {
            "bare": stack.enter_context(process(bare, self.ports["bare"])),
            "noria": stack.enter_context(process(NORIA, self.ports["noria"], self.environment)),
        }
        if "litellm" in names:
            (folder / "litellm").mkdir()
            proxy = litellm(folder / "litellm", self.provider, self.ports["litellm"])
            self.targets["litellm"] = stack.enter_context(proxy)
        self.keys = {"bare": "none", "noria": key, "litellm": LITELLM_KEY}

    def request(self, name: str, *, stream: bool) -> bytes:
        return request_bytes(self.keys[name], stream=stream)

    def rounds(self) -> dict[str, float]:
        """Median CPU microseconds a request, by target and kind."""
        counts = {False: self.options.plain, True: self.options.streams}
        spent: dict[str, list[float]] = {}
        for number in range(self.options.rounds + 1):
            for stream, most in counts.items():
                for name, target in self.targets.items():
                    count = (
                        most // 10 if name == "litellm" else most
                    )  # it is slow, and its figure is as steady with fewer
                    count = count if number else max(64, count // 5)
                    cost = measure(target, self.ports[name], self.request(name, stream=stream), count)
                    if number:  # the first, short round warms up
                        kind = "stream" if stream else "plain"
                        spent.setdefault(f"{name}_{kind}_us", []).append(cost)
                        print(f"round {number}  {kind:6}  {name:7}  {cost:8.0f} µs CPU a request", flush=True)
        return {name: round(statistics.median(values), 1) for name, values in spent.items()}

    def latencies(self) -> dict[str, float]:
        """Median milliseconds at one connection, and what each adds to the provider alone."""
        found = {}
        for name in ("provider", *self.targets):
            request = self.request(name if name in self.keys else "bare", stream=False)
            count = 50 if name == "litellm" else 300
            found[name] = statistics.median(asyncio.run(drive(self.ports[name], request, count, 1))) * 1e3
        upstream = found.pop("provider")
        told = {f"{name}_p50_ms": round(value, 3) for name, value in found.items()}
        added = {f"{name}_added_p50_ms": round(value - upstream, 3) for name, value in found.items()}
        return {"upstream_p50_ms": round(upstream, 3), **told, **added}

    def soak(self) -> dict[str, float]:
        """Memory of the gateway after the first tenth of many requests and after all of them."""
        target, request = self.targets["noria"], self.request("noria", stream=False)
        asyncio.run(drive(self.ports["noria"], request, self.options.soak // 10, 64))
        early = memory(target)
        asyncio.run(drive(self.ports["noria"], request, self.options.soak * 9 // 10, 64))
        late = memory(target)
        return {"memory_mb": round(late, 1), "memory_growth_mb": round(late - early, 1), "requests": self.options.soak}

    def profile(self) -> None:
        """Where a gateway's own time goes, by part, from a run under a profiler."""
        path, port = self.folder / "profile", free_port()
        environment = {**self.environment, "NORIA_GATEWAY_PORT": str(port), "NORIA_DATA": str(self.folder / "data")}
        with process(PROFILE.format(path=str(path)), port, environment):
            asyncio.run(drive(port, self.request("noria", stream=False), 3_000, 64))
        spent: Counter[str] = Counter()
        for (file, _, name), row in pstats.Stats(str(path)).stats.items():  # type: ignore[attr-defined]
            spent[part_of(file, name)] += row[2]
        total = sum(spent.values())
        print("where the time goes (own time of Python code, under the profiler):")
        for part, seconds in spent.most_common(14):
            print(f"  {seconds / total:6.1%}  {part}")


def part_of(file: str, name: str) -> str:
    """The module of Noria, the library, or the built-in that a function belongs to."""
    path = Path(file)
    if "noria" in path.parts:
        return "noria." + ".".join(path.with_suffix("").parts[path.parts.index("noria") + 1 :])
    for library in ("uvicorn", "aiohttp", "asyncio", "yarl", "multidict", "prometheus_client"):
        if library in path.parts:
            return library
    return f"built-in {name}" if file.startswith("~") else path.stem


def figures_of(bench: Bench) -> dict[str, Any]:
    figures: dict[str, Any] = bench.rounds()
    figures["plain_to_bare"] = round(figures["noria_plain_us"] / figures["bare_plain_us"], 3)
    figures["stream_to_bare"] = round(figures["noria_stream_us"] / figures["bare_stream_us"], 3)
    if "litellm_plain_us" in figures:
        figures["plain_to_litellm"] = round(figures["noria_plain_us"] / figures["litellm_plain_us"], 5)
        figures["stream_to_litellm"] = round(figures["noria_stream_us"] / figures["litellm_stream_us"], 5)
    figures |= bench.latencies()
    figures |= bench.soak()
    for name, target in bench.targets.items():
        figures[f"{name}_rss_mb"] = round(memory(target), 1)
    bench.profile()
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--plain", type=int, default=10_000, help="requests a round")
    parser.add_argument("--streams", type=int, default=2_000, help="streams a round")
    parser.add_argument("--soak", type=int, default=200_000, help="requests after which memory is looked at")
    parser.add_argument("--no-litellm", action="store_true", help="leave LiteLLM's proxy out")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        figures = figures_of(Bench(options, Path(folder), stack))
    bars = {name: bar for name, bar in BARS.items() if name in figures}
    passed = all(figures[name] <= bar for name, bar in bars.items())
    print(json.dumps({"benchmark": "gateway", "figures": figures, "bars": bars, "passed": passed}))


if __name__ == "__main__":
    main()
