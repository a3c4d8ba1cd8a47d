"""Who may do what below /api/public, what is refused, and that projects see nothing of each other. Without the SDK."""

import base64
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from fastapi import FastAPI
from sqlalchemy import select
from starlette.testclient import TestClient

from noria.app.slices import SLICES
from noria.core import ids
from noria.governance import service as governance
from noria.governance.tables import audit
from noria.stores.connect import Stores
from noria.web import application
from tests.tracing.conftest import Traffic

PICTURE = b"\x89PNG\r\n\x1a\n and some dots"
TRACE = "0123456789abcdef0123456789abcdef"


@dataclass
class Public:
    """The API as Langfuse's clients call it, with any key."""

    stores: Stores
    client: TestClient
    project: str
    admin: str

    def __call__(self, method: str, path: str, key: str = "", **options: Any) -> Any:
        return self.client.request(method, f"/api/public{path}", auth=("pk", key or self.admin), **options)

    def key(self, scope: str, role: str = "", project: str = "") -> str:
        with self.stores.database.begin() as connection:
            _, key = governance.mint_key(
                connection,
                project_id=project or self.project,
                name=scope,
                scope=scope,
                role=role,
                actor_id="",
            )
        return key

    def audited(self) -> list[str]:
        with self.stores.database.read() as connection:
            return list(connection.execute(select(audit.c.verb).order_by(audit.c.id)).scalars())


_apps: list[FastAPI] = []


@pytest.fixture
def public(stores: Stores) -> Iterator[Public]:
    first = governance.bootstrap(stores)
    assert first is not None
    if not _apps:  # making all its routes takes longer than a test
        _apps.append(application.create(SLICES, stores, governance.authenticate))
    _apps[0].state.stores = stores
    with TestClient(_apps[0], raise_server_exceptions=False) as client:
        yield Public(stores, client, first.project_id, first.key)


def test_each_way_wants_its_permission(public: Public) -> None:
    sender, application_, viewer = public.key("write_traces"), public.key("call"), public.key("manage", "viewer")
    prompt = {"name": "hello", "prompt": "Hi {{name}}"}
    score = {"name": "good", "value": 1, "traceId": TRACE}
    media = {"contentType": "image/png", "contentLength": 3, "sha256Hash": "x", "field": "input"}
    tries: list[tuple[str, str, str, dict[str, Any], int]] = [
        ("GET", "/projects", sender, {}, 200),
        ("GET", "/projects", "noria_nobody", {}, 401),
        ("GET", "/traces", sender, {}, 403),
        ("GET", "/v2/observations", application_, {}, 403),
        ("GET", "/v3/scores", sender, {}, 403),
        ("GET", "/traces", viewer, {}, 200),
        ("POST", "/scores", viewer, {"json": score}, 403),
        ("POST", "/scores", application_, {"json": score}, 200),
        ("POST", "/ingestion", viewer, {"json": {"batch": []}}, 403),
        ("POST", "/v2/prompts", sender, {"json": prompt}, 403),
        ("POST", "/v2/prompts", viewer, {"json": prompt}, 403),
        ("POST", "/v2/datasets", sender, {"json": {"name": "d"}}, 403),
        ("POST", "/dataset-items", viewer, {"json": {"datasetName": "d"}}, 403),
        ("POST", "/dataset-run-items", viewer, {"json": {"runName": "r", "datasetItemId": "i", "traceId": TRACE}}, 403),
        ("DELETE", "/dataset-items/x", viewer, {}, 403),
        ("DELETE", "/datasets/d/runs/r", viewer, {}, 403),
        ("PATCH", "/v2/prompts/hello/versions/1", viewer, {"json": {"newLabels": ["x"]}}, 403),
        ("POST", "/media", viewer, {"json": media}, 403),
        ("GET", "/media/x", sender, {}, 403),
    ]
    for method, path, key, options, wanted in tries:
        answer = public(method, path, key, **options)
        assert answer.status_code == wanted, (method, path, answer.text)
    assert public.client.get("/api/public/traces").status_code == 401
    assert public.client.get("/api/public/health").json()["status"] == "OK"


def test_projects_see_nothing_of_each_other(public: Public, traffic: Traffic) -> None:
    other = public.key("manage", "editor", project=ids.new_id())
    traffic.project = public.project
    span = traffic.span(session_id="s 1")
    traffic.carry()
    public("POST", "/v2/prompts", json={"name": "hello", "prompt": "Hi", "labels": ["production"]})
    public("POST", "/v2/datasets", json={"name": "mine"})
    public("POST", "/dataset-items", json={"datasetName": "mine", "id": "one", "input": "a"})
    public("POST", "/scores", json={"name": "good", "value": 1, "traceId": span.trace_id, "id": "score-1"})
    traffic.carry()
    announced = _announce(public)
    for path in (
        *(f"/traces/{span.trace_id}", f"/observations/{span.span_id}", "/sessions/s%201", "/v2/scores/score-1"),
        *("/v2/prompts/hello", "/v2/datasets/mine", "/dataset-items/one", f"/media/{announced['mediaId']}"),
    ):
        assert public("GET", path, other).status_code == 404, path
    for path in ("/traces", "/observations", "/sessions", "/v2/scores", "/v2/prompts", "/v2/datasets"):
        assert public("GET", path).json()["meta"]["totalItems"] == 1, path
        assert public("GET", path, other).json()["meta"]["totalItems"] == 0, path
    again = public("POST", "/dataset-items", other, json={"datasetName": "mine", "id": "one"})
    assert again.status_code == 404


def test_traces_of_the_gateway_are_read_as_well(public: Public, traffic: Traffic) -> None:
    traffic.project = public.project
    span = traffic.span("hello", "hi", subject_id="ada", cost_micros=2_000, served_model="m", tags=["x"])
    traffic.span(start_ns=span.start_ns - 1_000_000_000)
    traffic.carry()
    found = public("GET", f"/traces/{span.trace_id}").json()
    assert found["observations"][0]["type"] == "GENERATION"
    assert found["observations"][0]["usage"]["total"] == 15
    assert (found["output"]["content"], found["totalCost"], found["userId"]) == ("hi", 0.002, "ada")
    page = public("GET", "/traces", params={"page": 2, "limit": 1}).json()
    assert page["meta"] == {"page": 2, "limit": 1, "totalItems": 2, "totalPages": 2}
    tagged = public("GET", "/traces", params={"tags": "x", "fields": "core"}).json()["data"]
    assert [(one["id"], one["input"], one["observations"]) for one in tagged] == [(span.trace_id, None, [])]
    oldest = public("GET", "/traces", params={"orderBy": "timestamp.asc"}).json()["data"]
    assert oldest[-1]["id"] == span.trace_id


def test_a_condition_that_is_not_known_is_refused_by_name(public: Public) -> None:
    wrong = {
        '[{"type": "string", "column": "nope", "operator": "=", "value": "x"}]': "nope",
        '[{"type": "string", "column": "name", "operator": "~", "value": "x"}]': "~",
        '[{"type": "magic", "column": "name", "operator": "=", "value": "x"}]': "magic",
        '[{"type": "number", "column": "latency", "operator": ">", "value": "x"}]': "number",
        "not JSON": "JSON",
    }
    for condition, named in wrong.items():
        answer = public("GET", "/v2/observations", params={"filter": condition})
        assert answer.status_code == 400
        assert named in answer.json()["message"]


def test_conditions_find_what_they_say(public: Public, traffic: Traffic) -> None:
    traffic.project = public.project
    told = {"langfuse.observation.metadata.plan": "it's 'free'", "langfuse.observation.type": "tool"}
    wanted = traffic.span(name="a", kind="tool", attributes=told, tags=["x", "y"], subject_id="ada")
    traffic.span(name="b", parent_id="00000000000000aa", tags=["x"])
    traffic.carry()

    def found(*conditions: dict[str, Any]) -> list[str]:
        answer = public("GET", "/v2/observations", params={"filter": json.dumps(conditions)})
        assert answer.status_code == 200, answer.text
        return [one["id"] for one in answer.json()["data"]]

    def one(kind: str, column: str, operator: str, value: Any, **more: Any) -> dict[str, Any]:
        return {"type": kind, "column": column, "operator": operator, "value": value, **more}

    only = [wanted.span_id]
    assert found(one("stringObject", "metadata", "=", "it's 'free'", key="plan")) == only
    assert found(one("stringOptions", "type", "any of", ["TOOL"])) == only
    assert found(one("arrayOptions", "tags", "all of", ["x", "y"])) == only
    assert found(one("boolean", "isRootObservation", "=", True)) == only
    assert found(one("null", "userId", "is not null", None)) == only
    assert found(one("string", "userId", "starts with", "a"), one("number", "latency", "<", 1)) == only
    assert len(found(one("datetime", "startTime", ">", "2020-01-01T00:00:00Z"))) == 2


def test_events_of_a_batch_answer_for_themselves(public: Public, traffic: Traffic) -> None:
    good = {"id": "e1", "type": "score-create", "timestamp": "2026-11-24T09:00:00Z"}
    batch = [
        good | {"body": {"id": "s1", "name": "Any name, 한글", "value": "yes", "traceId": TRACE}},
        good | {"id": "e2", "body": {"name": "bad", "value": 1}},
        {"id": "e3", "type": "span-create", "body": {}},
        {"id": "e4", "type": "sdk-log", "body": {}},
        "nothing",
    ]
    answer = public("POST", "/ingestion", public.key("write_traces"), json={"batch": batch})
    assert answer.status_code == 207
    assert [one["id"] for one in answer.json()["successes"]] == ["e1", "e4"]
    assert [one["id"] for one in answer.json()["errors"]] == ["e2", "e3", ""]
    traffic.carry()
    [score] = public("GET", "/v2/scores").json()["data"]
    assert (score["id"], score["name"], score["stringValue"]) == ("s1", "Any name, 한글", "yes")
    assert score["timestamp"] == "2026-11-24T09:00:00.000Z"


def test_a_list_of_scores_keeps_the_good_ones_and_says_what_is_wrong(public: Public, traffic: Traffic) -> None:
    good = {"name": "n", "value": 0.25, "datasetRunId": "run-1", "id": "r1"}
    wrong: list[Any] = [
        {"name": "n", "value": 1},
        {"name": "n", "value": 2, "dataType": "BOOLEAN", "traceId": TRACE},
        {"name": "n", "value": "x" * 300, "traceId": TRACE},
        {"name": "", "value": 1, "traceId": TRACE},
        {"name": "n", "value": 1, "traceId": TRACE, "dataType": "MAGIC"},
        "text",
    ]
    answer = public("POST", "/scores", json=[good, *wrong])
    assert answer.status_code == 207
    assert (answer.json()["accepted"], answer.json()["rejected"]) == (1, len(wrong))
    assert public("POST", "/scores", json=wrong[0]).status_code == 400
    assert public("POST", "/scores", json=[good | {"value": 0.5}]).status_code == 202
    traffic.carry()
    [score] = public("GET", "/v3/scores", params={"experimentId": "run-1"}).json()["data"]
    assert (score["value"], score["subject"]) == (0.5, {"kind": "experiment", "id": "run-1"})
    assert public("GET", "/v3/scores", params={"value": "0.5"}).json()["data"][0]["id"] == "r1"
    assert public("GET", "/v3/scores", params={"valueMin": 0.6}).json()["data"] == []


def test_a_prompt_keeps_its_words_whatever_stands_between_braces(public: Public) -> None:
    for text in (
        "{{ name }}",
        "{{#if x}} {{/if}}",
        "{{{x}}}",
        '{"a": {{"b": 1}}}',
        "{{",
        "{{{{x}}}}",
        "a }} b {{! c }}",
    ):
        made = public("POST", "/v2/prompts", json={"name": "Odd / name", "prompt": text, "labels": ["production"]})
        assert made.status_code == 201, (text, made.text)
        assert public("GET", "/v2/prompts/Odd%20%2F%20name").json()["prompt"] == text
    assert public.audited().count("prompt.create") == 1
    refused = public("POST", "/v2/prompts", json={"name": "p", "prompt": "@@@langfusePrompt:name=x|version=1@@@"})
    assert refused.status_code == 400
    assert public("GET", "/v2/prompts/p").status_code == 404
    mismatch = public("POST", "/v2/prompts", json={"name": "p", "type": "chat", "prompt": "text"})
    assert "list of messages" in mismatch.json()["message"]


def test_tags_of_a_prompt_are_kept_and_in_the_audit(public: Public) -> None:
    public("POST", "/v2/prompts", json={"name": "p", "prompt": "a", "tags": ["one"]})
    public("POST", "/v2/prompts", json={"name": "p", "prompt": "b"})
    assert public("GET", "/v2/prompts/p", params={"version": 2}).json()["tags"] == ["one"]
    public("POST", "/v2/prompts", json={"name": "p", "prompt": "c", "tags": ["two"]})
    assert public("GET", "/v2/prompts/p", params={"label": "latest"}).json()["tags"] == ["two"]
    assert public.audited()[-2:] == ["prompt.tags", "prompt.version"]
    assert public("GET", "/v2/prompts", params={"tag": "two"}).json()["meta"]["totalItems"] == 1
    assert public("GET", "/v2/prompts", params={"tag": "one"}).json()["meta"]["totalItems"] == 0


def test_media_are_only_the_bytes_that_were_announced(public: Public) -> None:
    told = _announce(public)
    path = told["uploadUrl"].partition("/api/public")[2]
    assert public("PUT", path, content=b"something else").status_code == 400
    assert public("PUT", path.replace("/content/", "/content/0"), content=PICTURE).status_code == 403
    assert public("PUT", path[:-1] + ("0" if path[-1] != "0" else "1"), content=PICTURE).status_code == 403
    assert public("GET", path).status_code == 403, "an address to put is none to read"
    assert public("GET", f"/media/{told['mediaId']}").status_code == 404
    confirmed = {"uploadedAt": "2026-11-24T09:00:00Z", "uploadHttpStatus": 200}
    assert public("PATCH", f"/media/{told['mediaId']}", json=confirmed).status_code == 409
    assert public.client.put(f"/api/public{path}", content=PICTURE).status_code == 200
    assert public("PATCH", f"/media/{told['mediaId']}", json=confirmed).status_code == 200
    assert _announce(public)["uploadUrl"] is None
    found = public("GET", f"/media/{told['mediaId']}").json()
    got = public.client.get("/api/public" + found["url"].partition("/api/public")[2])
    assert (got.content, got.headers["content-type"]) == (PICTURE, "image/png")
    assert public.audited().count("media.add") == 1


def test_media_that_could_run_are_saved_and_not_shown(public: Public) -> None:
    told = _announce(public, b"<script>alert(1)</script>", "image/svg+xml")
    public.client.put(
        "/api/public" + told["uploadUrl"].partition("/api/public")[2], content=b"<script>alert(1)</script>"
    )
    url = public("GET", f"/media/{told['mediaId']}").json()["url"]
    got = public.client.get("/api/public" + url.partition("/api/public")[2])
    assert got.headers["content-type"] == "application/octet-stream"
    assert got.headers["content-disposition"].startswith("attachment")
    assert got.headers["x-content-type-options"] == "nosniff"
    too_large = _announced(b"x", "image/png") | {"contentLength": 1 << 40}
    assert public("POST", "/media", json=too_large).status_code == 413


def test_what_is_not_there_says_where_to_look(public: Public) -> None:
    for method, path in (("GET", "/metrics"), ("GET", "/comments"), ("DELETE", f"/traces/{TRACE}")):
        answer = public(method, path)
        assert answer.status_code in {404, 405}
        assert "docs/moving-from-langfuse.md" in answer.json()["message"]


def _announced(content: bytes, kind: str) -> dict[str, Any]:
    digest = base64.b64encode(hashlib.sha256(content).digest()).decode()
    return {
        "contentType": kind,
        "contentLength": len(content),
        "sha256Hash": digest,
        "field": "input",
        "traceId": TRACE,
    }


def _announce(public: Public, content: bytes = PICTURE, kind: str = "image/png") -> dict[str, Any]:
    answer = public("POST", "/media", json=_announced(content, kind))
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told
