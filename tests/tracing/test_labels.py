"""The page action "Score" and the page of scores: what people say shows at once, replaces what they said, and adds up."""

import html
import re
from datetime import timedelta
from typing import Any

import pytest
from starlette.testclient import TestClient

from noria.app import schema
from noria.core import clock, ids
from noria.core.records import Score
from noria.governance import audit
from noria.governance.records import FirstLogin
from noria.stores.connect import Stores
from noria.tracing import fresh, scores, service, tally, views
from noria.tracing.records import ScoreFilter, ScoreView
from noria.tracing.traffic import feedback_rows, summary
from tests.tracing.conftest import Traffic

schema.declare()


@pytest.fixture
def project(first: FirstLogin) -> str:
    return first.project_id


def read(browser: TestClient, path: str) -> str:
    answer = browser.get(path)
    assert answer.status_code == 200, answer.text
    assert " style=" not in answer.text and "<script>" not in answer.text
    return re.sub(r"\s+", " ", html.unescape(answer.text))


def say(browser: TestClient, status: int = 303, **fields: Any) -> str:
    """Send the form of a label; where it led, or what was answered."""
    token = re.search(r'name="csrf" value="([^"]+)"', browser.get("/scores").text)
    assert token
    sent = {"csrf": token[1], **fields}
    answer = browser.post("/actions/score", data=sent, follow_redirects=False)
    assert answer.status_code == status, answer.text
    return answer.headers.get("location", answer.text)


def given(stores: Stores, project: str, **which: Any) -> list[tuple[Any, ...]]:
    rows = scores.list_scores(stores, project, ScoreFilter(**which)).items
    return [(row.name, row.type, row.value, row.span_id, row.comment) for row in rows]


def test_each_kind_of_label_and_a_second_one_in_its_place(
    browser: TestClient, stores: Stores, project: str, traffic: Traffic
) -> None:
    span = traffic.span()
    traffic.carry()
    one: dict[str, Any] = {"t": span.trace_id}
    assert say(browser, **one, verdict="bad") == f"/traces/{span.trace_id}?judged=1#feedback"
    page = read(browser, f"/traces/{span.trace_id}")
    assert "found bad" in page, "at once, before the store has it"
    assert "replaces what you said before" in page and 'value="bad" checked' in page
    say(browser, **one, verdict="good", comment="after all")
    assert "found good" in (page := read(browser, f"/traces/{span.trace_id}")) and "found bad" not in page
    say(browser, **one, name="length", value="12.5")
    say(browser, **one, name="intent", value="12", kind="category")
    say(browser, **one, name="why", value="Long.", kind="text", comment="Very.")
    say(browser, **one, span=span.span_id, verdict="bad")
    traffic.carry()
    assert sorted(given(stores, project, trace_id=span.trace_id)) == [
        ("feedback", "boolean", False, span.span_id, ""),
        ("feedback", "boolean", True, "", "after all"),
        ("intent", "categorical", "12", "", ""),
        ("length", "numeric", 12.5, "", ""),
        ("why", "text", "Long.\nVery.", "", ""),
    ]
    wrongs: list[dict[str, Any]] = [
        {},
        {"value": "x", "kind": "number"},
        {"verdict": "fine"},
        {"verdict": "good", "value": "1"},
    ]
    for wrong in wrongs:
        say(browser, 400, **one, **wrong)
    say(browser, 400, t="x", verdict="good")
    say(browser, 400, **one, name="Bad name", value="1")


def test_several_and_all_that_a_search_finds(
    browser: TestClient, stores: Stores, project: str, traffic: Traffic
) -> None:
    spans = [traffic.span(f"question {number}") for number in range(3)]
    late = traffic.span("evaluated", live=False)
    traffic.carry()
    some = [span.trace_id for span in spans[:2]]
    assert say(browser, t=some, verdict="good", next="/traces?q=x") == "/traces?q=x"
    assert read(browser, "/traces").count("▲") == 2, "at once"
    assert "cannot have one correction" in say(browser, 400, t=some, correction="x")
    form = read(browser, "/actions/score?every=1&q=question&traffic=live")
    until = re.search(r'name="until" value="([^"]+)"', form)
    assert until and "3 traces" in form and "The answer that should have been given" not in form
    after = traffic.span("question that came later")
    traffic.carry()
    say(browser, every="1", q="question", traffic="live", until=until[1], name="triage", value="later")
    traffic.carry()
    found = {row.trace_id for row in scores.list_scores(stores, project, ScoreFilter(name="triage")).items}
    assert found == {span.trace_id for span in spans} and not found & {after.trace_id, late.trace_id}
    assert "finds nothing" in say(browser, 400, every="1", q="nobody", verdict="good")
    say(browser, 400, every="1", q="modle:x", verdict="good")
    with stores.database.read() as connection:
        entries = audit.entries(connection, project, verb="score.give").items
    assert {entry.details["scores"] for entry in entries} == {2, 3}


def test_what_was_just_given_lies_over_what_is_stored() -> None:
    project, trace, now = ids.new_id(), ids.new_trace_id(), clock.now_ns()

    def score(name: str, number: float, at: int = 0, key: str = "person:p") -> Score:
        return Score(ids.new_id(), project, trace, name, "person", now + at, number=number, author_id="p", key=key)

    old, new, other = score("a", 0), score("a", 1, 1_000), score("b", 1)
    fresh.remember([new, other, score("c", 1, key="")])
    shown = fresh.over(project, trace, [fresh.view(old)])
    assert [(one.name, one.number) for one in shown] == [("b", 1), ("a", 1)]
    newer = fresh.view(score("a", 0, 5_000))
    assert [one.number for one in fresh.over(project, trace, [newer]) if one.name == "a"] == [0]
    assert fresh.over(project, ids.new_trace_id(), []) == []


def test_only_feedback_says_good_or_bad() -> None:
    def view(**fields: Any) -> ScoreView:
        plain = {"name": "feedback", "source": "person", "number": None, "label": "", "text": "", "correction": ""}
        return ScoreView(score_id="s", span_id="", time=clock.now(), author_id="", **plain | fields)

    said = [view(number=1.0), view(number=0.0, source="user", name="helpful"), view(label="bad")]
    others = [view(number=1.0, name="toxic"), view(label="later"), view(label="later", name="triage")]
    assert views.opinion([*said, *others]) == views.Opinion(up=1, down=2, corrected=False)
    assert views.sign(view(name="length", number=235.0)) == 0


def test_the_page_of_scores(browser: TestClient, stores: Stores, project: str, traffic: Traffic) -> None:
    assert "No scores in this time." in read(browser, "/scores")
    span = traffic.span()
    records = []
    for number in range(4):
        shared = {"project_id": project, "trace_id": span.trace_id, "time_ns": clock.now_ns() - number * 10**12}
        for judged in (
            {"name": "helpful", "source": "user", "number": float(number > 0), "value_type": "boolean"},
            {"name": "length", "source": "code", "number": number * 10.0, "value_type": "numeric"},
            {"name": "intent", "source": "judge", "label": "pay" if number else "환불", "value_type": "categorical"},
        ):
            records.append({"type": "score", "score_id": ids.new_id(), **shared, **judged})
    session = {"trace_id": "", "session_id": "s 1", "text": "<b>warm</b>", "value_type": "text"}
    records.append({**records[0], "score_id": ids.new_id(), "name": "tone", "source": "person", **session})
    del records[-1]["number"]
    traffic.writer.append(records)
    traffic.carry()
    page = read(browser, "/scores")
    assert "13 scores" in page and "pay 75 %" in page and ".75" in page and "15.00" in page
    assert f"/traces/{span.trace_id}#s-" in page and "/sessions/s%201" in page
    assert "data-chart" in read(browser, "/scores?days=1") and "data-chart" not in page, "one point is no curve"
    assert "&lt;b&gt;warm" in browser.get("/scores").text
    assert read(browser, "/scores?name=length&least=10&most=20").count('<tr id="s-') == 2
    assert read(browser, "/scores?source=judge&label=pay").count('<tr id="s-') == 3
    assert read(browser, "/scores?kind=boolean&limit=2").count('<tr id="s-') == 2
    assert "No score is like that in this time." in read(browser, "/scores?name=nobody")
    assert browser.get("/scores?least=few").status_code == 400
    download = re.search(r'href="(/api/scores\?[^"]+)"', browser.get("/scores?name=length&least=10").text)
    assert download
    assert len(browser.get(html.unescape(download[1])).json()["items"]) == 3

    since = clock.now() - timedelta(days=1)
    found = {one.name: one for one in tally.by_name(stores, project, ScoreFilter(since=since))}
    assert (found["helpful"].mean, found["helpful"].binary, found["length"].binary) == (0.75, True, False)
    assert found["intent"].shares == [("pay", 0.75), ("환불", 0.25)]
    assert (found["tone"].mean, found["tone"].sources) == (None, {"person": 1})
    points = tally.over_time(stores, project, ScoreFilter(name="length"), since, clock.now())
    assert sum(point.count for point in points) == 4


def test_ticked_traces_are_compared(browser: TestClient, stores: Stores, traffic: Traffic) -> None:
    two = [traffic.span(said).trace_id for said in ("one", "two")]
    traffic.carry()
    token = re.search(r'name="csrf" value="([^"]+)"', browser.get("/traces").text)
    assert token
    answer = browser.post("/traces/compare", data={"csrf": token[1], "t": two}, follow_redirects=False)
    assert answer.headers["location"] == f"/traces/compare?t={two[0]}&t={two[1]}"
    assert browser.post("/traces/compare", data={"csrf": token[1], "t": two[:1]}).status_code == 400
    assert service.list_traces(stores, traffic.project).items


def test_a_label_of_another_name_is_no_feedback_for_a_release(
    stores: Stores, project: str, browser: TestClient, traffic: Traffic
) -> None:
    span = traffic.span()
    traffic.carry()
    say(browser, t=span.trace_id, name="length", value="235")
    service.give_feedback(
        stores, project_id=project, author_id="", source="user", trace_id=span.trace_id, name="helpful", value=0
    )
    traffic.carry()
    [figures] = summary(stores, project)
    assert (figures.feedback_mean, figures.feedback_count) == (0.0, 1)
    assert [row.trace_id for row in feedback_rows(stores, project, "assistant")] == []
    say(browser, t=span.trace_id, verdict="good")
    traffic.carry()
    [figures] = summary(stores, project)
    assert (figures.feedback_mean, figures.feedback_count) == (0.5, 2)
    assert [row.trace_id for row in feedback_rows(stores, project, "assistant")] == [span.trace_id]
