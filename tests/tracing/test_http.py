"""The JSON API of traces and feedback through the whole application, with real keys."""

from collections.abc import Iterator

import pytest
from click.testing import CliRunner
from starlette.testclient import TestClient

from noria.core import ids
from noria.governance import service as governance
from noria.stores.connect import Stores
from noria.tracing.commands import journal
from noria.tracing.slice import SLICE
from noria.web import application
from tests.tracing.conftest import Traffic


@pytest.fixture
def keys(stores: Stores) -> dict[str, str]:
    """The first admin's key, and one of an application; the project is under "project"."""
    first = governance.bootstrap(stores)
    assert first is not None
    with stores.database.begin() as connection:
        _, call = governance.mint_key(connection, project_id=first.project_id, name="shop", scope="call", actor_id="")
    return {"project": first.project_id, "admin": first.key, "call": call}


@pytest.fixture
def client(stores: Stores) -> Iterator[TestClient]:
    with TestClient(application.create((SLICE,), stores, governance.authenticate)) as opened:
        yield opened


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


def test_from_an_answer_to_its_feedback(
    stores: Stores, keys: dict[str, str], client: TestClient, traffic: Traffic
) -> None:
    trace = ids.new_trace_id()
    body = {"trace_id": trace, "value": 1, "key": "thumb"}
    answer = client.post("/api/feedback", json=body, headers=bearer(keys["call"]))
    assert answer.status_code == 202, answer.text
    traffic.project = keys["project"]
    traffic.span("환불해 주세요", trace_id=trace)
    traffic.span(live=False)
    traffic.carry()
    listed = client.get("/api/traces", params={"q": "환불", "feedback": "yes"}, headers=bearer(keys["admin"])).json()
    [row] = listed["items"]
    assert listed["next"] is None
    assert (row["trace_id"], row["scores"][0]["number"], row["scores"][0]["source"]) == (trace, 1, "user")
    assert row["start"].endswith(("Z", "+00:00"))
    opened = client.get(f"/api/traces/{trace}", headers=bearer(keys["admin"])).json()
    assert opened["spans"][0]["span"]["input_messages"][0]["content"] == "환불해 주세요"
    [series] = client.get("/api/traffic", params={"endpoint": "assistant"}, headers=bearer(keys["admin"])).json()[
        "series"
    ]
    assert (series["release"], series["arm"], series["points"][0]["requests"]) == (1, "primary", 1)
    [total] = client.get("/api/traffic/summary", headers=bearer(keys["admin"])).json()["items"]
    assert (total["requests"], total["feedback_mean"]) == (1, 1)


def test_who_may_what(keys: dict[str, str], client: TestClient) -> None:
    trace = "a" * 32
    assert client.post("/api/feedback", json={"trace_id": trace, "value": 1}).status_code == 401
    for path in ("/api/traces", f"/api/traces/{trace}", "/api/traffic", "/api/traffic/summary"):
        assert client.get(path).status_code == 401
        assert client.get(path, headers=bearer(keys["call"])).status_code == 403
    assert client.get(f"/api/traces/{trace}", headers=bearer(keys["admin"])).status_code == 404
    bad = client.post("/api/feedback", json={"trace_id": "no", "value": 1}, headers=bearer(keys["call"]))
    assert (bad.status_code, bad.json()["code"]) == (400, "bad_input")
    assert "x-noria-trace-id" in bad.json()["hint"]
    limits = client.get("/api/traces", params={"limit": 501}, headers=bearer(keys["admin"]))
    assert limits.status_code == 422


def test_the_journal_can_be_read(stores: Stores, traffic: Traffic) -> None:
    span = traffic.span("물")
    shown = CliRunner().invoke(journal, ["cat", "--data", str(stores.settings.data)])
    assert shown.exit_code == 0, shown.output
    assert span.trace_id in shown.output
    assert "being written" in shown.output
    assert CliRunner().invoke(journal, ["cat", "--data", str(stores.settings.data), "--writer", "x"]).output == ""
