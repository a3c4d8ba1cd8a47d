"""A real gateway process over a data folder of its own, with a real provider process on loopback behind it."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from noria.core.folder import Folder
from noria.core.settings import Settings, load
from noria.governance.keys import digest, new_key
from noria.governance.sealing import Sealer
from noria.registry import snapshot as snapshots
from noria.registry.snapshot import EndpointEntry, KeyEntry, ProviderEntry, ProviderKeyEntry, ReleaseEntry, Snapshot
from noria.stores import journal

PROVIDER_KEY = "sk-provider-secret-0123456789"
RUN_GATEWAY = "from noria.core.settings import load\nfrom noria.gateway.main import main\nmain(load())"


def until(condition: Callable[[], Any], seconds: float = 10.0) -> Any:
    """What `condition` gives once it is true; fails after `seconds`."""
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end, "the condition was not met in time"
        time.sleep(0.02)
    return value


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answers(url: str) -> bool:
    try:
        return httpx.get(url).status_code < 500
    except httpx.TransportError:
        return False


@pytest.fixture(scope="session")
def provider() -> Iterator[str]:
    """Base URL of the provider, without /v1."""
    port = free_port()
    process = subprocess.Popen([sys.executable, str(Path(__file__).with_name("provider.py")), str(port)])
    url = f"http://127.0.0.1:{port}"
    until(lambda: answers(f"{url}/calls/none"))
    yield url
    process.terminate()
    process.wait()


def release(number: int, model: str, **more: Any) -> ReleaseEntry:
    """A release of the loopback provider whose model is the mode to behave in."""
    return ReleaseEntry(number, "p1", model, **more)


@dataclass
class Running:
    """A gateway under test. `publish` changes what it serves; `spans` is what it has journalled."""

    settings: Settings
    provider: str
    key: str = field(default_factory=new_key)
    process: subprocess.Popen[bytes] | None = None
    snapshot: Snapshot = field(default_factory=Snapshot)

    @property
    def url(self) -> str:
        return self.settings.gateway_url

    @property
    def folder(self) -> Folder:
        return self.settings.folder

    def start(self) -> None:
        log = self.folder.root.joinpath("gateway.log").open("ab")
        with log:
            environment = {**os.environ, **self.settings.environment()}
            self.process = subprocess.Popen(
                [sys.executable, "-c", RUN_GATEWAY], env=environment, stdout=log, stderr=log
            )
        until(lambda: answers(f"{self.url}/healthz"), 60)

    def stop(self, how: int = signal.SIGTERM) -> None:
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait(40)
            self.process = None

    @property
    def log(self) -> str:
        return self.folder.root.joinpath("gateway.log").read_text()

    def publish(self, *endpoints: EndpointEntry, wait: bool = True, **changes: Any) -> None:
        """Publish these endpoints beside those there are."""
        known = {**self.snapshot.endpoints, **{f"{e.project_id}/{e.name}": e for e in endpoints}}
        stamped = {"version": self.snapshot.version + 1, "published_at": time.time(), "endpoints": known}
        self.snapshot = replace(self.snapshot, **{**stamped, **changes})
        snapshots.write(self.folder.snapshot, self.snapshot)
        if wait:
            until(lambda: httpx.get(f"{self.url}/readyz").json().get("version") == self.snapshot.version)

    def serve(self, model: str, name: str = "assistant", **more: Any) -> None:
        """An endpoint whose primary release behaves as `model` says."""
        self.publish(EndpointEntry(f"e-{name}", "project", name, primary=1, releases={1: release(1, model, **more)}))

    def new_key(self, scope: Any = "call", **more: Any) -> str:
        key = new_key()
        entry = KeyEntry(f"k-{len(self.snapshot.keys)}", "project", digest(key), scope, **more)
        self.publish(keys={**self.snapshot.keys, entry.digest: entry})
        return key

    def client(self, key: str | None = None, **more: Any) -> openai.OpenAI:
        return openai.OpenAI(base_url=f"{self.url}/v1", api_key=key or self.key, max_retries=0, **more)

    def post(
        self, body: Any, *, path: str = "/v1/chat/completions", key: str | None = None, **more: Any
    ) -> httpx.Response:
        """A raw request; `body` is bytes, or is sent as JSON."""
        headers = {"authorization": f"Bearer {key or self.key}", **more.pop("headers", {})}
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return httpx.post(f"{self.url}{path}", content=content, headers=headers, timeout=30, **more)

    def ask(self, text: str = "hello", model: str = "assistant", **more: Any) -> httpx.Response:
        extra = {name: more.pop(name) for name in ("key", "headers") if name in more}
        return self.post({"model": model, "messages": [{"role": "user", "content": text}], **more}, **extra)

    def calls(self, name: str) -> dict[str, Any]:
        return dict(httpx.get(f"{self.provider}/calls/{name}").json())

    def spans(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        folder = self.folder.journal / "gateway"
        for segment in journal.segments(folder) if folder.is_dir() else []:
            for part in journal.frames(segment.read_bytes(), 0, final=False):
                if isinstance(part, journal.Frame):
                    found.extend(part.records)
        return found

    def span(self, trace_id: str, seconds: float = 5.0) -> dict[str, Any]:
        """The one span of a trace."""
        found = until(lambda: [span for span in self.spans() if span["trace_id"] == trace_id], seconds)
        assert len(found) == 1
        return dict(found[0])


def running(folder: Path, provider: str, **options: Any) -> Running:
    settings = load({}, data=folder, gateway_port=free_port(), **options)
    settings.data.mkdir()
    gateway = Running(settings, provider)
    sealed = Sealer(settings.folder.secret).seal(PROVIDER_KEY, purpose="provider:p1")
    key = KeyEntry("k-0", "project", digest(gateway.key), "call")
    gateway.snapshot = Snapshot(
        keys={key.digest: key},
        providers={
            "p1": ProviderEntry(
                "p1", "project", "loopback", "openai", f"{provider}/v1", (ProviderKeyEntry("pk1", sealed),)
            ),
            "dead": ProviderEntry("dead", "project", "dead", "openai", "http://127.0.0.1:9/v1"),
            "local": ProviderEntry("local", "project", "local", "local"),
        },
    )
    return gateway


@pytest.fixture
def make_gateway(tmp_path: Path, provider: str) -> Iterator[Callable[..., Running]]:
    """Starts gateways with settings of the test's own."""
    made: list[Running] = []

    def make(**options: Any) -> Running:
        gateway = running(tmp_path / f"data-{len(made)}", provider, **options)
        made.append(gateway)
        gateway.start()
        gateway.publish()
        return gateway

    yield make
    for gateway in made:
        with suppress(ProcessLookupError):
            gateway.stop(signal.SIGKILL)


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, provider: str) -> Iterator[Running]:
    """One gateway for a whole module of tests."""
    gateway = running(tmp_path_factory.mktemp("gateway") / "data", provider)
    gateway.start()
    gateway.publish()
    yield gateway
    gateway.stop()
