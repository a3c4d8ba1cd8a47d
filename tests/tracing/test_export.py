"""Exports: whole, filtered, resumed, by API and command, and the API of sessions, users and outlines."""

import io
import json
from collections.abc import Iterator
from typing import Any

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result
from starlette.testclient import TestClient

from noria.core import clock, ids
from noria.governance import service as governance
from noria.stores.connect import Stores
from noria.tracing import export, service
from noria.tracing.commands_traces import traces
from noria.tracing.records import TraceFilter
from noria.tracing.slice import SLICE
from noria.web import application
from tests.tracing.conftest import TICK, Traffic


@pytest.fixture
def key(stores: Stores, traffic: Traffic) -> str:
    first = governance.bootstrap(stores)
    assert first is not None
    traffic.project = first.project_id
    return first.key


@pytest.fixture
def client(stores: Stores, key: str) -> Iterator[TestClient]:
    with TestClient(application.create((SLICE,), stores, governance.authenticate)) as opened:
        opened.headers["authorization"] = f"Bearer {key}"
        yield opened


def lines(text: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_everything_comes_once_in_both_formats(client: TestClient, traffic: Traffic) -> None:
    now = clock.now_ns()
    made = [traffic.span(f"질문 {n}", start_ns=now - n * TICK, tags=["x"]) for n in range(450)]
    inner = traffic.span("inner", trace_id=made[3].trace_id, parent_id=made[3].span_id)
    judged = client.post("/api/feedback", json={"trace_id": made[5].trace_id, "value": 1})
    assert judged.status_code == 202
    traffic.carry()
    told = lines(client.get("/api/traces/export").content)
    assert {one["span_id"] for one in told if one["type"] == "span"} == {s.span_id for s in [*made, inner]}
    assert len([one for one in told if one["type"] == "span"]) == 451
    assert [one["trace_id"] for one in told if one["type"] == "score"] == [made[5].trace_id]
    cursors = [one["next"] for one in told if one["type"] == "cursor"]
    assert len(cursors) == 3 and cursors[-1] is None
    rest = lines(client.get("/api/traces/export", params={"cursor": cursors[1]}).content)
    assert {one["span_id"] for one in rest if one["type"] == "span"} == {s.span_id for s in made[400:]}
    answer = client.get("/api/traces/export", params={"format": "parquet"})
    assert answer.headers["content-type"] == "application/vnd.apache.parquet"
    table = pq.read_table(io.BytesIO(answer.content))
    assert table.num_rows == 451 and set(table["span_id"].to_pylist()) == {s.span_id for s in [*made, inner]}
    assert table["tags"][0].as_py() in (["x"], [])
    assert json.loads(table["input_messages"][0].as_py())[0]["role"] == "user"


def test_an_export_is_filtered_and_refuses_what_it_cannot_read(client: TestClient, traffic: Traffic) -> None:
    failed = traffic.span(status="error")
    traffic.span()
    traffic.carry()
    told = lines(client.get("/api/traces/export", params={"q": "status:error"}).content)
    assert [one["trace_id"] for one in told if one["type"] == "span"] == [failed.trace_id]
    refused = client.get("/api/traces/export", params={"q": "modle:x"})
    assert (refused.status_code, refused.json()["code"]) == (400, "bad_filter")
    assert "Did you mean model?" in refused.json()["hint"]
    assert client.get("/api/traces/export", params={"cursor": "bm9uc2Vuc2U"}).status_code == 400
    assert client.get("/api/traces/export", params={"format": "csv"}).status_code == 422
    assert lines(client.get("/api/traces/export", params={"q": "user:nobody"}).content) == []


def test_an_export_does_not_hold_everything(stores: Stores, traffic: Traffic, key: str) -> None:
    """The first piece is there before the second page is read."""
    for number in range(401):
        traffic.span(start_ns=clock.now_ns() - number * TICK)
    traffic.carry()
    pieces = export.stream(stores, traffic.project, service.conditions_of(TraceFilter()), "jsonl")
    first = next(pieces)
    assert len(lines(first)) == 200
    late = traffic.span(start_ns=clock.now_ns() - 1000 * TICK)
    traffic.carry()
    assert late.trace_id.encode() in b"".join(pieces)


def test_commands(stores: Stores, client: TestClient, traffic: Traffic) -> None:
    failed = traffic.span("bad \x1b[31m luck", status="error", error_type="timed_out")
    fine = traffic.span("fine")
    traffic.carry()
    environment = stores.settings.environment()

    def run(*args: str) -> Result:
        return CliRunner().invoke(traces, list(args), env=environment, catch_exceptions=False)

    shown = run("status:error")
    assert failed.trace_id in shown.output and fine.trace_id not in shown.output and "timed_out" in shown.output
    assert "\x1b" not in shown.output
    assert fine.trace_id in run("-status:error").output and failed.trace_id not in run("-status:error").output
    assert "2 traces." in run().output
    assert json.loads(run("--json", "fine").stdout)["trace_id"] == fine.trace_id
    told = lines(run("export", "status:error").stdout_bytes)
    assert [one["type"] for one in told] == ["span", "cursor"]


def test_sessions_users_and_outlines(client: TestClient, traffic: Traffic) -> None:
    now = clock.now_ns()
    for number in range(5):
        traffic.span(session_id=f"s{number // 2}", subject_id="kim", start_ns=now - number * TICK, cost_micros=7)
    traffic.span(session_id="s9", subject_id="lee", status="error", start_ns=now - 9 * TICK)
    traffic.span(session_id="old", subject_id="old", start_ns=now - 40 * 86_400 * 10**9)
    root = traffic.span(start_ns=now - 10 * TICK)
    for number in range(4):
        traffic.span(f"step {number}", trace_id=root.trace_id, parent_id=root.span_id, start_ns=now + number)
    traffic.carry()
    people = client.get("/api/users").json()["items"]
    assert [(one["id"], one["traces"], one["sessions"], one["errors"], one["cost_micros"]) for one in people] == [
        ("kim", 5, 3, 0, 35),
        ("lee", 1, 1, 1, 0),
    ]
    first = client.get("/api/sessions", params={"limit": 3}).json()
    second = client.get("/api/sessions", params={"limit": 3, "cursor": first["next"]}).json()
    assert [one["id"] for one in first["items"] + second["items"]] == ["s0", "s1", "s2", "s9"]
    assert [one["id"] for one in client.get("/api/sessions", params={"q": "status:error"}).json()["items"]] == ["s9"]
    path = f"/api/traces/{root.trace_id}/spans"
    page = client.get(path, params={"limit": 3}).json()
    assert [one["depth"] for one in page["items"]] == [0, 1, 1]
    rest = client.get(path, params={"limit": 3, "cursor": page["next"]}).json()
    assert len(rest["items"]) == 2 and rest["next"] is None
    assert len(client.get(path, params={"q": '"step 2"'}).json()["items"]) == 1
    assert client.get(path, params={"q": "user:kim"}).status_code == 400
    assert client.get(f"/api/traces/{ids.new_trace_id()}/spans").status_code == 404
    for one in ("/api/users", "/api/sessions", path, "/api/traces/export"):
        assert client.get(one, headers={"authorization": ""}).status_code == 401
