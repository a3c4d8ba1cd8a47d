"""One real store process for this folder's tests; each test has a project of its own in it."""

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import pytest
import uvicorn
from fastapi import FastAPI
from starlette.testclient import TestClient

from noria.app.demo.installation import free_port
from noria.app.slices import SLICES
from noria.core import clock, ids
from noria.core.records import Span
from noria.core.settings import Settings, load
from noria.governance import service as governance
from noria.governance.records import FirstLogin
from noria.governance.slice import SLICE as GOVERNANCE
from noria.registry.slice import SLICE as REGISTRY
from noria.stores.connect import Stores
from noria.stores.journal import JournalWriter
from noria.tracing.otlp_grpc import GrpcServer
from noria.tracing.slice import SLICE
from noria.tracing.tailer import Tailer
from noria.web import application
from tests.stores.process import StoreProcess
from tests.tracing.import_kit import Desk
from tests.tracing.otlp_kit import Otlp, application_of, open_otlp

TICK = 1_000_000


@pytest.fixture(scope="session")
def store_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StoreProcess]:
    """`noria store` on a folder that all tests share."""
    process = StoreProcess(load({}, data=tmp_path_factory.mktemp("store") / "data"))
    process.start()
    yield process
    process.stop()


@pytest.fixture
def stores(settings: Settings, store_process: StoreProcess) -> Iterator[Stores]:
    """Stores of this test alone, but for the span store: reached as a ClickHouse server would be, by URL."""
    opened = Stores(replace(settings, spans_url=store_process.dsn()))
    opened.database.create_all()
    yield opened
    opened.close()


_apps: list[FastAPI] = []


def whole(stores: Stores) -> FastAPI:
    """The application with all slices on these stores; making all its routes takes longer than a test, so it is made once."""
    if not _apps:
        _apps.append(application.create(SLICES, stores, governance.authenticate))
    _apps[0].state.stores = stores
    return _apps[0]


def pages_of(stores: Stores) -> FastAPI:
    """The application with the slices that tracing's own pages need."""
    return application.create((GOVERNANCE, replace(REGISTRY, pages="", nav=()), SLICE), stores, governance.authenticate)


@contextmanager
def served(app: FastAPI) -> Iterator[str]:
    """The address at which `app` is served to real browsers meanwhile."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(10)
        listener.close()


@pytest.fixture
def first(stores: Stores) -> FirstLogin:
    """The installation's first admin and project."""
    made = governance.bootstrap(stores)
    assert made is not None
    return made


@pytest.fixture
def browser(stores: Stores, first: FirstLogin) -> Iterator[TestClient]:
    """Asks for pages, signed in as the first admin."""
    with TestClient(pages_of(stores)) as client:
        client.post("/login", data={"email": first.email, "password": first.password})
        yield client


@pytest.fixture
def project() -> str:
    return ids.new_id()


class Traffic:
    """Writes spans to the gateway's journal and carries them."""

    def __init__(self, stores: Stores, project: str) -> None:
        self.stores = stores
        self.project = project
        self.writer = JournalWriter(stores.settings.folder.journal / "gateway")
        self.tailer = Tailer(stores)

    def span(self, said: str = "hello", answered: str = "hi", **fields: Any) -> Span:
        """Journal one span and return it."""
        start = fields.pop("start_ns", clock.now_ns())
        values: dict[str, Any] = {
            "trace_id": ids.new_trace_id(),
            "span_id": ids.new_span_id(),
            "project_id": self.project,
            "name": "chat",
            "kind": "llm",
            "start_ns": start,
            "end_ns": start + 20 * TICK,
            "endpoint": "assistant",
            "release": 1,
            "requested_release": 1,
            "arm": "primary",
            "input_messages": [{"role": "user", "content": said}],
            "output_messages": [{"role": "assistant", "content": answered}],
            "input_tokens": 10,
            "output_tokens": 5,
        }
        span = Span(**{**values, **fields})
        self.writer.append([{"type": "span", **span.to_dict()}])
        return span

    def carry(self) -> int:
        return self.tailer.run_once()


@pytest.fixture
def traffic(stores: Stores, project: str) -> Iterator[Traffic]:
    made = Traffic(stores, project)
    yield made
    made.writer.close()


@pytest.fixture
def desk(stores: Stores, project: str, tmp_path: Path) -> Desk:
    """Imports exports of other tools into this test's project."""
    return Desk(stores, project, tmp_path)


@pytest.fixture
def python(stores: Stores) -> Callable[..., subprocess.Popen[bytes]]:
    """Start Python code in a process with this test's settings."""

    def start(code: str, *arguments: str | Path) -> subprocess.Popen[bytes]:
        environment = {**os.environ, **stores.settings.environment()}
        return subprocess.Popen(
            [sys.executable, "-c", code, *map(str, arguments)], env=environment, stdout=subprocess.PIPE
        )

    return start


@pytest.fixture
def otlp(stores: Stores) -> Iterator[Otlp]:
    """A sender to the real application, whose spans go to the real store."""
    with application_of(stores) as client:
        yield open_otlp(stores, client)


@pytest.fixture
def channel(otlp: Otlp) -> Iterator[Any]:
    """A gRPC channel to a server of the same installation."""
    settings = replace(otlp.stores.settings, otlp_grpc_port=free_port())
    stores = Stores(settings)
    server = GrpcServer(stores)
    assert server.start()
    with grpc.insecure_channel(f"127.0.0.1:{settings.otlp_grpc_port}") as opened:
        yield opened
    server.stop()
    stores.close()
