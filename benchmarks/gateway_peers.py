"""The processes that benchmarks/gateway.py compares: a fast provider, a bare pass-through, Noria's gateway, LiteLLM's proxy.

Each is a process of its own on loopback, so that the CPU time of each is its alone. LiteLLM is installed into a throw-away
environment outside of the project, byte-compiled, with a priced model and without a database.
"""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

CHUNKS = 50
LITELLM_KEY = "sk-benchmark"

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
    """A Python process that runs `code` and listens on `port`."""
    with command([sys.executable, "-c", code], port, environment) as found:
        yield found


@contextmanager
def command(words: list[str], port: int, environment: dict[str, str] | None = None) -> Iterator[psutil.Process]:
    """A process that listens on `port`, until the block ends."""
    child = subprocess.Popen(words, env={**os.environ, **(environment or {})})
    try:
        end = time.monotonic() + 120
        while time.monotonic() < end:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield psutil.Process(child.pid)
    finally:
        child.terminate()
        child.wait(20)


@contextmanager
def litellm(folder: Path, provider: str, port: int) -> Iterator[psutil.Process]:
    """LiteLLM's proxy in an environment made for this run."""
    python = folder / "env" / "bin" / "python"
    uv = Path(sys.executable).with_name("uv")
    subprocess.run([uv, "venv", "--quiet", folder / "env"], check=True)
    install = [uv, "pip", "install", "--quiet", "--compile-bytecode", "--python", python, "litellm[proxy]"]
    subprocess.run(install, check=True)
    config = folder / "config.yaml"
    config.write_text(LITELLM.format(provider=provider, key=LITELLM_KEY))
    words = [str(python.with_name("litellm")), "--config", str(config), "--host", "127.0.0.1", "--port", str(port)]
    quiet = {"LITELLM_LOG": "ERROR", "LITELLM_TELEMETRY": "False", "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    with command([*words, "--num_workers", "1"], port, quiet) as found:
        yield found


LITELLM = """
model_list:
  - model_name: assistant
    litellm_params:
      model: openai/m
      api_base: {provider}/v1
      api_key: none
      input_cost_per_token: 0.000001
      output_cost_per_token: 0.000002
general_settings:
  master_key: {key}
litellm_settings:
  telemetry: false
"""
