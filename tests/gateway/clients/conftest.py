"""Each client runs as its users run it: a script of its own, in an environment of its own, against a real gateway.

A script finds the gateway in NORIA_URL and NORIA_KEY and prints one JSON object of what its client gave it.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from noria.registry.snapshot import EndpointEntry
from tests.gateway.conftest import Running, answers, free_port, release, running, until

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
CLIENTS = ROOT / ".cache" / "clients"
MODES = {
    "assistant": "plays:assistant",
    "flaky": "flaky:flaky",
    "slow": "slow:slow",
    "full": "error-429",
    "broken": "error-500",
    "picky": "error-400",
    "breaking": "error-event",
    "text": "ok:text",
    "parrot": "parrot",
    "embedder": "embedder",
    "flaky-messages": "flaky:flaky-messages",
}
SETTINGS = {
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "HF_HUB_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
    "DO_NOT_TRACK": "1",
    "NO_COLOR": "1",
}
"""What keeps these clients from calling anybody but the gateway."""

See = Callable[..., dict[str, Any]]


@pytest.fixture(scope="session")
def provider() -> Iterator[str]:
    port = free_port()
    process = subprocess.Popen([sys.executable, "-m", "tests.gateway.clients.provider", str(port)], cwd=ROOT)
    url = f"http://127.0.0.1:{port}"
    until(lambda: answers(f"{url}/calls/none"))
    yield url
    process.terminate()
    process.wait()


@pytest.fixture(scope="session")
def gateway(tmp_path_factory: pytest.TempPathFactory, provider: str) -> Iterator[Running]:
    """One gateway for all clients; an endpoint for each way a provider may behave."""
    gateway = running(tmp_path_factory.mktemp("clients") / "data", provider)
    gateway.start()
    gateway.publish(
        *(
            EndpointEntry(f"e-{name}", "project", name, primary=1, releases={1: release(1, mode)})
            for name, mode in MODES.items()
        )
    )
    yield gateway
    gateway.stop()


@pytest.fixture
def see(gateway: Running, tmp_path: Path) -> See:
    """Runs a script of this folder in the environment of the clients; gives the JSON object that it printed."""

    def run(script: str, *arguments: str, environment: str = "clients") -> dict[str, Any]:
        python = CLIENTS / environment / "bin" / "python"
        assert python.exists(), "the clients are not installed; run scripts/clients.sh"
        return _printed([str(python), "-P", str(HERE / script), *arguments], gateway, tmp_path)

    return run


@pytest.fixture
def see_node(gateway: Running, tmp_path: Path) -> See:
    """The same for a script in node/."""
    node, modules = shutil.which("node"), CLIENTS / "node"
    if node is None or not (modules / "node_modules").is_dir():
        pytest.skip("needs Node 18 or newer with npm")

    def run(script: str) -> dict[str, Any]:
        shutil.copy(HERE / "node" / script, modules / script)  # modules are looked for beside the script
        return _printed([node, str(modules / script)], gateway, tmp_path)

    return run


def _printed(command: list[str], gateway: Running, folder: Path) -> dict[str, Any]:
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), **SETTINGS}
    environment |= {"NORIA_URL": gateway.url, "NORIA_KEY": gateway.key}
    done = subprocess.run(
        command, env=environment, cwd=folder, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr[-4000:]
    seen: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return seen
