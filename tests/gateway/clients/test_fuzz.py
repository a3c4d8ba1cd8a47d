"""Schemathesis over the gateway's own OpenAPI document: no 5xx, nothing undocumented, nothing leaked.

Half a minute in the suite; `make fuzz EXAMPLES=5000` looks longer.
"""

import json
import os
import subprocess
from pathlib import Path

import httpx

from noria.gateway import openapi
from noria.gateway.app import Gateway
from noria.gateway.metrics import Metrics
from tests.gateway.clients.conftest import CLIENTS, HERE
from tests.gateway.conftest import PROVIDER_KEY, Running

EXAMPLES = int(os.environ.get("NORIA_FUZZ_EXAMPLES", "25"))
UNTOLD = {"/metrics", "/openapi.json"}
"""Served, but not for clients of a model."""


def test_the_document_tells_every_route(gateway: Running) -> None:
    served = set(Gateway(gateway.settings, metrics=Metrics()).routes) - UNTOLD
    assert openapi.described(served) == served
    answer = httpx.get(f"{gateway.url}/openapi.json")
    assert {path.partition("/{")[0] for path in answer.json()["paths"]} == served


def test_schemathesis_finds_nothing(gateway: Running, tmp_path: Path) -> None:
    document = httpx.get(f"{gateway.url}/openapi.json").json()
    _name_an_endpoint(document)
    schema = tmp_path / "openapi.json"
    schema.write_text(json.dumps(document))
    program = CLIENTS / "clients" / "bin" / "schemathesis"
    assert program.exists(), "the clients are not installed; run scripts/clients.sh"
    options = ["--max-examples", str(EXAMPLES), "--seed", "7", "--phases", "examples,coverage,fuzzing"]
    where = ["--url", gateway.url, "--header", f"Authorization: Bearer {gateway.key}", "--request-timeout", "20"]
    done = subprocess.run(
        [str(program), "--config-file", str(HERE / "schemathesis.toml"), "run", str(schema), *options, *where],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-2000:]
    assert gateway.ask(model="parrot").status_code == 200
    assert "Traceback" not in gateway.log
    journal = b"".join(path.read_bytes() for path in gateway.folder.journal.rglob("*") if path.is_file())
    for secret in (gateway.key, PROVIDER_KEY):
        assert secret not in gateway.log
        assert secret.encode() not in journal


def _name_an_endpoint(document: dict[str, object]) -> None:
    """Requests that name no endpoint end early; a client knows one."""
    for schema in document["components"]["schemas"].values():  # type: ignore[index]
        if "model" in schema.get("properties", {}) and "model" in schema["required"]:
            schema["properties"]["model"] = {"enum": ["parrot"]}
