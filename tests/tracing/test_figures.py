"""Figures of model calls: over time and by what they have in common, through the service, the API and the pages."""

from datetime import timedelta

import pytest
from starlette.testclient import TestClient

from noria.app import schema as records
from noria.core import clock
from noria.core.errors import BadInput
from noria.governance.records import FirstLogin
from noria.stores.connect import Stores
from noria.tracing import figures
from noria.tracing.figures import BY, Question
from tests.tracing.conftest import TICK, Traffic

records.declare()
HOUR = timedelta(hours=1)


@pytest.fixture
def project(first: FirstLogin) -> str:
    return first.project_id


def asked(project: str, q: str = "", *, back: timedelta = HOUR, live: bool | None = True) -> Question:
    now = clock.now()
    return Question(project, now - back, now + timedelta(minutes=1), q, live)


@pytest.fixture
def calls(traffic: Traffic) -> Traffic:
    """An agent's run with two models, a failed call, a call of two hours ago, and one of an evaluation."""
    run = traffic.span(
        "plan", kind="agent", endpoint="", release=0, requested_release=0, arm="", input_tokens=0, output_tokens=0
    )
    for model, micros in (("big", 900), ("small", 100)):
        traffic.span(parent_id=run.span_id, trace_id=run.trace_id, served_model=model, cost_micros=micros)
    traffic.span(
        status="error", served_model="", requested_model="big", release=2, requested_release=2, output_tokens=0
    )
    traffic.span(served_model="big", start_ns=clock.now_ns() - 7200 * 1_000_000_000)
    traffic.span(live=False, arm="candidate", served_model="big")
    traffic.carry()
    return traffic


def test_every_call_counts_once(stores: Stores, project: str, calls: Traffic) -> None:
    found = figures.whole(stores, asked(project))
    assert (found.requests, found.errors, found.cost_micros) == (3, 1, 1000)
    assert (found.input_tokens, found.output_tokens, found.p50_ms) == (30, 10, 20 * TICK / 1e6)
    assert figures.whole(stores, asked(project, live=None)).requests == 4
    assert figures.whole(stores, asked(project, back=3 * HOUR)).requests == 4
    nothing = figures.whole(stores, asked(project, "endpoint:none"))
    assert (nothing.requests, nothing.p50_ms, nothing.first_token_ms) == (0, None, None)


def test_by_what_calls_have_in_common(stores: Stores, project: str, calls: Traffic) -> None:
    def by(one: figures.By, q: str = "") -> dict[str, int]:
        return {share.name: share.figures.requests for share in figures.shares(stores, asked(project, q), one)}

    assert by("model") == {"big": 2, "small": 1}
    assert by("release") == {"assistant@1": 2, "assistant@2": 1}
    assert by("model", "model:small") == {"small": 1}, "the other call of its trace is not asked for"
    assert by("release", "release:2") == {"assistant@2": 1}
    assert by("release", "-release:2") == {"assistant@1": 2}
    for one in BY:
        assert sum(by(one).values()) == 3, one
    first = figures.shares(stores, asked(project), "model")[0]
    assert (first.name, first.traces, first.figures.cost_micros) == ("big", 2, 900)


def test_over_time_sums_up_to_the_whole(stores: Stores, project: str, calls: Traffic) -> None:
    question = asked(project, back=3 * HOUR)
    pieces = figures.over_time(stores, question, steps=12)
    assert sum(one.requests for _, one in pieces) == 4
    assert len({one.time for _, one in pieces}) == 2
    grouped = figures.over_time(stores, question, steps=12, by="model", names=["small"])
    assert {name: sum(one.requests for given, one in grouped if given == name) for name in ("small", "")} == {
        "small": 1,
        "": 3,
    }
    with pytest.raises(BadInput, match="ends before"):
        Question(project, clock.now(), clock.now() - HOUR)


def test_the_api_tells_json_and_csv(browser: TestClient, calls: Traffic) -> None:
    told = browser.get("/api/figures", params={"by": "model", "steps": 6}).json()
    assert (told["whole"]["requests"], [group["name"] for group in told["groups"]]) == (4, ["big", "small"])
    assert sum(piece["requests"] for piece in told["pieces"]) == 4
    lines = browser.get("/api/figures", params={"by": "model", "form": "csv"}).text.splitlines()
    assert lines[0].startswith("name,time,requests,errors")
    assert [line.split(",")[0] for line in lines[1:]] == ["big", "small"]
    assert browser.get("/api/figures", params={"q": "nofield:1"}).status_code == 400
    assert (
        browser.get(
            "/api/figures", params={"since": "2026-01-02T00:00:00Z", "until": "2026-01-01T00:00:00Z"}
        ).status_code
        == 400
    )


def test_a_name_is_no_formula(browser: TestClient, traffic: Traffic) -> None:
    traffic.span(served_model='=HYPERLINK("http://evil.example")')
    traffic.carry()
    assert "'=HYPERLINK" in browser.get("/api/figures", params={"by": "model", "form": "csv"}).text


@pytest.mark.parametrize("path", ["/dashboard", "/costs"])
def test_the_pages(browser: TestClient, calls: Traffic, path: str) -> None:
    for by in BY:
        assert browser.get(path, params={"by": by, "time": "24h"}).status_code == 200, by
    page = browser.get(path, params={"by": "model"}).text
    assert "big" in page and "model%3Abig" in page
    assert (
        browser.get(path, params={"since": "2020-01-01T00:00", "until": "2020-01-02T00:00"}).text.count('class="empty"')
        == 1
    )
    refused = browser.get(path, params={"q": "nofield:1"})
    assert 'class="alert"' in refused.text
    assert browser.get(path, params={"time": "never"}).status_code == 400
    assert browser.get(path, params={"since": "<script>"}).status_code == 400
