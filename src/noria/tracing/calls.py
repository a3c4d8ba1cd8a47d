"""Traces in, the one model call of each that tells what was asked and answered out, with its messages and its scores.

Of a trace that is the span of kind llm with the fewest steps above it; of several beside each other the last one that answered,
whose messages hold all that was said before. A trace without any gives its head: the top span, or the first that has messages.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from noria.core.records import Message, Span
from noria.stores.connect import Stores
from noria.tracing import schema
from noria.tracing.reading import OF_TRACES, ask
from noria.tracing.records import ScoreView
from noria.tracing.service import scores_of
from noria.tracing.tree import in_reading_order

_AT_ONCE: Final = 50
_SPANS: Final = 2_000
"""Spans of a trace that are looked at; the top call of a longer one stands among the first."""
_LIGHT: Final = (
    *("trace_id", "span_id", "parent_id", "kind", "start_ns"),
    "length(input_messages) > 2 AS said",
    "length(output_messages) > 2 AS answered",
)


@dataclass(frozen=True, slots=True)
class Call:
    """A span with what was said in it, and what was thought of it (noria.datasets.feedback.Judged)."""

    trace_id: str
    span_id: str
    kind: str
    status: str
    endpoint: str
    release: int
    session_id: str
    input_messages: list[Message]
    output_messages: list[Message]
    inner: bool
    """Somebody chose this span, and it is not the one that stands for its trace."""
    scores: list[ScoreView] = field(default_factory=list)
    """Of the span; of the whole trace too, unless it is an inner one."""

    @property
    def correction(self) -> str:
        """The last answer that a user or a person said should have been given, or nothing."""
        given = [one for one in self.scores if one.correction and one.source in {"user", "person"}]
        return max(given, key=lambda score: score.time).correction if given else ""


def top_calls(
    stores: Stores, project_id: str, trace_ids: Sequence[str], spans: dict[str, str] | None = None
) -> Iterator[Call]:
    """The call of each trace, in their order, traces that are not there left out; `spans` chooses another span of a trace.

    Raises Unavailable.
    """
    for at in range(0, len(trace_ids), _AT_ONCE):
        traces = list(trace_ids[at : at + _AT_ONCE])
        rows: dict[str, list[dict[str, Any]]] = {}
        rest = f"{OF_TRACES} ORDER BY trace_id, start_ns, span_id LIMIT {{most:UInt32}} BY trace_id"
        for row in ask(stores, schema.select(_LIGHT, rest), {"project": project_id, "traces": traces, "most": _SPANS}):
            rows.setdefault(row["trace_id"], []).append(row)
        tops = {trace_id: _top(found) for trace_id, found in rows.items()}
        yield from _read(stores, project_id, traces, tops, spans or {})


def _read(
    stores: Stores, project_id: str, traces: list[str], tops: dict[str, str], chosen: dict[str, str]
) -> Iterator[Call]:
    wanted = {trace_id: chosen.get(trace_id) or top for trace_id, top in tops.items()}
    rows = ask(
        stores,
        schema.select(schema.SPAN_COLUMNS, f"{OF_TRACES} AND span_id IN {{spans:Array(String)}}"),
        {"project": project_id, "traces": list(wanted), "spans": list(wanted.values())},
    )
    spans = {(span.trace_id, span.span_id): span for span in map(schema.span_of, rows)}
    scores = scores_of(stores, project_id, list(wanted))
    for trace_id in traces:
        span = spans.get((trace_id, wanted.get(trace_id, "")))
        if span is not None:
            yield _call(span, scores.get(trace_id, []), inner=span.span_id != tops[trace_id])


def _call(span: Span, scores: list[ScoreView], *, inner: bool) -> Call:
    names = ("trace_id", "span_id", "kind", "status", "endpoint", "release", "session_id")
    return Call(
        **{name: getattr(span, name) for name in names},
        input_messages=span.input_messages,
        output_messages=span.output_messages,
        inner=inner,
        scores=[one for one in scores if one.span_id == span.span_id or not (inner or one.span_id)],
    )


def _top(rows: list[dict[str, Any]]) -> str:
    order = list(in_reading_order([row["span_id"] for row in rows], [row["parent_id"] for row in rows]))
    calls = [
        (depth, place)
        for place, depth, _ in order
        if rows[place]["kind"] == "llm" and (rows[place]["said"] or rows[place]["answered"])
    ]
    if calls:
        highest = min(depth for depth, _ in calls)
        beside = [place for depth, place in calls if depth == highest]
        answered = [place for place in beside if rows[place]["answered"]]
        return str(rows[max(answered or beside, key=lambda place: rows[place]["start_ns"])]["span_id"])
    first = order[0][0]
    return str(next((rows[place]["span_id"] for place, _, _ in order if rows[place]["said"]), rows[first]["span_id"]))
