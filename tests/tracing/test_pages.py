"""Pages of tracing as a browser without scripts gets them: what is shown, what is escaped, what is said when the store is away."""

import html
import re
from dataclasses import replace
from urllib.parse import parse_qs, quote, urlencode, urlsplit

import pytest
from sqlalchemy import select
from starlette.testclient import TestClient

from noria.app import schema
from noria.core import clock, ids
from noria.core.errors import NotFound
from noria.core.records import Span
from noria.core.settings import Settings
from noria.governance import audit
from noria.governance import service as governance
from noria.governance.records import FirstLogin
from noria.governance.slice import SLICE as GOVERNANCE
from noria.registry.slice import SLICE as REGISTRY
from noria.stores.connect import Stores
from noria.tracing import saved, service, views
from noria.tracing.slice import SLICE
from noria.tracing.tables import saved_views
from noria.web import application
from tests.tracing.conftest import TICK, Traffic

schema.declare()


@pytest.fixture
def project(first: FirstLogin) -> str:
    """The project of the first admin, so that pages show it."""
    return first.project_id


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
    assert following and "q=session%3As1" in following[1]
    assert len(names(read(browser, following[1]))) == 1
    assert names(read(browser, "/traces?traffic=evaluation")) == [evaluated.trace_id]
    assert len(names(read(browser, "/traces?traffic=all&feedback=no"))) == 4
    assert browser.get("/traces?release=two").status_code == 400
    refused = browser.get("/traces?q=modle:x")
    assert refused.status_code == 400
    assert "Did you mean model?" in refused.text and 'value="modle:x"' in refused.text


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
    assert "2 new traces" in part and 'href="/traces?q=endpoint%3Aassistant"' in part
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
    assert (
        'href="/prompts/call"' in answer
        and answer.count('id="span"') == 1
        and f"/lineage/trace/{span.trace_id}" in answer
    )


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
    assert page.count('<tr id="w-') == views.PIECE
    assert "601 spans" in page and "1 to 200 of 601" in page
    later = re.search(r'rel="next" href="([^"#]+)#waterfall"', page)
    assert later
    second = read(browser, later[1])
    assert "201 to 400 of 601" in second and ">step 199<" in second and ">step 198<" not in second
    part = read(browser, f"/traces/{trace}/fragments/spans?from=600")
    assert part.count('<tr id="w-') == 1 and ">step 599<" in part
    found = read(browser, f"/traces/{trace}?find=%22asked+77%22")
    assert found.count('<tr id="w-') == 1 and ">step 77<" in found and "1 span is like that" in found
    assert "is not a field of a span" in read(browser, f"/traces/{trace}?find=user:kim")
    assert "asked 7" not in page
    assert "asked 7" in read(browser, f"/traces/{trace}?span={inner[7].span_id}")


def test_forms_write_the_language(browser: TestClient, traffic: Traffic) -> None:
    path = "/traces?q=%22lost+parcel%22+status%3Aok+-tag%3Ax&status=error&endpoint=a+b&feedback=no&release="
    written = browser.get(path, follow_redirects=False)
    assert written.status_code == 303
    asked = parse_qs(urlsplit(written.headers["location"]).query)
    assert asked == {"q": ['"lost parcel" -tag:x endpoint:"a b" status:error -has:feedback']}
    page = read(browser, written.headers["location"])
    assert '<option value="error" selected>' in page and '<option value="no" selected>' in page


def test_columns_are_chosen_and_kept(browser: TestClient, traffic: Traffic) -> None:
    traffic.span(served_model="gemma-3", subject_id="kim")
    traffic.carry()
    assert "gemma-3" not in read(browser, "/traces")
    assert "gemma-3" in read(browser, "/traces?c=model&c=user&c=nonsense")
    page = read(browser, "/traces")
    assert "gemma-3" in page and ">kim<" in page and '<th class="r wide">latency' not in page


def test_views_are_each_persons_own(browser: TestClient, stores: Stores, project: str) -> None:
    token = re.search(r'name="csrf" value="([^"]+)"', read(browser, "/traces?q=status:error"))
    assert token
    form = {"csrf": token[1], "name": " My  failures ", "q": "status:error", "columns": "model.when.nonsense"}
    for _ in range(2):
        assert browser.post("/traces/views", data=form, follow_redirects=False).status_code == 303
    with stores.database.read() as connection:
        events = [entry.verb for entry in audit.entries(connection, project, limit=10).items]
        [person] = connection.execute(select(saved_views.c.person_id)).scalars()
    assert events.count("view.save") == 2
    assert "My failures" in read(browser, "/traces")
    [mine] = saved.list_views(stores, project, person)
    assert (mine.q, mine.columns) == ("status:error", ["model", "when"])
    assert saved.list_views(stores, project, ids.new_id()) == []
    with pytest.raises(NotFound):
        saved.delete_view(stores, project_id=project, person_id=ids.new_id(), view_id=mine.id)
    assert browser.post("/traces/views", data={**form, "q": "modle:x"}).status_code == 400
    assert browser.post("/traces/views", data={**form, "csrf": ""}).status_code == 403
    assert browser.post(f"/traces/views/{mine.id}/delete", data={"csrf": token[1]}).status_code == 200
    assert saved.list_views(stores, project, person) == []
    with stores.database.read() as connection:
        assert audit.entries(connection, project, limit=1).items[0].verb == "view.delete"


def test_a_session_is_read_as_a_conversation(browser: TestClient, traffic: Traffic) -> None:
    now = clock.now_ns()
    said = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "where is it?"}]
    traffic.span("", "On its way.", session_id="chat 1/a", subject_id="kim", start_ns=now, input_messages=said)
    more = [*said, {"role": "assistant", "content": "On its way."}, {"role": "user", "content": "취소해 주세요"}]
    traffic.span("", "Done.", session_id="chat 1/a", subject_id="kim", start_ns=now + TICK, input_messages=more)
    traffic.carry()
    page = read(browser, "/sessions/chat%201/a")
    assert page.count("where is it?") == 1 and page.count("On its way.") == 1 and page.count("Be kind.") == 1
    assert page.index("where is it?") < page.index("On its way.") < page.index("취소해 주세요") < page.index("Done.")
    assert browser.get("/sessions/nobody").status_code == 404
    assert "/sessions/chat%201/a" in browser.get("/sessions").text
    people = read(browser, "/users")
    assert ">kim<" in people and '<td class="r">2</td>' in people
    assert "Nobody is like that" in read(browser, "/users?q=status:error")
    assert "Did you mean model?" in read(browser, "/users?q=modle:x")


def test_what_a_search_finds_is_counted(browser: TestClient, traffic: Traffic) -> None:
    for number in range(3):
        traffic.span(f"question {number}", kind="llm" if number else "tool")
    traffic.carry()
    assert "3 traces" in read(browser, "/traces"), "known without asking"
    assert 'data-live="/traces/fragments/count?q=&traffic=live"' in read(browser, "/traces?limit=2")
    for q, said in (("", "3 traces"), ("question", "3 traces"), ("kind:tool", "1 trace<"), ("kind:agent", "0 traces")):
        assert said in read(browser, f"/traces/fragments/count?{urlencode({'q': q})}"), q
    assert browser.get("/traces/fragments/count?q=modle:x").status_code == 400


def test_a_retrieval_shows_its_documents(browser: TestClient, traffic: Traffic) -> None:
    found = [
        {"role": "tool", "content": "반품은 14일 안에", "document": {"id": "manual.pdf#3", "score": 0.91}},
        {
            "role": "tool",
            "content": '[{"page_content": "<b>Shipping</b>", "score": 0.5}, {"document": {"text": "x", "id": 7}}]',
        },
    ]
    span = traffic.span("returns", kind="retrieval", output_messages=found, input_tokens=0, output_tokens=0)
    traffic.carry()
    page = re.sub("<[^>]+>", " ", browser.get(f"/traces/{span.trace_id}").text)
    words = " ".join(html.unescape(page).split())
    assert "3 documents were found manual.pdf#3 score .910 반품은 14일 안에 score .500 <b>Shipping</b> 7 x" in words


def test_two_traces_beside_each_other(browser: TestClient, traffic: Traffic) -> None:
    one, other = traffic.span("hi", "It is in Paris."), traffic.span("hi", "It is in Lima.", served_model="gemma")
    traffic.carry()
    page = read(browser, f"/traces/compare?t={one.trace_id}&t={other.trace_id}")
    assert "<del>Paris</del><ins>Lima</ins>" in page and "gemma" in page
    assert "they are the same" in read(browser, f"/traces/compare?t={one.trace_id}&t={one.trace_id}")
    unlike = traffic.span("hi", "Nobody knows, sorry.")
    traffic.carry()
    page = read(browser, f"/traces/compare?t={one.trace_id}&t={unlike.trace_id}")
    answers = page[page.index('id="answers"') : page.index("</section>", page.index('id="answers"'))]
    assert "<del>" not in answers and answers.index("It is in Paris.") < answers.index("Nobody knows, sorry.")
    assert browser.get(f"/traces/compare?t={one.trace_id}").status_code == 400
    assert browser.get(f"/traces/compare?t={one.trace_id}&t={ids.new_trace_id()}").status_code == 404


@pytest.mark.parametrize("page", ["/traces", "/sessions", "/users", "trace", "find", "session", "compare", "tail"])
def test_nothing_of_strangers_is_ever_markup(browser: TestClient, traffic: Traffic, page: str) -> None:
    evil = '"><script>alert(1)</script><img src=//evil.example/x onerror=alert(1)><style>*{}</style>'
    fields = dict.fromkeys(("session_id", "subject_id", "served_model", "endpoint", "name", "error_message"), evil)
    span = traffic.span(
        evil, evil, **fields, tags=[evil], error_type=evil, status="error", kind=evil, attributes={evil: evil},
        parameters={evil: evil}, provider=evil, prompt_name=evil, arm=evil,
    )  # fmt: skip
    for number in range(12):
        traffic.span(evil, evil, trace_id=span.trace_id, parent_id=span.span_id, name=f"{evil}{number}")
    traffic.carry()
    addresses = {
        "trace": f"/traces/{span.trace_id}",
        "find": f"/traces/{span.trace_id}?find={quote(evil[2:])}",
        "session": f"/sessions/{quote(evil)}",
        "compare": f"/traces/compare?t={span.trace_id}&t={span.trace_id}",
        "tail": "/traces?tail=1&q=status:error",
    }
    browser.get("/traces?c=answered&c=endpoint&c=model&c=session&c=user&c=tags")
    answer = browser.get(addresses.get(page, page))
    assert answer.status_code == 200, answer.text
    assert "evil.example" in answer.text
    assert "<img" not in answer.text and "<style" not in answer.text and "<script>" not in answer.text
    assert "default-src" in answer.headers["content-security-policy"]


def test_a_person_judges_and_judges_again(browser: TestClient, stores: Stores, project: str, traffic: Traffic) -> None:
    span = traffic.span("hello", '{"name": "Cancel", "id": "7"}')
    traffic.carry()
    path = f"/traces/{span.trace_id}"
    token = re.search(r'name="csrf" value="([^"]+)"', read(browser, path))
    assert token
    form = {"csrf": token[1], "t": span.trace_id, "verdict": "bad"}
    form |= {"correction": '{"name": "Return", "id": "7"}', "comment": "not asked for"}
    assert browser.post("/actions/score", data=form, follow_redirects=False).status_code == 303
    part = read(browser, f"{path}/feedback")
    assert '<del>"Cancel"</del><ins>"Return"</ins>' in part and "not asked for" in part and "by person" in part
    browser.post("/actions/score", data={"csrf": token[1], "t": span.trace_id, "verdict": "good"})
    traffic.carry()
    [score] = service.get_trace(stores, project, span.trace_id).scores
    assert (score.number, score.source, score.correction) == (1.0, "person", "")
    assert browser.post("/actions/score", data={"csrf": token[1], "t": span.trace_id}).status_code == 400
    assert browser.post("/actions/score", data={"t": span.trace_id, "verdict": "good"}).status_code == 403


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


def test_what_is_long_is_a_file(browser: TestClient, traffic: Traffic) -> None:
    long = "가" * 300_000
    span = traffic.span(long, "short", attributes={"blob": "x" * 1_000_000, "small": "kept"})
    traffic.carry()
    page = read(browser, f"/traces/{span.trace_id}")
    assert len(page) < 250_000 and "kept" in page and "300,000" in page
    whole = browser.get(f"/traces/{span.trace_id}/spans/{span.span_id}.json")
    assert whole.headers["content-disposition"].startswith("attachment")
    assert len(whole.json()["attributes"]["blob"]) == 1_000_000
    assert whole.json()["input_messages"][0]["content"] == long
    assert browser.get(f"/traces/{span.trace_id}/spans/{'0' * 16}.json").status_code == 404
