"""Traces through the real store: lists, search, trees, feedback and figures."""

import unicodedata
from datetime import timedelta

import pytest

from noria.core import clock, ids
from noria.core.errors import BadInput, NotFound
from noria.core.records import Span
from noria.stores.connect import Stores
from noria.tracing import service
from noria.tracing import traffic as figures
from noria.tracing.records import TraceFilter
from tests.tracing.conftest import TICK, Traffic


def listed(stores: Stores, project: str, **which: object) -> list[str]:
    found = service.list_traces(stores, project, TraceFilter(**which))  # type: ignore[arg-type]
    return [row.trace_id for row in found.items]


def judge(stores: Stores, project: str, trace_id: str, **given: object) -> None:
    service.give_feedback(
        stores,
        project_id=project,
        author_id="key",
        source="user",
        trace_id=trace_id,
        **given,  # type: ignore[arg-type]
    )


def test_a_span_comes_back_as_it_was(stores: Stores, project: str, traffic: Traffic) -> None:
    span = traffic.span(
        "주문을 취소해 주세요",
        '{"call": "cancel"}',
        parameters={"temperature": 0.2, "stop": ["\n"]},
        attributes={"deep": {"list": [1, None, "물"]}},
        tags=["a", "b"],
        session_id="session-1",
        subject_id="kim",
        cost_micros=12,
        first_token_ns=clock.now_ns(),
        streamed=True,
        live=False,
    )
    assert traffic.carry() == 1
    assert traffic.carry() == 0
    [node] = service.get_trace(stores, project, span.trace_id.upper()).spans
    assert Span.from_dict(node.span) == span
    assert (node.depth, node.children, node.orphan) == (0, 0, False)


def test_another_project_sees_nothing(stores: Stores, project: str, traffic: Traffic) -> None:
    span = traffic.span()
    judge(stores, project, span.trace_id, value=1)
    traffic.carry()
    stranger = ids.new_id()
    assert listed(stores, stranger) == []
    with pytest.raises(NotFound):
        service.get_trace(stores, stranger, span.trace_id)
    assert figures.summary(stores, stranger) == []
    assert list(figures.feedback_rows(stores, stranger, "assistant")) == []


def test_lists_are_newest_first_and_paged(stores: Stores, project: str, traffic: Traffic) -> None:
    now = clock.now_ns()
    spans = [traffic.span(start_ns=now + number // 2 * TICK) for number in range(25)]  # pairs share a start
    traffic.carry()
    newest_first = [s.trace_id for s in sorted(spans, key=lambda s: (s.start_ns, s.trace_id), reverse=True)]
    found: list[str] = []
    cursor = None
    while True:
        page = service.list_traces(stores, project, limit=10, cursor=cursor)
        found += [row.trace_id for row in page.items]
        if (cursor := page.next) is None:
            break
    assert found == newest_first
    with pytest.raises(BadInput):
        service.list_traces(stores, project, cursor="bm9uc2Vuc2U")


def test_lists_show_the_beginning_of_input_and_output(stores: Stores, project: str, traffic: Traffic) -> None:
    traffic.span(
        "긴 " * 1000, "", output_messages=[{"role": "assistant", "content": None, "tool_calls": [{"id": "c"}]}]
    )
    traffic.carry()
    [row] = service.list_traces(stores, project).items
    assert row.input == ("긴 " * 150)
    assert row.output == '[{"id": "c"}]'
    assert row.duration_ms == 20


def test_filters(stores: Stores, project: str, traffic: Traffic) -> None:
    now = clock.now_ns()
    old = traffic.span(start_ns=now - 3600 * 1_000_000_000, session_id="s1")
    canary = traffic.span(release=2, requested_release=2, arm="canary", served_model="gemma")
    fell_back = traffic.span(release=1, requested_release=3, arm="canary")
    failed = traffic.span(status="error", error_type="timeout", endpoint="other")
    evaluated = traffic.span(live=False, arm="candidate", release=2)
    judge(stores, project, canary.trace_id, value=1)
    traffic.carry()

    def ids_of(*spans: Span) -> set[str]:
        return {span.trace_id for span in spans}

    def where(**which: object) -> set[str]:
        return set(listed(stores, project, **which))

    assert where(endpoint="other") == ids_of(failed)
    assert where(status="error") == ids_of(failed)
    assert where(session="s1") == ids_of(old)
    assert where(release=3) == ids_of(fell_back)
    assert where(release=2) == ids_of(canary, evaluated)
    assert where(arm="canary") == ids_of(canary, fell_back)
    assert where(model="gemma") == ids_of(canary)
    assert where(live=False) == ids_of(evaluated)
    assert where(feedback="yes") == ids_of(canary)
    assert where(feedback="no", live=True) == ids_of(old, fell_back, failed)
    assert where(since=clock.now() - timedelta(minutes=5)) == ids_of(canary, fell_back, failed, evaluated)
    assert where(until=clock.now() - timedelta(minutes=5)) == ids_of(old)


def test_search_in_korean_and_english(stores: Stores, project: str, traffic: Traffic) -> None:
    refund = traffic.span("환불 요청합니다, 배송이 늦어요", "Sorry about the Delay")
    percent = traffic.span("is it 100%_sure?", "네")
    typed_on_a_mac = traffic.span(unicodedata.normalize("NFD", "물레방아가 멈췄어요"), "ok")
    traffic.span("hello", "there")
    traffic.carry()

    def found(q: str) -> list[str]:
        return listed(stores, project, q=q)

    assert found("배송") == [refund.trace_id]
    assert found("배송이 늦어") == [refund.trace_id]
    assert found("DELAY 환불") == [refund.trace_id]
    assert found("물레방아") == [typed_on_a_mac.trace_id]
    assert found(unicodedata.normalize("NFD", "멈췄")) == [typed_on_a_mac.trace_id]
    assert found("100%_") == [percent.trace_id]
    assert found("100%%") == []
    assert found("배") == [refund.trace_id]
    assert found("없는말") == []
    assert found("' OR 1=1 --") == []


def test_a_tree_with_late_and_missing_parents_and_a_ring(stores: Stores, project: str, traffic: Traffic) -> None:
    trace, now = ids.new_trace_id(), clock.now_ns()
    root, child, leaf, lost, ring_a, ring_b = (f"{number:016x}" for number in range(1, 7))

    def add(span_id: str, parent_id: str, after: int) -> None:
        traffic.span(trace_id=trace, span_id=span_id, parent_id=parent_id, start_ns=now + after * TICK)

    add(leaf, child, 2)
    add(lost, "f" * 16, 4)
    add(ring_a, ring_b, 5)
    add(ring_b, ring_a, 6)
    traffic.carry()
    assert [n.span["span_id"] for n in service.get_trace(stores, project, trace).spans] == [leaf, lost, ring_a, ring_b]
    add(child, root, 1)
    add(root, "", 0)
    traffic.carry()
    tree = service.get_trace(stores, project, trace)
    assert [(n.span["span_id"], n.depth, n.orphan) for n in tree.spans] == [
        (root, 0, False),
        (child, 1, False),
        (leaf, 2, False),
        (lost, 0, True),
        (ring_a, 0, True),
        (ring_b, 1, False),
    ]
    assert tree.spans[2].offset_ms == 2
    assert tree.duration_ms == 26
    assert listed(stores, project) == [trace]


def test_feedback_with_one_key_counts_once_and_the_last_wins(stores: Stores, project: str, traffic: Traffic) -> None:
    trace = ids.new_trace_id()
    judge(stores, project, trace, value=0, key="thumb")  # before the span itself has arrived
    traffic.carry()
    span = traffic.span(trace_id=trace)
    judge(stores, project, trace, value=1, key="thumb")
    judge(stores, project, trace, correction="Bonjour")
    judge(stores, project, trace, text="late")
    traffic.carry()
    scores = service.get_trace(stores, project, span.trace_id).scores
    assert [(s.number, s.text, s.correction) for s in scores] == [
        (1, "", ""),
        (None, "", "Bonjour"),
        (None, "late", ""),
    ]
    [row] = service.list_traces(stores, project).items
    assert row.scores == scores


@pytest.mark.parametrize(
    "given",
    [
        {"trace_id": "nonsense", "value": 1},
        {"trace_id": "a" * 32},
        {"trace_id": "a" * 32, "value": float("nan")},
        {"trace_id": "a" * 32, "value": 1, "span_id": "x"},
        {"trace_id": "a" * 32, "value": 1, "name": "Has Spaces"},
        {"trace_id": "a" * 32, "text": "x" * 10_001},
    ],
)
def test_feedback_that_cannot_be_used_is_refused(stores: Stores, project: str, given: dict[str, object]) -> None:
    with pytest.raises(BadInput):
        judge(stores, project, **given)  # type: ignore[arg-type]


def test_live_figures_by_release_and_arm(stores: Stores, project: str, traffic: Traffic) -> None:
    now = clock.now_ns()
    for number in range(10):
        traffic.span(start_ns=now, end_ns=now + (number + 1) * 10 * TICK, cost_micros=3)
    traffic.span(start_ns=now, status="error", release=0, requested_release=2, arm="canary", output_tokens=0)
    traffic.span(start_ns=now, release=1, requested_release=2, arm="canary")
    judged = traffic.span(start_ns=now, release=2, requested_release=2, arm="canary")
    traffic.span(start_ns=now, live=False, arm="candidate", release=2)
    traffic.span(start_ns=now - 86_400 * 1_000_000_000 // 2)
    judge(stores, project, judged.trace_id, value=1)
    judge(stores, project, judged.trace_id, value=0, name="tone")
    traffic.carry()
    canary, primary = sorted(figures.traffic(stores, project, "assistant", 5), key=lambda t: t.arm)
    assert (primary.requests, primary.errors, primary.fallbacks, primary.release) == (10, 0, 0, 1)
    assert (primary.input_tokens, primary.output_tokens, primary.cost_micros) == (100, 50, 30)
    assert 40 <= primary.p50_ms <= 60
    assert 90 <= primary.p95_ms <= 100
    assert primary.feedback_mean is None
    assert (canary.requests, canary.errors, canary.fallbacks, canary.release) == (3, 1, 1, 2)
    assert (canary.feedback_mean, canary.feedback_count) == (0.5, 2)
    assert canary.time.second == 0
    assert {t.arm: t.requests for t in figures.summary(stores, project, "assistant")} == {"canary": 3, "primary": 11}
    with_all = figures.summary(stores, project, live_only=False)
    assert {t.arm: t.requests for t in with_all} == {"candidate": 1, "canary": 3, "primary": 11}
    assert figures.traffic(stores, project, "nobody") == []


def test_answers_that_were_judged_become_rows(stores: Stores, project: str, traffic: Traffic) -> None:
    good, corrected, bad, other = (
        traffic.span("1"),
        traffic.span("2"),
        traffic.span("3"),
        traffic.span(endpoint="other"),
    )
    traffic.span("nobody judged")
    judge(stores, project, good.trace_id, label="Good")
    judge(stores, project, corrected.trace_id, value=0, correction="first try")
    judge(stores, project, corrected.trace_id, correction="better")
    judge(stores, project, bad.trace_id, value=-1)
    judge(stores, project, other.trace_id, value=1)
    traffic.carry()
    first, second = figures.feedback_rows(stores, project, "assistant")
    assert (first.trace_id, first.correction) == (good.trace_id, "")
    assert (second.trace_id, second.correction) == (corrected.trace_id, "better")
    assert second.input_messages == corrected.input_messages
    assert second.output_messages == corrected.output_messages
    assert len(second.scores) == 2
    assert [r.trace_id for r in figures.feedback_rows(stores, project, "assistant", only_with=["correction"])] == [
        corrected.trace_id
    ]
    assert list(figures.feedback_rows(stores, project, "assistant", clock.now_ns())) == []
