"""Langfuse's unmodified SDK, each version in an environment of its own, against a whole installation; and the application without it.

A script finds the server in LANGFUSE_HOST and the keys beside it, and prints one JSON object of what the SDK gave it.
"""

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from noria.app.bootstrap import prepare
from noria.app.demo.installation import Installation, free_port
from noria.core.settings import load
from tests.tracing.conftest import project, store_process, stores, traffic

__all__ = ["project", "store_process", "stores", "traffic"]

HERE = Path(__file__).parent
CLIENTS = HERE.parents[1] / ".cache" / "clients"

See = Callable[[str], dict[str, Any]]


@dataclass
class Home:
    """`noria up`, its first admin, and a client that has the admin's key."""

    installation: Installation
    email: str
    password: str
    key: str
    api: httpx.Client

    @property
    def url(self) -> str:
        return self.installation.settings.server_url

    def get(self, path: str, **query: Any) -> Any:
        answer = self.api.get(path, params=query)
        assert answer.is_success, answer.text
        return answer.json()


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    folder = tmp_path_factory.mktemp("langfuse") / "noria"
    settings = replace(
        load({}, data=folder), gateway_port=free_port(), server_port=free_port(), otlp_grpc_port=0, worker_slots=1
    )
    first = prepare(settings)
    assert first is not None
    installation = Installation(settings)
    installation.start()
    headers = {"authorization": f"Bearer {first.key}"}
    with httpx.Client(base_url=settings.server_url, headers=headers, trust_env=False) as api:
        yield Home(installation, first.email, first.password, first.key, api)
    installation.stop()


@pytest.fixture
def see(home: Home, tmp_path: Path) -> Callable[[str, str], dict[str, Any]]:
    """Runs a script of this folder with the SDK of an environment; gives the JSON object that it printed."""

    def run(script: str, environment: str) -> dict[str, Any]:
        python = CLIENTS / environment / "bin" / "python"
        if not python.exists():
            pytest.skip("Langfuse's SDK is not installed; run scripts/clients.sh")
        surroundings = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "DO_NOT_TRACK": "1"}
        surroundings |= {"LANGFUSE_HOST": home.url, "LANGFUSE_PUBLIC_KEY": "pk-any", "LANGFUSE_SECRET_KEY": home.key}
        done = subprocess.run(
            [str(python), "-P", str(HERE / script)],
            env=surroundings,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-4000:]
        seen: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return seen

    return run
