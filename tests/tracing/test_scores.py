"""Scores through the whole application: kinds, targets, sources, keys, batches, filters, and feedback by a link."""

from collections.abc import Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient

from noria.core import ids
from noria.governance import audit
from noria.governance import service as governance
from noria.governance.links import PATH, Links
from noria.governance.slice import SLICE as GOVERNANCE
from noria.stores.connect import Stores
from noria.tracing.service import give_feedback
from noria.tracing.slice import SLICE
from noria.web import application
from tests.tracing.conftest import Traffic

TRACE, SPAN = "ab" * 16, "cd" * 8


@pytest.fixture
def keys(stores: Stores) -> dict[str, str]:
    """The first admin's key, and one of each scope that an application has; the project is under "project"."""
    first = governance.bootstrap(stores)
    assert first is not None
    made = {"project": first.project_id, "admin": first.key}
    with stores.database.begin() as connection:
        for scope in ("call", "write_traces"):
            _, made[scope] = governance.mint_key(
                connection, project_id=first.project_id, name=scope, scope=scope, actor_id=""
            )
        _, made["viewer"] = governance.mint_key(
            connection, project_id=first.project_id, name="v", scope="manage", role="viewer", actor_id=""
        )
    return made


@pytest.fixture
def client(stores: Stores) -> Iterator[TestClient]:
    with TestClient(application.create((GOVERNANCE, SLICE), stores, governance.authenticate)) as opened:
        yield opened


class Scores:
    """The API as one key sees it."""

    def __init__(self, client: TestClient, key: str, traffic: Traffic) -> None:
        self.client = client
        self.headers = {"authorization": f"Bearer {key}"}
        self.traffic = traffic

    def give(self, status: int = 202, **body: Any) -> Any:
        answer = self.client.post("/api/scores", json=body, headers=self.headers)
        assert answer.status_code == status, answer.text
        return answer.json()

    def found(self, **which: Any) -> list[dict[str, Any]]:
        self.traffic.carry()
        answer = self.client.get("/api/scores", params=which, headers=self.headers)
        assert answer.status_code == 200, answer.text
        items: list[dict[str, Any]] = answer.json()["items"]
        return items


@pytest.fixture
def admin(client: TestClient, keys: dict[str, str], traffic: Traffic) -> Scores:
    return Scores(client, keys["admin"], traffic)


def test_every_kind_of_value_on_every_kind_of_target(admin: Scores) -> None:
    admin.give(name="length", value=12, trace_id=TRACE, source="code", comment="characters")
    admin.give(name="polite", value=True, trace_id=TRACE, span_id=SPAN, source="judge")
    admin.give(name="intent", value="환불", trace_id=TRACE, source="person")
    admin.give(name="why", value="Long words.\n" * 30, type="text", session_id="s 1")
    length, polite, intent, why = reversed(admin.found())
    assert (length["type"], length["value"], length["comment"]) == ("numeric", 12, "characters")
    assert (polite["type"], polite["value"], polite["span_id"]) == ("boolean", True, SPAN)
    assert (intent["type"], intent["value"], intent["source"]) == ("categorical", "환불", "person")
    assert (why["type"], why["session_id"], why["trace_id"]) == ("text", "s 1", "")
    assert why["value"].startswith("Long words.")


def test_a_key_makes_it_one_for_each_target(admin: Scores) -> None:
    for value in (1, 2):
        admin.give(name="n", value=value, trace_id=TRACE, key="k")
        admin.give(name="n", value=value, trace_id=TRACE, span_id=SPAN, key="k")
        admin.give(name="n", value=value, session_id="a", key="k")
        admin.give(name="n", value=value, session_id="b", key="k")
        admin.give(name="n", value=value, trace_id=TRACE)
    found = admin.found(name="n")
    assert len([score for score in found if score["key"] == "k"]) == 4
    assert {score["value"] for score in found if score["key"] == "k"} == {2}
    assert [score["value"] for score in found if not score["key"]] == [2, 1]
    assert [score["session_id"] for score in admin.found(session_id="a")] == ["a"]


def test_filters_and_pages(admin: Scores) -> None:
    batch = [{"name": "n", "value": number, "trace_id": TRACE, "key": str(number)} for number in range(5)]
    assert len(admin.give(scores=batch)["items"]) == 5
    admin.give(name="other", value=False, session_id="s", source="code")
    assert {score["value"] for score in admin.found(least=1, most=3, name="n")} == {1, 2, 3}
    assert [score["name"] for score in admin.found(type="boolean")] == ["other"]
    assert [score["name"] for score in admin.found(source="code")] == ["other"]
    assert admin.found(until="2020-01-01T00:00:00Z") == []
    assert len(admin.found(since="2020-01-01T00:00:00Z", trace_id=TRACE.upper())) == 5
    seen, cursor = [], None
    while True:
        params = {"limit": 2, **({"cursor": cursor} if cursor else {})}
        page = admin.client.get("/api/scores", params=params, headers=admin.headers).json()
        seen += [score["score_id"] for score in page["items"]]
        if not (cursor := page["next"]):
            break
    assert len(seen) == len(set(seen)) == 6


def test_a_past_time_is_taken(admin: Scores) -> None:
    admin.give(name="n", value=1, trace_id=TRACE, time="2026-01-02T03:04:05Z")
    [score] = admin.found(until="2026-02-01T00:00:00Z")
    assert score["time"].startswith("2026-01-02T03:04:05")


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"value": 1}, "trace_id or session_id"),
        ({"value": 1, "trace_id": TRACE, "session_id": "s"}, "trace_id or session_id"),
        ({"value": 1, "trace_id": "x"}, "32 hex"),
        ({"value": 1, "session_id": "s", "span_id": SPAN}, "span_id"),
        ({"value": 1, "trace_id": TRACE, "name": "Bad Name"}, "name"),
        ({"value": 1e10, "trace_id": TRACE}, "finite"),
        ({"value": "", "trace_id": TRACE}, "characters"),
        ({"value": "x" * 201, "trace_id": TRACE}, "200"),
        ({"value": "x", "type": "numeric", "trace_id": TRACE}, "categorical"),
        ({"value": 2, "type": "boolean", "trace_id": TRACE}, "numeric"),
        ({"value": 1, "trace_id": TRACE, "key": "k" * 201}, "key"),
    ],
)
def test_bad_ones_are_refused_and_nothing_is_kept(admin: Scores, body: dict[str, Any], told: str) -> None:
    bad = {"name": "n", **body}
    assert told in admin.give(400, **bad)["detail"]
    batch = admin.give(400, scores=[{"name": "n", "value": 1, "trace_id": TRACE}, bad])
    assert batch["detail"].startswith("scores[1]: ")
    assert admin.found() == []


def test_who_may_give_what(client: TestClient, keys: dict[str, str], traffic: Traffic) -> None:
    body: dict[str, Any] = {"name": "n", "value": 1, "trace_id": TRACE}
    assert client.post("/api/scores", json=body).status_code == 401
    call, writer, viewer = (Scores(client, keys[name], traffic) for name in ("call", "write_traces", "viewer"))
    call.give(**body)
    writer.give(**body, source="judge")
    for source in ("code", "judge", "person"):
        call.give(403, **body, source=source)
    writer.give(403, **body, source="person")
    viewer.give(403, **body)
    assert client.get("/api/scores").status_code == 401
    for reader in (call, writer):
        assert client.get("/api/scores", headers=reader.headers).status_code == 403
    assert len(viewer.found()) == 2
    with TestClient(client.app) as other:
        assert other.get("/api/scores", headers={"authorization": "Bearer noria_no"}).status_code == 401


def test_what_a_person_gives_is_in_the_audit(
    stores: Stores, admin: Scores, client: TestClient, keys: dict[str, str], traffic: Traffic
) -> None:
    Scores(client, keys["call"], traffic).give(name="n", value=1, trace_id=TRACE)
    admin.give(name="label", value="good", trace_id=TRACE, source="person")
    with stores.database.read() as connection:
        [entry] = audit.entries(connection, keys["project"], verb="score.give").items
    assert (entry.target_kind, entry.target_id) == ("trace", TRACE)
    assert entry.details == {"name": "label", "source": "person", "scores": 1}


def test_a_persons_feedback_is_in_the_audit_too(stores: Stores, keys: dict[str, str]) -> None:
    for source in ("user", "person"):
        give_feedback(
            stores,
            project_id=keys["project"],
            author_id="p1",
            source=source,
            trace_id=TRACE,
            value=1,
        )
    with stores.database.read() as connection:
        [entry] = audit.entries(connection, keys["project"], verb="score.give").items
    assert (entry.actor_id, entry.target_id) == ("p1", TRACE)


def test_feedback_by_a_link_needs_no_secret(
    stores: Stores, client: TestClient, keys: dict[str, str], admin: Scores
) -> None:
    trace = ids.new_trace_id()
    links = Links(stores.settings.folder.secret, base_url="", hours=1)
    url = links.url(keys["project"], trace)
    asked = client.options(url, headers={"origin": "https://shop.example.com"})
    assert (asked.status_code, asked.headers["access-control-allow-origin"]) == (204, "*")
    for value in (0, 1):
        answer = client.post(url, json={"value": value, "text": "고마워요"})
        assert answer.status_code == 202, answer.text
        assert answer.headers["access-control-allow-origin"] == "*"
    [score] = admin.found(trace_id=trace)
    assert (score["value"], score["source"], score["comment"], score["author_id"]) == (1, "user", "고마워요", "")
    assert client.post(url, json={}).status_code == 400
    assert client.post(f"{PATH}{'0' * 104}", json={"value": 1}).status_code == 403
    assert client.post(url[:-1] + "x", json={"value": 1}).status_code == 403
    old = Links(stores.settings.folder.secret, base_url="", hours=-2).url(keys["project"], trace)
    assert client.post(old, json={"value": 1}).status_code == 403
    for path in ("/api/scores", "/api/feedback", "/api/traces"):
        assert client.get(path, headers={"authorization": f"Bearer {url[-104:]}"}).status_code in {401, 405}


def test_a_link_can_be_used_so_often(stores: Stores, client: TestClient, keys: dict[str, str]) -> None:
    links = Links(stores.settings.folder.secret, base_url="", hours=1)
    url = links.url(keys["project"], ids.new_trace_id())
    statuses = [client.post(url, json={"value": 1}).status_code for _ in range(22)]
    assert statuses == [202] * 20 + [429] * 2
    other = links.url(keys["project"], ids.new_trace_id())
    assert client.post(other, json={"value": 1}).status_code == 202
