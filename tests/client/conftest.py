"""A receiver for each test, and a client that sends to it through a provider and a spool of its own."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider

import noria_client
from tests.client.receiver import Receiver, receiving

SOURCES = Path(__file__).parents[2] / "client" / "src"

Configure = Callable[..., TracerProvider]


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No address from the environment of whoever runs the tests, and nothing left running after one."""
    for name in ("NORIA_URL", "NORIA_API_KEY", "NORIA_CLIENT_SPOOL"):
        monkeypatch.delenv(name, raising=False)
    noria_client.configure()
    yield
    noria_client.shutdown()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as opened:
        yield opened


@pytest.fixture
def configure(receiver: Receiver, tmp_path: Path) -> Configure:
    """Configure the client; gives its provider, so that a test can be another instrumentation."""

    def begin(**settings: Any) -> TracerProvider:
        provider = TracerProvider(shutdown_on_exit=False)
        given = {"url": receiver.url, "key": "noria_k", "spool": tmp_path / "spool", "batch_seconds": 0.05}
        assert noria_client.configure(**{**given, "provider": provider, **settings})
        return provider

    return begin


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., "subprocess.Popen[str]"]:
    """Start Python code in a process of its own, with the client at hand and its spool in this test's folder."""

    def start(code: str, url: str, *arguments: str) -> "subprocess.Popen[str]":
        environment = {
            **os.environ,
            "PYTHONPATH": str(SOURCES),
            "NORIA_URL": url,
            "NORIA_API_KEY": "noria_k",
            "NORIA_CLIENT_SPOOL": str(tmp_path / "spool"),
        }
        return subprocess.Popen(
            [sys.executable, "-W", "error", "-c", code, *arguments],
            env=environment,
            stdout=subprocess.PIPE,
            stdin=subprocess.PIPE,
            text=True,
        )

    return start


def waiting(tmp_path: Path) -> list[Path]:
    """Files of requests that are not delivered."""
    return sorted((tmp_path / "spool").glob("*/*.req"))
