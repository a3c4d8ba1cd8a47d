"""Pages of tracing as a browser without scripts gets them: what is shown, what is escaped, what is said when the store is away."""

import html
import re
from collections.abc import Iterator
from dataclasses import replace

import pytest
from starlette.testclient import TestClient

from noria.app import schema
from noria.core import clock, ids
from noria.core.records import Span
from noria.core.settings import Settings
from noria.governance import service as governance
from noria.governance.records import FirstLogin
from noria.governance.slice import SLICE as GOVERNANCE
from noria.registry.slice import SLICE as REGISTRY
from noria.stores.connect import Stores
from noria.tracing import service, views
from noria.tracing.slice import SLICE
from noria.web import application
from tests.tracing.conftest import TICK, Traffic

schema.declare()


@pytest.fixture
def first(stores: Stores) -> FirstLogin:
    made = governance.bootstrap(stores)
    assert made is not None
    return made


@pytest.fixture
def project(first: FirstLogin) -> str:
    """The project of the first admin, so that pages show it."""
    return first.project_id


@pytest.fixture
def browser(stores: Stores, first: FirstLogin) -> Iterator[TestClient]:
    """Signed in as the first admin."""
    app = application.create((GOVERNANCE, replace(REGISTRY, pages="", nav=()), SLICE), stores, governance.authenticate)
    with TestClient(app) as client:
        client.post("/login", data={"email": first.email, "password": first.password, "next": "/traces"})
        yield client


def read(browser: TestClient, path: str) -> str:
    answer = browser.get(path)
    assert answer.status_code == 200, answer.text
    assert " style=" not in answer.text and "<script>" not in answer.text
    return html.unescape(answer.text)


def names(page: str) -> list[str]:
    return re.findall(r'<tr id="t-([0-9a-f]{32})">', page)


def test_an_empty_list_says_how_to_fill_it(browser: TestClient, stores: Stores) -> None:
    page = read(browser, "/traces")
    assert f'OpenAI(base_url="{stores.settings.gateway_url}/v1"' in page
    assert "No trace is like that." in read(browser, "/traces?q=nobody")


def test_the_list_shows_what_was_asked_answered_and_thought(browser: TestClient, traffic: Traffic) -> None:
    fine = traffic.span("취소해 주세요", '{"name": "Cancel"}', input_tokens=1234)
    fell = traffic.span(release=2, requested_release=3, arm="canary")
    failed = traffic.span(release=0, requested_release=1, status="error", status_code=504, error_type="timed_out")
    traffic.span(live=False)
    say(traffic, fine, value=1.0)
    say(traffic, fell, value=0.0, correction="bye")
    traffic.carry()
    page = read(browser, "/traces")
    assert set(names(page)) == {fine.trace_id, fell.trace_id, failed.trace_id}
    assert "취소해 주세요" in page and '{"name": "Cancel"}' in page and "1,234" in page
    assert "3 → 2" in page and "timed_out 504" in page
    assert "▲" in page and "▼" in page and "✎" in page


def test_filters_and_the_pager_keep_each_other(browser: TestClient, traffic: Traffic) -> None:
    for number in range(3):
        traffic.span(f"order {number}", session_id="s1", start_ns=clock.now_ns() - number * TICK)
    evaluated = traffic.span("hello", live=False, arm="candidate")
    traffic.carry()
    page = read(browser, "/traces?session=s1&limit=2&release=&status=&arm=&feedback=&q=")
    assert len(names(page)) == 2
    following = re.search(r'rel="next" href="([^"]+)"', page)
    assert following and "session=s1" in following[1]
    assert len(names(read(browser, following[1]))) == 1
    assert names(read(browser, "/traces?traffic=evaluation")) == [evaluated.trace_id]
    assert len(names(read(browser, "/traces?traffic=all&feedback=no"))) == 4
    assert browser.get("/traces?release=two").status_code == 400
    assert browser.get("/traces?status=odd").status_code == 422


def test_new_traces_are_counted_and_not_shoved_in(browser: TestClient, traffic: Traffic) -> None:
    traffic.span("first", start_ns=clock.now_ns() - 1000 * TICK)
    traffic.carry()
    asked = re.search(r'data-live="(/traces/fragments/fresh[^"]+)"', read(browser, "/traces?endpoint=assistant"))
    assert asked
    assert "new trace" not in read(browser, asked[1])
    traffic.span("second")
    traffic.span("third")
    traffic.span("elsewhere", endpoint="other")
    traffic.carry()
    part = read(browser, asked[1])
    assert "2 new traces" in part and 'href="/traces?endpoint=assistant"' in part
    assert browser.get("/traces/fragments/fresh?after=yesterday").status_code == 400


def test_a_trace_shows_strangers_words_as_text(browser: TestClient, traffic: Traffic) -> None:
    evil = "<script>alert(1)</script><img src=https://evil.example/x.png>"
    span = traffic.span(
        "",
        evil,
        input_messages=[
            {"role": "system", "content": evil},
            {"role": "user", "content": [{"type": "text", "text": evil}, {"type": "image_url", "image_url": {}}]},
            {"role": "assistant", "content": None, "tool_calls": [{"function": {"name": evil, "arguments": evil}}]},
        ],
        session_id=evil,
        prompt_name="call",
        prompt_version=4,
        attributes={"evil": evil},
    )
    say(traffic, span, value=0.0, text=evil, correction=evil + "!")
    traffic.carry()
    answer = browser.get(f"/traces/{span.trace_id}").text
    assert "<img" not in answer and "<script>" not in answer
    assert "&lt;img" in answer and "image_url" in answer
    assert 'href="/prompts/call"' in answer and f"/lineage/trace/{span.trace_id}" in answer


def test_a_trace_that_fell_back_says_so(browser: TestClient, traffic: Traffic) -> None:
    fallback = {"release": 2, "status": 503, "error": "provider_failed", "message": "It answered with status 503."}
    span = traffic.span(requested_release=2, arm="canary", attributes={"fallback": fallback})
    traffic.carry()
    page = read(browser, f"/traces/{span.trace_id}")
    assert "Release 2 failed (provider_failed), so release 1 answered. The caller saw no failure." in page
    assert "release 2 → 1" in page


def test_a_tree_of_hundreds_of_spans(browser: TestClient, traffic: Traffic) -> None:
    trace, root, now = ids.new_trace_id(), ids.new_span_id(), clock.now_ns()
    traffic.span(trace_id=trace, span_id=root, start_ns=now, end_ns=now + 900 * TICK, kind="agent")
    inner = [
        traffic.span(f"asked {n}", trace_id=trace, parent_id=root, start_ns=now + n * TICK, name=f"step {n}")
        for n in range(600)
    ]
    traffic.carry()
    page = read(browser, f"/traces/{trace}")
    assert page.count('<tr id="w-') == views.MOST_SPANS
    assert "601 spans" in page and f"the first {views.MOST_SPANS} are shown" in page
    assert "asked 7" not in page
    assert "asked 7" in read(browser, f"/traces/{trace}?span={inner[7].span_id}")


def test_a_person_judges_and_judges_again(browser: TestClient, stores: Stores, project: str, traffic: Traffic) -> None:
    span = traffic.span("hello", '{"name": "Cancel", "id": "7"}')
    traffic.carry()
    path = f"/traces/{span.trace_id}"
    token = re.search(r'name="csrf" value="([^"]+)"', read(browser, path))
    assert token
    form = {"csrf": token[1], "verdict": "bad", "correction": '{"name": "Return", "id": "7"}', "text": "not asked for"}
    assert browser.post(f"{path}/feedback", data=form, follow_redirects=False).status_code == 303
    traffic.carry()
    part = read(browser, f"{path}/feedback")
    assert '<del>"Cancel"</del><ins>"Return"</ins>' in part and "not asked for" in part and "by person" in part
    browser.post(f"{path}/feedback", data={"csrf": token[1], "verdict": "good"})
    traffic.carry()
    [score] = service.get_trace(stores, project, span.trace_id).scores
    assert (score.number, score.source, score.correction) == (1.0, "person", "")
    assert browser.post(f"{path}/feedback", data={"csrf": token[1]}).status_code == 400
    assert browser.post(f"{path}/feedback", data={"verdict": "good"}).status_code == 403


def test_fragments_for_the_page_of_an_endpoint(browser: TestClient, traffic: Traffic) -> None:
    now = clock.now_ns()
    for number in range(6):
        traffic.span(f"asked {number}", start_ns=now - number * TICK)
    traffic.span(release=1, requested_release=2, arm="canary", start_ns=now)
    judged = traffic.span("judged", release=2, requested_release=2, arm="canary", start_ns=now)
    say(traffic, judged, value=1.0)
    traffic.carry()
    part = read(browser, "/traces/fragments/traffic?endpoint=assistant")
    assert part.lstrip().startswith('<div id="traffic" data-live=')
    assert "release 2 · canary" in part and "n = 1" in part and "data-spec" in part
    newest = read(browser, "/traces/fragments/newest?endpoint=assistant")
    assert newest.count('<tr id="new-') == 5 and newest.lstrip().startswith("<section")
    assert "No requests in the last hour." in read(browser, "/traces/fragments/traffic?endpoint=nobody")
    assert "Nobody has asked yet." in read(browser, "/traces/fragments/newest?endpoint=nobody")


def test_korean(browser: TestClient, traffic: Traffic) -> None:
    span = traffic.span()
    traffic.carry()
    browser.headers["accept-language"] = "ko"
    assert "모든 요청을" in read(browser, "/traces")
    assert "사람들의 평가" in read(browser, f"/traces/{span.trace_id}")


def test_pages_say_that_the_store_is_away(settings: Settings) -> None:
    stores = Stores(settings)  # no store process runs on this folder
    stores.database.create_all()
    made = governance.bootstrap(stores)
    assert made is not None
    app = application.create((GOVERNANCE, replace(REGISTRY, pages="", nav=()), SLICE), stores, governance.authenticate)
    with TestClient(app) as client:
        client.post("/login", data={"email": made.email, "password": made.password, "next": "/traces"})
        for path in (
            "/traces",
            f"/traces/{ids.new_trace_id()}",
            "/traces/fragments/traffic?endpoint=assistant",
            "/traces/fragments/newest",
        ):
            assert "The span store is not there now" in read(client, path)
    stores.close()


def test_a_trace_that_is_not_there(browser: TestClient) -> None:
    assert browser.get(f"/traces/{ids.new_trace_id()}").status_code == 404


@pytest.mark.parametrize(
    ("given", "wanted", "edits"),
    [
        ("same", "same", [("same", "same")]),
        ("in Paris", "in Lima", [("same", "in "), ("given", "Paris"), ("wanted", "Lima")]),
        ("", "all", [("wanted", "all")]),
        ('{"a":1}', '{"a": 1}', [("same", '{\n  "a": 1\n}')]),
        ("x" * 20_001, "y", [("wanted", "y")]),
    ],
)
def test_a_correction_is_a_difference(given: str, wanted: str, edits: list[views.Edit]) -> None:
    assert views.difference(given, wanted) == edits


def test_intervals_of_feedback() -> None:
    low, high = views.interval(0.5, 10)
    assert low is not None and high is not None and 0.2 < low < 0.5 < high < 0.8
    assert views.interval(1.0, 3)[1] == 1.0
    assert views.interval(4.2, 10) == (None, None)
    assert views.interval(None, 0) == (None, None)


def say(traffic: Traffic, span: Span, **given: object) -> None:
    service.give_feedback(
        traffic.stores,
        project_id=traffic.project,
        author_id="key",
        source="user",
        trace_id=span.trace_id,
        **given,  # type: ignore[arg-type]
    )
