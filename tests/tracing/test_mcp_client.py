"""The unmodified official client of the Model Context Protocol, in an environment of its own, against a real server."""

import json
import os
import socket
import subprocess
import threading
from pathlib import Path
from typing import Any

import uvicorn

from noria.governance import service as governance
from noria.stores.connect import Stores
from noria.tracing.slice import SLICE
from noria.web import application
from tests.tracing.conftest import Traffic

HERE = Path(__file__).parent
PYTHON = HERE.parents[1] / ".cache" / "clients" / "clients" / "bin" / "python"


def test_the_official_client_lists_and_calls_tools(stores: Stores) -> None:
    assert PYTHON.exists(), "the clients are not installed; run scripts/clients.sh"
    first = governance.bootstrap(stores)
    assert first is not None
    traffic = Traffic(stores, first.project_id)
    traffic.span("when is my refund?", "in three days")
    traffic.writer.close()
    traffic.carry()
    app = application.create((SLICE,), stores, governance.authenticate)
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="off"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            url = f"http://127.0.0.1:{listening.getsockname()[1]}"
            seen = use(url, first.key)
        finally:
            server.should_exit = True
            thread.join()
    assert (seen["server"], seen["found"]) == ("noria", 1)
    assert {"search_traces", "get_trace", "give_score"} <= set(seen["tools"])
    assert seen["answer"] == [{"role": "assistant", "content": "in three days"}]
    assert seen["wrong"][0] is True and "colour" in seen["wrong"][1]


def use(url: str, key: str) -> dict[str, Any]:
    environment = {"PATH": os.environ["PATH"], "NORIA_URL": url, "NORIA_KEY": key}
    done = subprocess.run(
        [PYTHON, "-P", HERE / "clients" / "use_mcp.py"], env=environment, capture_output=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr.decode()[-3000:]
    found: dict[str, Any] = json.loads(done.stdout)
    return found
