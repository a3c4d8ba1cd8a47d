"""A gateway for ten minutes at saturation, then a flood of slow readers, then 1,000 streams at once: memory stays bounded.

Of an answer that nobody takes, a gateway holds what is kept for its span (at most 1 MB of text) and some hundred kilobytes on
their way; the bar for a slow reader is that and no more, however long the answer.

One provider on loopback answers; memory of the gateway process is looked at every few seconds. The last printed line is one
JSON object: figures, bars, `passed`.
"""

import argparse
import asyncio
import json
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psutil

from gateway import prepare, request_bytes
from gateway_peers import NORIA, RUN, free_port, process

BARS = {"growth_mb": 8.0, "flood_mb_a_reader": 2.5, "streams_failed": 0, "failed": 0}
LARGE = """
import json
async def app(scope, receive, send):
    body = (await receive())["body"].replace(b" ", b"")
    if b'"stream":true' not in body:
        data = json.dumps({"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [{"index": 0,
            "message": {"role": "assistant", "content": "word " * 40}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 20, "completion_tokens": 40, "total_tokens": 60}}).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(data)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": data})
        return
    import asyncio
    slow = b'slowly' in body
    text, count = ("word ", 50) if slow else ("x" * 20_000, 500)
    def event(delta, reason=None):
        choice = {"index": 0, "delta": delta, "finish_reason": reason}
        return b"data: " + json.dumps({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}).encode() + b"\\n\\n"
    piece = event({"content": text})
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]})
    for _ in range(count):
        await send({"type": "http.response.body", "body": piece, "more_body": True})
        if slow:
            await asyncio.sleep(0.1)
    await send({"type": "http.response.body", "body": event({}, "stop") + b"data: [DONE]\\n\\n"})
"""


class Watch:
    """The most memory that a process had, in MB."""

    def __init__(self, target: psutil.Process) -> None:
        self._target = target
        self.most = self.now

    @property
    def now(self) -> float:
        return float(self._target.memory_info().rss) / 1e6

    async def forever(self) -> None:
        while True:
            self.most = max(self.most, self.now)
            await asyncio.sleep(0.5)


async def saturate(port: int, request: bytes, seconds: float) -> tuple[int, int]:
    """Requests and failures of 64 clients that never pause."""
    end = time.monotonic() + seconds
    done, failed = 0, 0

    async def client() -> None:
        nonlocal done, failed
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 20)
        while time.monotonic() < end:
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0]))
            done += 1
            failed += not head.startswith(b"HTTP/1.1 200")
        writer.close()

    await asyncio.gather(*(client() for _ in range(64)))
    return done, failed


async def flood(port: int, request: bytes, readers: int, seconds: float) -> None:
    """Clients that ask for 10 MB each and read a kilobyte a second of it, then leave."""

    async def client() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
        writer.write(request)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            await reader.read(1024)
            await asyncio.sleep(1)
        writer.close()

    await asyncio.gather(*(client() for _ in range(readers)))


async def streams(port: int, request: bytes, count: int) -> int:
    """How many of so many streams at once did not come to their end."""

    async def client() -> bool:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 20)
        writer.write(request)
        told = await reader.readuntil(b"data: [DONE]\n\n")
        writer.close()
        return b" 200 " in told[:20]

    found = await asyncio.gather(*(client() for _ in range(count)), return_exceptions=True)
    return sum(one is not True for one in found)


async def measured(target: psutil.Process, work: Any) -> tuple[Any, float]:
    watch = Watch(target)
    watching = asyncio.create_task(watch.forever())
    try:
        return await work, watch.most
    finally:
        watching.cancel()


async def run(options: argparse.Namespace, port: int, key: str, target: psutil.Process) -> dict[str, Any]:
    plain = request_bytes(key, stream=False)
    large = request_bytes(key, stream=True)
    slow = large.replace(b"Say something", b"Slowly, word ").replace(b"Slowly", b"slowly")
    await saturate(port, plain, min(20.0, options.seconds / 10))
    before = Watch(target).now
    began = time.monotonic()
    (done, failed), _ = await measured(target, saturate(port, plain, options.seconds))
    after = Watch(target).now
    print(
        f"{done:,} requests in {time.monotonic() - began:.0f} s, {failed} failed; {before:.1f} -> {after:.1f} MB",
        flush=True,
    )
    _, most = await measured(target, flood(port, large, options.readers, 20.0))
    print(f"{options.readers} slow readers of 10 MB each: at most {most:.1f} MB", flush=True)
    lost, streaming = await measured(target, streams(port, slow, options.streams))
    print(
        f"{options.streams} streams at once: {lost} did not come to their end; at most {streaming:.1f} MB", flush=True
    )
    return {
        "seconds": options.seconds,
        "requests": done,
        "failed": failed,
        "memory_mb": round(after, 1),
        "growth_mb": round(after - before, 1),
        "flood_mb": round(most, 1),
        "flood_mb_a_reader": round((most - after) / options.readers, 2),
        "streams": options.streams,
        "streams_failed": lost,
        "streams_mb": round(streaming, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=600.0, help="at saturation")
    parser.add_argument("--readers", type=int, default=100, help="slow ones")
    parser.add_argument("--streams", type=int, default=1_000, help="at once")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        upstream, port = free_port(), free_port()
        environment, key = prepare(Path(folder) / "data", f"http://127.0.0.1:{upstream}", port)
        stack.enter_context(process(LARGE + RUN.format(port=upstream), upstream))
        target = stack.enter_context(process(NORIA, port, environment))
        figures = asyncio.run(run(options, port, key, target))
    passed = all(figures[name] <= bar for name, bar in BARS.items())
    print(json.dumps({"benchmark": "soak", "figures": figures, "bars": BARS, "passed": passed}))


if __name__ == "__main__":
    main()
