"""The filter language: what it reads, what it refuses and how it says so, and what it finds in the real store."""

import re
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from noria.core import clock, ids
from noria.stores.connect import Stores
from noria.tracing import conditions, filters, service
from noria.tracing.filters import BadFilter, Term
from noria.tracing.records import TraceFilter
from noria.web.i18n import words
from tests.tracing.conftest import TICK, Traffic

NOW = datetime(2026, 5, 2, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("", ()),
        ("status:error", (Term("status", "=", "error"),)),
        ("-status:OK", (Term("status", "=", "ok", negated=True),)),
        ("cost>0.01", (Term("cost", ">", 0.01),)),
        ("cost:>=$2", (Term("cost", ">=", 2.0),)),
        ("latency>300ms", (Term("latency", ">", 0.3),)),
        ("score.helpful<0.5", (Term("score", "<", 0.5, "helpful"),)),
        ("attr.http.route:/v1/chat", (Term("attr", "=", "/v1/chat", "http.route"),)),
        ('attr.name:"a \\"b\\" *"', (Term("attr", "=", 'a "b" *', "name", quoted=True),)),
        ("since:24h", (Term("since", "=", 1777593600 * 10**9),)),
        ("until:2026-05-01", (Term("until", "=", 1777593600 * 10**9),)),
        ("환불 - -- '", tuple(Term("", "=", word) for word in ("환불", "-", "--", "'"))),
        ('-"not this"', (Term("", "=", "not this", negated=True, quoted=True),)),
        ("시간:3 1=1", (Term("", "=", "시간:3"), Term("", "=", "1=1"))),
    ],
)
def test_what_is_read(text: str, terms: tuple[Term, ...]) -> None:
    assert filters.parse(text, NOW) == terms


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("ok modle:x", "There is no field 'modle' (position 4).", "Did you mean model?"),
        ("zzz:1", "There is no field 'zzz' (position 1).", "Fields are status"),
        ("status:eror", "status is never 'eror' (position 8).", "Did you mean status:error?"),
        ("cost>cheap", "cost takes a number, not 'cheap' (position 6).", "US dollars"),
        ("latency>soon", "latency takes a time, not 'soon' (position 9).", "300ms"),
        ("since:whenever", "'whenever' is no moment (position 7).", "24h"),
        ('a "b', "The quote at position 3 is never closed.", 'End it with "'),
        ("session>3", "session cannot be compared with > (position 9).", "session:value"),
        ("user:", "user lacks a value at position 6.", "user:something"),
        ("attr:x", "attr at position 1 lacks a name.", "attr.customer:gold"),
        ("x " * 31, "A filter may have at most 30 parts.", "less"),
        ("x" * 1001, "A filter may have at most 1,000 characters.", "less"),
    ],
)
def test_what_is_refused_and_why(text: str, message: str, hint: str) -> None:
    with pytest.raises(BadFilter) as refused:
        filters.parse(text, NOW)
    assert refused.value.message == message
    assert hint in refused.value.hint
    korean = words("ko")
    assert re.search("[가-힣]", korean(refused.value.message)) and re.search("[가-힣]", korean(refused.value.hint))


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused_and_no_value_gets_into_the_statement(text: str) -> None:
    try:
        terms = filters.parse(text, NOW)
    except BadFilter:
        return
    made = conditions.where(terms)
    said = [term.value for term in terms if isinstance(term.value, str) and not term.value.isascii()]
    assert not any(value in condition for value in said for condition in made.conditions)


@given(st.text(max_size=40).filter(lambda text: text.strip() == text))
def test_a_value_that_is_quoted_comes_back(value: str) -> None:
    [term] = filters.parse(filters.term("user", value), NOW)
    assert (term.value, term.prefix) == (value, False)


def test_every_field_finds_what_it_names(stores: Stores, project: str, traffic: Traffic) -> None:
    now = clock.now_ns()
    refund = traffic.span(
        "환불해 주세요",
        "The refund is on its way",
        session_id="s 1",
        subject_id="kim",
        tags=["vip", "web"],
        served_model="gpt-4o-2024-08-06",
        requested_model="gpt-4o",
        cost_micros=20_000,
        end_ns=now + 3_000_000_000,
        start_ns=now,
        first_token_ns=now + 500_000_000,
        prompt_name="support",
        prompt_version=3,
        attributes={"customer": {"tier": "gold"}, "retries": 2, "http.route": "/v1"},
    )
    failed = traffic.span("hello", status="error", error_type="timed_out", status_code=504, arm="canary", release=2)
    agent = traffic.span("plan it", kind="agent", name="planner", endpoint="other")
    traffic.span(
        "inner", trace_id=agent.trace_id, parent_id=agent.span_id, kind="tool", name="lookup", served_model="qwen3",
        attributes={"tool.city": "부산"},
    )  # fmt: skip
    evaluated = traffic.span("hello", live=False, arm="candidate", release=0)
    for value, trace in ((1.0, refund), (0.0, failed)):
        service.give_feedback(
            stores,
            project_id=project,
            author_id="k",
            source="user",
            trace_id=trace.trace_id,
            name="helpful",
            value=value,
        )
    traffic.carry()

    names = {refund.trace_id: "r", failed.trace_id: "f", agent.trace_id: "a", evaluated.trace_id: "e"}
    expected = {
        "": "aefr", "status:error": "f", "-status:error": "aer", "error:timed*": "f", "code>=500": "f",
        "endpoint:other": "a", "endpoint!=other": "efr", "release:2": "f", "arm:canary": "f",
        "model:gpt-4o*": "r", "model:qwen3": "a", "-model:qwen3": "efr", "kind:tool": "a", "name:lookup": "a",
        "attr.tool.city:부산": "a", "attr.customer.tier:gold": "r", "attr.customer.tier:g*": "r", "attr.retries>1": "r",
        "attr.retries:2": "r", "attr.http.route:/v1": "r", "attr.none:x": "", 'session:"s 1"': "r", "user:kim": "r",
        "tag:vip": "r", "tag:v*": "r", "-tag:vip": "aef", "has:tag": "r", "has:feedback": "fr", "-has:feedback": "ae",
        "cost>0.01": "r", "cost<=0.01": "aef", "tokens>=15": "aefr", "tokens>15": "", "input_tokens:10": "aefr",
        "latency>2s": "r", "latency<1s": "aef", "first_token<1s": "r", "score.helpful<0.5": "f",
        "score.helpful:1": "r", "is:live": "afr", "is:evaluation": "e", "since:1h": "aefr", "until:1h": "",
        '"refund is"': "r", '"is refund"': "", "refund 환불": "r", "-환불": "aef", "hello status:error": "f",
        "prompt:support": "r", "prompt:support@3": "r", "prompt:support@4": "", f"trace:{refund.trace_id}": "r",
        "input:plan": "a", "output:REFUND": "r",
    }  # fmt: skip
    for q, wanted in expected.items():
        found = service.list_traces(stores, project, TraceFilter(q=q)).items
        assert "".join(sorted(names[row.trace_id] for row in found)) == wanted, q


def test_letters_that_json_escapes_are_found(stores: Stores, project: str, traffic: Traffic) -> None:
    call = {"id": "c", "function": {"name": "go", "arguments": '{"city": "\\ubd80\\uc0b0", "mood": "\\ud83d\\ude00"}'}}
    span = traffic.span("?", "", output_messages=[{"role": "assistant", "content": None, "tool_calls": [call]}])
    traffic.carry()
    for q in ("부산", "😀", '"\\"city\\": \\"부산\\""'):
        assert [row.trace_id for row in service.list_traces(stores, project, TraceFilter(q=q)).items] == [
            span.trace_id
        ], q


def test_pages_go_on_where_windows_end(stores: Stores, project: str, traffic: Traffic) -> None:
    """Steps of a day, a month, years: each trace once and in order, whatever the page size."""
    now, day = clock.now_ns(), 86_400_000_000_000
    starts = [now - day * back // 4 for back in (0, 1, 2, 5, 9, 40, 41, 170, 900, 5000)]
    for start in starts:
        traffic.span("needle", start_ns=start, end_ns=start + TICK)
        traffic.span("straw", start_ns=start - 1, trace_id=ids.new_trace_id())
    traffic.carry()
    for limit in (1, 3, 10, 50):
        found, cursor = [], None
        while True:
            page = service.list_traces(stores, project, TraceFilter(q="needle"), limit=limit, cursor=cursor)
            found += [row.start for row in page.items]
            if (cursor := page.next) is None:
                break
        assert len(found) == len(starts) and found == sorted(found, reverse=True), limit
