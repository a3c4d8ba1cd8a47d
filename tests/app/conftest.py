"""One running installation for all tests of this folder, seeded as a team would have it after a week of work."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from noria.app.bootstrap import prepare
from noria.app.demo.api import Api, Json
from noria.app.demo.data import Source, answer, question, shipped, write_jsonl
from noria.app.demo.installation import Installation, Login, free_port
from noria.app.demo.traffic import Application
from noria.core.settings import load
from tests.app.provider import Provider

ENDPOINT = "assistant"


@dataclass
class Running:
    """An installation, its people and its provider."""

    installation: Installation
    admin: Api
    reviewer: Api
    admin_login: Login
    provider: Provider
    application: Application
    key: str
    source: Source

    @property
    def url(self) -> str:
        return self.installation.settings.server_url


def start(folder: Path, source: Source) -> Running:
    """A fresh installation with an admin, a reviewer, a provider and a key; nothing else."""
    settings = replace(load({}, data=folder / "noria"), gateway_port=free_port(), server_port=free_port())
    first = prepare(settings)
    assert first is not None
    installation = Installation(settings)
    installation.start()
    rows = source.test + source.train + source.traffic
    provider = Provider({str(question(row)[-1]["content"]): answer(row) for row in rows})
    admin = Api(settings.server_url, first.email, first.password)
    admin.post(
        "/api/people", email="reviewer@localhost", name="Reviewer", role="reviewer", password="a long password 1"
    )
    admin.post("/api/providers", name="loopback", kind="openai", base_url=provider.url, api_key="secret-provider-key")
    admin.post(
        "/api/endpoints", name=ENDPOINT, description="Turns what a customer says into the call to make.", gate=GATE
    )
    key = admin.post("/api/keys", name="shop", scope="call")["key"]
    return Running(
        installation=installation,
        admin=admin,
        reviewer=Api(settings.server_url, "reviewer@localhost", "a long password 1"),
        admin_login=Login(first.email, first.password),
        provider=provider,
        application=Application(gateway=settings.gateway_url, server=settings.server_url, key=key, endpoint=ENDPOINT),
        key=key,
        source=source,
    )


GATE = [
    {"kind": "score", "metric": "field_f1", "versus": "primary", "require": "better", "alpha": 0.05, "at_least": 0.6},
    {"kind": "score", "metric": "valid", "at_least": 0.97},
    {"kind": "approvals", "count": 1},
]


def stop(running: Running) -> None:
    running.application.close()
    running.admin.close()
    running.reviewer.close()
    running.installation.stop()
    running.provider.close()


def serve_first_release(running: Running) -> None:
    """Release 1 of a poor model, promoted without an incumbent."""
    running.admin.post(
        f"/api/endpoints/{ENDPOINT}/releases", provider="loopback", model="poor", parameters={}, note="the small model"
    )
    running.reviewer.post(f"/api/endpoints/{ENDPOINT}/releases/1/promote", reason="nothing serves yet")


def seed(running: Running) -> Json:
    """Dataset, two evaluated releases, a canary, traffic with feedback; returns what pages need to be opened."""
    admin, source = running.admin, running.source
    folder = running.installation.settings.data / "seed"
    files = [write_jsonl(folder / "train.jsonl", source.train), write_jsonl(folder / "test.jsonl", source.test)]
    admin.wait(admin.upload("/api/datasets/import", files, name="conversations")["job"])
    admin.wait(admin.post("/api/datasets/conversations/versions/1/clean", options={})["job"])
    evaluations = {}
    for target in ("baseline:majority", "baseline:nearest"):
        evaluations[target] = evaluate(running, target)
    running.admin.post("/api/prompts", name="call")
    for note, template in (
        ("first words", "{{#messages}}{{role}}: {{content}}\n{{/messages}}call:"),
        ("shorter", "{{#messages}}{{content}}\n{{/messages}}call:"),
    ):
        admin.post("/api/prompts/call/versions", format="text", template=template, note=note)
    serve_first_release(running)
    evaluations["1"] = evaluate(running, f"{ENDPOINT}@1")
    admin.post(
        f"/api/endpoints/{ENDPOINT}/releases", provider="loopback", model="good", parameters={}, note="the tuned model"
    )
    evaluations["2"] = evaluate(running, f"{ENDPOINT}@2")
    gate = admin.post(f"/api/endpoints/{ENDPOINT}/releases/2/gate")
    if "job" in gate:
        gate = admin.wait(gate["job"])["result"]
    assert gate["passed"], json.dumps(gate)
    running.reviewer.post(f"/api/endpoints/{ENDPOINT}/releases/2/approve", reason="checked 20 rows")
    running.reviewer.post(f"/api/endpoints/{ENDPOINT}/releases/2/canary", share=0.25, reason="a quarter first")
    replies = running.application.serve(source.traffic, moved=lambda *_: None)
    assert not [reply.failed for reply in replies if reply.failed]
    return {"evaluations": evaluations, "trace_id": replies[-1].trace_id}


def evaluate(running: Running, target: str) -> str:
    started = running.admin.post("/api/evaluations", dataset="conversations:2", split="test", limit=120, target=target)
    running.admin.wait(started["job"])
    return str(started["id"])


@pytest.fixture(scope="session")
def seeded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Running, Json]]:
    """A running installation with a week's work in it."""
    running = start(tmp_path_factory.mktemp("seeded"), shipped(traffic=60))
    try:
        yield running, seed(running)
    finally:
        stop(running)
