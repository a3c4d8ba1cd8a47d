"""The server's figures, and a dashboard that names nothing but what gateway and server really tell."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from noria.app import metrics
from noria.app.server import compose
from noria.gateway.metrics import Metrics
from noria.governance import service as governance
from noria.jobs import service as jobs
from noria.stores.connect import Stores

DASHBOARD = Path(__file__).parents[2] / "examples" / "grafana" / "noria.json"
NAME = re.compile(r"^(?:noria|gen_ai)_[a-z_]+", re.MULTILINE)


@pytest.fixture
def server(stores: Stores) -> Iterator[tuple[TestClient, str, str]]:
    first = governance.bootstrap(stores)
    assert first is not None
    yield TestClient(compose(stores)), first.key, first.project_id


def read(server: tuple[TestClient, str, str]) -> dict[str, float]:
    client, key, _ = server
    answer = client.get("/metrics", headers={"authorization": f"Bearer {key}"})
    assert answer.status_code == 200
    lines = [line for line in answer.text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


def test_the_server_tells_how_it_is(server: tuple[TestClient, str, str], stores: Stores) -> None:
    client, key, project = server
    before = read(server)
    assert before["noria_store_up"] == 0, "there is no store in this test"
    assert before["noria_disk_free_bytes"] > 0
    assert (before['noria_jobs{state="queued"}'], before["noria_journal_stalled_seconds"]) == (0, 0)
    jobs.start(stores, name="tracing.import", args={}, project_id=project, actor_id="")
    jobs.start(stores, name="tracing.import", args={}, project_id="another", actor_id="")
    span = {"traceId": "a" * 32, "spanId": "b" * 16, "name": "x", "startTimeUnixNano": "1790000000000000000"}
    sent = {"resourceSpans": [{"scopeSpans": [{"spans": [span, {**span, "spanId": "00"}]}]}]}
    assert client.post("/v1/traces", json=sent, headers={"authorization": f"Bearer {key}"}).status_code == 200
    after = read(server)
    assert after['noria_jobs{state="queued"}'] == 1
    assert after['noria_journal_waiting_bytes{writer="server"}'] > 100
    for result in ("kept", "refused"):
        name = f'noria_ingest_spans_total{{result="{result}"}}'
        assert after[name] - before[name] == 1
    name = 'noria_http_requests_total{method="POST",status="2xx"}'
    assert after[name] - before.get(name, 0) == 1


def test_who_may_not_view_gets_no_figures(server: tuple[TestClient, str, str], stores: Stores) -> None:
    client, _, project = server
    with stores.database.begin() as connection:
        _, key = governance.mint_key(connection, project_id=project, name="app", scope="call", actor_id="")
    assert client.get("/metrics").status_code == 401
    assert client.get("/metrics", headers={"authorization": f"Bearer {key}"}).status_code == 403


def test_a_journal_that_nobody_carries_is_told(stores: Stores) -> None:
    stores.journal.append([{"type": "span"}])
    waiting, stalled = metrics.backlog(stores.settings.folder.journal)
    assert waiting["server"] > 10
    assert 0 <= stalled < 300


def test_every_metric_of_the_dashboard_is_a_real_one(server: tuple[TestClient, str, str], stores: Stores) -> None:
    counted = Metrics()
    call = {
        "project_id": "p",
        "name": "chat.completions",
        "start_ns": 0,
        "end_ns": 9**9,
        "first_token_ns": 1,
        "streamed": True,
    }
    counted.count(
        {
            **call,
            "input_tokens": 3,
            "output_tokens": 4,
            "cost_micros": 5,
            "cache_hit": True,
            "release": 1,
            "requested_release": 2,
        }
    )
    stores.journal.append([{"type": "span"}])
    client, key, _ = server
    client.get("/healthz")
    told = counted.text("p").decode() + client.get("/metrics", headers={"authorization": f"Bearer {key}"}).text
    real = set(NAME.findall(told))
    panels = json.loads(DASHBOARD.read_text())["panels"]
    named = {
        name
        for panel in panels
        for target in panel["targets"]
        for name in re.findall(r"\b(?:noria|gen_ai)_[a-z_]+(?=[{\[]|$)", target["expr"])
    }
    assert len(named) >= 12
    assert named <= real, named - real
    told_by = set(re.findall(r'([a-z_]+)="', told))
    asked = " ".join(target["expr"] for panel in panels for target in panel["targets"])
    labels = {name.strip() for group in re.findall(r"by \(([^)]*)\)", asked) for name in group.split(",")}
    labels |= set(re.findall(r"[{,]([a-z_]+)[=!]", asked))
    assert len(labels) >= 6
    assert labels <= told_by, labels - told_by
