"""The API from start to gate with real releases, and the pages as a reader gets them."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient

from noria.core.errors import BadInput
from noria.core.slices import Slice
from noria.datasets.records import DatasetVersion
from noria.evaluation import gate_runs, lineage, runs, service
from noria.evaluation.records import METRICS
from noria.evaluation.slice import SLICE
from noria.governance import service as governance
from noria.jobs import service as jobs
from noria.jobs.context import JobContext
from noria.registry import endpoints, gates, providers, releases, rollouts
from noria.web import application
from noria.web.i18n import catalogue
from tests.evaluation.conftest import Conversation, Laboratory, call
from tests.evaluation.gateway import Asked, Said, StandInGateway

Calls = Callable[[int], list[Conversation]]

GATE: list[dict[str, Any]] = [
    {
        "kind": "score",
        "metric": "field_f1",
        "versus": "primary",
        "require": "better",
        "alpha": 0.05,
        "at_least": 0.65,
    },
    {"kind": "score", "metric": "valid", "at_least": 0.97},
    {"kind": "latency", "p95_ms": 60_000},
    {"kind": "approvals", "count": 1},
]


@pytest.fixture
def client(laboratory: Laboratory) -> Iterator[TestClient]:
    app = application.create(
        (Slice("governance", pages="noria.governance.pages:router"), SLICE), laboratory.stores, governance.authenticate
    )
    with TestClient(app) as opened:
        opened.headers["authorization"] = f"Bearer {laboratory.first.key}"
        yield opened


@pytest.fixture
def two_releases(laboratory: Laboratory) -> None:
    """The endpoint "assistant" with a gate and two releases, of which the first one serves."""
    stores, project_id, actor_id = laboratory.stores, laboratory.project_id, laboratory.actor_id
    providers.add_provider(
        stores,
        project_id=project_id,
        name="somewhere",
        kind="openai",
        base_url="http://127.0.0.1:9/v1",
        actor_id=actor_id,
    )
    with stores.database.begin() as connection:
        endpoints.create_endpoint(connection, project_id=project_id, name="assistant", gate=GATE, actor_id=actor_id)
        for model in ("weak", "strong"):
            releases.create_release(
                connection,
                project_id=project_id,
                endpoint="assistant",
                provider="somewhere",
                model=model,
                parameters={"max_tokens": 40} if model == "strong" else {},
                actor_id=actor_id,
            )
    rollouts.promote(stores, project_id=project_id, endpoint="assistant", number=1, reason="first", actor_id=actor_id)


@pytest.fixture
def version(laboratory: Laboratory, calls: Calls) -> DatasetVersion:
    return laboratory.version("calls", train=calls(60)[30:], test=calls(30))


def finish(laboratory: Laboratory, job_id: str) -> dict[str, Any]:
    """Run a job that was started, in this process."""
    job = jobs.get(laboratory.stores, laboratory.project_id, job_id)
    function = {"evaluation.run": runs.run, "evaluation.gate": gate_runs.run}[job.name]
    return function(
        JobContext(
            job.id,
            laboratory.project_id,
            laboratory.actor_id,
            job.args,
            laboratory.stores,
            report=lambda *_: None,
            point=lambda *_: None,
        )
    )


def models(rows: list[Conversation]) -> Callable[[Asked], Said]:
    """Release 1 knows names only, release 2 everything."""
    answers = dict(rows)

    def answer(asked: Asked) -> Said:
        right = answers[asked.text]
        return Said(right if asked.model == "assistant@2" else call("SearchHotel", city="nowhere"))

    return answer


def evaluate(client: TestClient, laboratory: Laboratory, target: str, **more: Any) -> str:
    answer = client.post("/api/evaluations", json={"dataset": "calls:1", "target": target, **more})
    assert answer.status_code == 200, answer.text
    started = answer.json()
    finish(laboratory, started["job"])
    return str(started["id"])


@pytest.mark.usefixtures("two_releases", "version")
def test_from_evaluation_to_gate(
    client: TestClient, laboratory: Laboratory, gateway: StandInGateway, calls: Calls
) -> None:
    gateway.answer = models(calls(30))
    weak = evaluate(client, laboratory, "assistant@1")
    strong = evaluate(client, laboratory, "assistant@2", limit=20)
    report = client.get(f"/api/evaluations/{strong}").json()
    assert report["target"] == "assistant@2"
    assert report["n"] == 20
    assert report["metrics"]["field_f1"]["value"] == 1.0
    assert report["options"]["max_tokens"] is None  # the release says itself how long its answers may be
    assert client.get(f"/api/evaluations/{weak}").json()["options"]["max_tokens"] == 96

    found = client.get("/api/evaluations/compare", params={"a": weak, "b": strong}).json()
    assert (found["verdict"], found["n"], found["a"]["target"]) == ("better", 20, "assistant@1")
    one = client.get("/api/evaluations/compare", params={"a": weak, "b": strong, "metric": "valid"}).json()
    assert one["verdict"] == "undecided"
    assert list(one["metrics"]) == ["valid"]

    job = client.post("/api/endpoints/assistant/releases/2/gate").json()["job"]
    gate = finish(laboratory, job)
    assert gate["passed"] is True, gate
    assert 0 < gate["p_value"] < 0.05
    assert [clause["passed"] for clause in gate["clauses"]] == [True, True, True, None]
    assert (gate["evaluation_id"], gate["incumbent_evaluation_id"]) == (strong, weak)
    with laboratory.stores.database.read() as connection:
        release = releases.find_release(connection, laboratory.project_id, "assistant", 2)
        kept = gates.latest_result(connection, release)
        evidence = gates.evidence_of(connection, [release.id])
    assert release.state == "evaluated"
    assert kept is not None
    assert kept.passed
    assert kept.digest == release.digest
    assert evidence[release.id].evaluation_id == strong
    edges = lineage.edges(laboratory.stores, laboratory.project_id, "release", release.id)
    assert [(edge.target_kind, edge.target_id) for edge in edges] == [("evaluation", strong)]


@pytest.mark.usefixtures("two_releases", "version")
def test_a_gate_without_evidence_says_what_is_missing(
    client: TestClient, laboratory: Laboratory, gateway: StandInGateway, calls: Calls
) -> None:
    gateway.answer = models(calls(30))
    empty = finish(laboratory, client.post("/api/endpoints/assistant/releases/2/gate").json()["job"])
    assert empty["passed"] is False
    assert "no finished evaluation" in empty["clauses"][0]["text"]
    evaluate(client, laboratory, "assistant@2")
    half = finish(laboratory, client.post("/api/endpoints/assistant/releases/2/gate", json={}).json()["job"])
    assert half["passed"] is False
    assert "the primary release has no finished evaluation" in half["clauses"][0]["text"]
    other = evaluate(client, laboratory, "assistant@1")
    refused = client.post("/api/endpoints/assistant/releases/2/gate", json={"evaluation": other})
    assert refused.status_code == 400
    assert "is of assistant@1" in refused.json()["detail"]


@pytest.mark.usefixtures("version")
def test_baselines_through_the_api(client: TestClient, laboratory: Laboratory) -> None:
    evaluate(client, laboratory, "baseline:nearest", limit=10)
    listed = client.get("/api/evaluations", params={"dataset": "calls:1"}).json()["items"]
    assert [one["target"] for one in listed] == ["baseline:nearest"]
    assert listed[0]["tokens"]["prompt_mean"] is None
    failed = client.post("/api/evaluations", json={"dataset": "calls:1", "target": "baseline:linear"}).json()
    with pytest.raises(BadInput, match="few labels"):
        finish(laboratory, failed["job"])


@pytest.mark.usefixtures("version")
@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({"dataset": "calls:9", "target": "baseline:nearest"}, 404, "no version 9"),
        ({"dataset": "calls:1", "target": "baseline:best"}, 400, "no baseline"),
        ({"dataset": "calls:1", "target": "assistant"}, 400, "nothing to evaluate"),
        ({"dataset": "calls:1", "target": "assistant@1"}, 404, "endpoint"),
        ({"dataset": "calls:1", "target": "baseline:nearest", "split": "dev"}, 400, "no split 'dev'"),
        ({"dataset": "calls:1", "target": "baseline:nearest", "limit": 0}, 422, "limit"),
    ],
)
def test_bad_requests_are_refused_in_words(client: TestClient, body: dict[str, Any], status: int, words: str) -> None:
    answer = client.post("/api/evaluations", json=body)
    assert answer.status_code == status
    assert words in answer.json()["detail"]


@pytest.mark.usefixtures("version")
def test_a_viewer_may_look_and_not_start(client: TestClient, laboratory: Laboratory) -> None:
    with laboratory.stores.database.begin() as connection:
        _, key = governance.mint_key(
            connection,
            project_id=laboratory.project_id,
            name="viewer",
            scope="manage",
            role="viewer",
            actor_id=laboratory.actor_id,
        )
    client.headers["authorization"] = f"Bearer {key}"
    assert client.get("/api/evaluations").status_code == 200
    for path in ("/api/evaluations", "/api/endpoints/assistant/releases/1/gate"):
        assert client.post(path, json={"dataset": "calls:1", "target": "baseline:nearest"}).status_code == 403
    client.headers.pop("authorization")
    assert client.get("/api/evaluations").status_code == 401


def test_results_are_paged_and_filtered(
    client: TestClient, laboratory: Laboratory, gateway: StandInGateway, version: DatasetVersion, calls: Calls
) -> None:
    answers = dict(calls(30)[:20])
    gateway.answer = lambda asked: Said(answers.get(asked.text, "no call"))
    evaluation = laboratory.evaluation(version)
    laboratory.run(evaluation)
    path = f"/api/evaluations/{evaluation.id}/results"
    first = client.get(path, params={"limit": 12}).json()
    second = client.get(path, params={"limit": 30, "cursor": first["next"]}).json()
    assert len(first["items"]) + len(second["items"]) == 30
    assert second["next"] is None
    wrong = client.get(path, params={"only": "wrong"}).json()["items"]
    assert len(wrong) == 10
    assert wrong[0]["expected"].startswith('{"name": "SearchHotel"')
    assert client.get(path, params={"only": "odd"}).status_code == 422


def test_unfinished_or_different_evaluations_are_not_compared(
    client: TestClient, laboratory: Laboratory, version: DatasetVersion, calls: Calls
) -> None:
    done, open_one = laboratory.evaluation(version), laboratory.evaluation(version)
    laboratory.run(done)
    assert client.get("/api/evaluations/compare", params={"a": done.id, "b": open_one.id}).status_code == 409
    other = laboratory.evaluation(laboratory.version("calls", test=calls(4)))
    laboratory.run(other)
    answer = client.get("/api/evaluations/compare", params={"a": done.id, "b": other.id})
    assert answer.status_code == 400
    assert "calls:1 test and calls:2 test" in answer.json()["detail"]


def test_another_project_sees_nothing(laboratory: Laboratory, version: DatasetVersion) -> None:
    evaluation = laboratory.evaluation(version)
    laboratory.run(evaluation)
    stranger = "0190a000-0000-7000-8000-000000000009"
    assert service.list_evaluations(laboratory.stores, stranger).items == []
    assert lineage.edges(laboratory.stores, stranger, "evaluation", evaluation.id) == []


@pytest.mark.usefixtures("two_releases")
def test_pages(
    client: TestClient, laboratory: Laboratory, gateway: StandInGateway, version: DatasetVersion, calls: Calls
) -> None:
    assert "No evaluations yet" in client.get("/evaluations").text
    gateway.answer = models(calls(30))
    weak = evaluate(client, laboratory, "assistant@1")
    strong = evaluate(client, laboratory, "assistant@2")
    waiting = laboratory.evaluation(version, "assistant@3")
    listed = client.get("/evaluations").text
    assert "assistant@2" in listed
    assert "queued" in listed
    report = client.get(f"/evaluations/{strong}").text
    assert "Field F1 1.00" in report
    assert f"/evaluations/compare?a={weak}&amp;b={strong}" in report
    wrong = client.get(f"/evaluations/{weak}", params={"only": "wrong"}).text
    assert "<del>nowhere</del>" in wrong
    assert client.get("/evaluations/compare", params={"a": weak, "b": strong}).text.count("assistant@1") > 3
    progress = client.get(f"/evaluations/{waiting.id}/progress").text
    assert f'data-live="/evaluations/{waiting.id}/progress"' in progress
    assert f'data-live="/evaluations/{waiting.id}/progress"' in client.get(f"/evaluations/{waiting.id}").text
    client.cookies.set("lang", "ko")
    assert "필드 F1" in client.get(f"/evaluations/{strong}").text


def test_every_metric_has_korean_words() -> None:
    words = {text for metric in METRICS.values() for text in (metric.title, metric.meaning)}
    assert words <= catalogue().keys()


def test_the_server_stays_light() -> None:
    modules = "noria.evaluation.http, noria.evaluation.pages, noria.evaluation.commands, noria.evaluation.lineage"
    heavy = "{'numpy', 'scipy', 'sklearn', 'pandas', 'pyarrow', 'torch'}"
    code = f"import sys, {modules}; found = {heavy} & sys.modules.keys(); sys.exit(str(found) if found else 0)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
