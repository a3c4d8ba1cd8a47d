"""One row for each trace: whatever order its spans come in, and whoever tells of them."""

import itertools
from dataclasses import replace
from typing import Any

import pytest

from noria.core.records import Span
from noria.stores.connect import Stores
from noria.tracing import groups, service
from noria.tracing.records import TraceFilter, TraceRow
from noria.tracing.traffic import feedback_rows, summary
from tests.tracing.conftest import TICK, Traffic
from tests.tracing.otlp_kit import Made, Otlp


def tree() -> list[Made]:
    """An agent's run: two model calls (the second failed) around a tool; only the calls tell of tokens."""
    root = Made({"session.id": "s1", "user.id": "kim", "openinference.span.kind": "AGENT"})
    call = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "qwen3", "gen_ai.response.model": "qwen3-8b"}
    used = {**call, "gen_ai.usage.input_tokens": 19, "gen_ai.usage.output_tokens": 9}
    inner = [Made(used), Made({"gen_ai.operation.name": "execute_tool"}), Made(call)]
    return [root, *(replace(one, trace_id=root.trace_id, parent_id=root.span_id) for one in inner)]


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 2, 1, 0), (1, 3, 0, 2)])
@pytest.mark.parametrize("at_once", [True, False])
def test_the_row_is_the_same_in_any_order(otlp: Otlp, order: tuple[int, ...], at_once: bool) -> None:
    spans = tree()
    for batch in [order] if at_once else [(one,) for one in order]:
        assert otlp.send(*(spans[one] for one in batch)).status_code == 200
        otlp.carry()
    [row] = service.list_traces(otlp.stores, otlp.project).items
    assert (row.span_id, row.kind) == (spans[0].span_id, "agent")
    assert (row.spans, row.calls, row.models) == (4, 2, ["qwen3-8b"])
    assert (row.input_tokens, row.output_tokens) == (19, 9)
    assert (row.session_id, row.subject_id) == ("s1", "kim")
    for q in ("model:qwen3*", "tokens:28", "user:kim", "kind:tool"):
        assert len(service.list_traces(otlp.stores, otlp.project, TraceFilter(q=q)).items) == 1, q


def test_a_trace_whose_root_never_comes_is_listed(otlp: Otlp) -> None:
    lost, *rest = tree()
    otlp.send(*rest)
    otlp.carry()
    [row] = service.list_traces(otlp.stores, otlp.project).items
    assert (row.trace_id, row.spans, row.input_tokens) == (lost.trace_id, 3, 19)


def listed(stores: Stores, project: str, q: str = "") -> list[TraceRow]:
    return service.list_traces(stores, project, TraceFilter(q=q)).items


def test_the_gateways_call_in_an_applications_trace(stores: Stores, project: str, traffic: Traffic) -> None:
    """What the application's own library tells around it is the same call; what a user says of the trace is said of it."""
    root = traffic.span("plan", "", kind="agent", name="run", **quiet())
    around = traffic.span("plan", "done", parent_id=root.span_id, trace_id=root.trace_id, **quiet(input_tokens=10))
    inner = traffic.span("plan", "done", parent_id=around.span_id, trace_id=root.trace_id, cost_micros=70)
    traffic.carry()
    [row] = listed(stores, project)
    assert (row.endpoint, row.release, row.cost_micros, row.input_tokens) == ("assistant", 1, 70, 10)
    assert (row.span_id, row.spans, row.calls) == (root.span_id, 3, 1)
    assert (row.input, row.output) == ("plan", "done")
    for span_id in ("", around.span_id, inner.span_id):
        service.give_feedback(
            stores,
            project_id=project,
            author_id="k",
            source="user",
            trace_id=root.trace_id,
            span_id=span_id,
            value=1.0,
            key=span_id,
        )
    traffic.carry()
    [figures] = summary(stores, project, "assistant")
    assert (figures.requests, figures.input_tokens, figures.cost_micros) == (1, 10, 70)
    assert (figures.feedback_count, figures.feedback_mean) == (3, 1.0)
    [answer] = feedback_rows(stores, project, "assistant")
    assert answer.span_id == inner.span_id


def test_feedback_goes_to_the_call_that_it_names(stores: Stores, project: str, traffic: Traffic) -> None:
    root = traffic.span("two", "", kind="agent", **quiet())
    calls = [
        traffic.span(parent_id=root.span_id, trace_id=root.trace_id, release=n, requested_release=n) for n in (1, 2)
    ]
    traffic.carry()
    for span, value in zip(("", calls[1].span_id), (0.0, 1.0), strict=True):
        service.give_feedback(
            stores, project_id=project, author_id="k", source="user", trace_id=root.trace_id, span_id=span, value=value,
            key=span,
        )  # fmt: skip
    traffic.carry()
    found = {row.release: (row.requests, row.feedback_count, row.feedback_mean) for row in summary(stores, project)}
    assert found == {1: (1, 1, 0.0), 2: (1, 1, 1.0)}
    assert len(listed(stores, project, "release:2")) == len(listed(stores, project, "-release:3")) == 1


def test_a_session_shows_what_was_said_below_a_silent_root(stores: Stores, project: str, traffic: Traffic) -> None:
    root = traffic.span("", "", kind="agent", session_id="s", **quiet(input_messages=[], output_messages=[]))
    call = traffic.span("안녕", "네", parent_id=root.span_id, trace_id=root.trace_id)
    traffic.carry()
    [head] = groups.conversation(stores, project, "s").items
    assert head.span_id == call.span_id
    [row] = listed(stores, project, "안녕")
    assert (row.input, row.output) == ("안녕", "네")


def test_pages_do_not_show_a_growing_trace_twice(stores: Stores, project: str, traffic: Traffic) -> None:
    roots = [traffic.span(f"ask {number}") for number in range(5)]
    traffic.carry()
    for root in roots:
        traffic.span(parent_id=root.span_id, trace_id=root.trace_id, start_ns=root.start_ns - TICK)
        traffic.carry()
    seen: list[str] = []
    cursor = None
    for _ in itertools.count():
        page = service.list_traces(stores, project, limit=2, cursor=cursor)
        seen += [row.trace_id for row in page.items]
        if (cursor := page.next) is None:
            break
    assert seen == [root.trace_id for root in reversed(roots)]


def quiet(**fields: Any) -> dict[str, Any]:
    """A span that another library tells of: nothing of the gateway, no tokens."""
    none = {"endpoint": "", "release": 0, "requested_release": 0, "arm": "", "input_tokens": 0, "output_tokens": 0}
    assert none.keys() <= set(Span.__dataclass_fields__)
    return {**none, **fields}
