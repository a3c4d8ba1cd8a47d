"""The verbs of tracing: list traces, open one, judge one.

Everything is bound to a project and reads the span store; judging writes to this process's journal, so it is safe when it
returns and works before the judged span itself has arrived. Figures over time are in noria.tracing.traffic.
"""

import json
import math
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from noria.core import clock, ids
from noria.core.errors import BadInput
from noria.core.records import Score, ScoreSource, Span
from noria.governance import audit
from noria.stores.connect import Stores
from noria.tracing import conditions, filters, fresh, outline, reading, schema
from noria.tracing.conditions import Where
from noria.tracing.reading import ask, moment, nanoseconds
from noria.tracing.records import ScoreView, SpanNode, Trace, TraceFilter, TraceRow
from noria.tracing.totals import totals
from noria.tracing.tree import in_reading_order
from noria.web.paging import Page, cut

_TRACE_ID: Final = re.compile(r"[0-9a-f]{32}")
_SPAN_ID: Final = re.compile(r"[0-9a-f]{16}")
_NAME: Final = re.compile(r"[a-z][a-z0-9_.-]{0,63}")
_LONGEST: Final = {"label": 200, "text": 10_000, "correction": 100_000, "key": 200}
_MOST_SPANS: Final = 50_000
_IS_FEEDBACK: Final = (
    "trace_id IN (SELECT trace_id FROM scores WHERE project_id = {project:String} AND source IN ('user', 'person'))"
)


def list_traces(
    stores: Stores, project_id: str, which: TraceFilter | None = None, *, limit: int = 50, cursor: str | None = None
) -> Page[TraceRow]:
    """The newest traces first, each with its scores. Raises BadFilter, Unavailable."""
    rows = reading.newest(stores, project_id, conditions_of(which or TraceFilter()), limit=limit + 1, cursor=cursor)
    scores = scores_of(stores, project_id, [row["trace_id"] for row in rows[:limit]])
    page = cut(rows, limit, lambda row: (row["listed_ns"], row["trace_id"]))
    return Page([_trace_row(row, scores.get(row["trace_id"], [])) for row in page.items], page.next)


def count_traces(stores: Stores, project_id: str, which: TraceFilter, most: int) -> int:
    """How many traces there are like that; `most` when there are as many or more. Raises BadFilter, Unavailable."""
    return reading.count(stores, project_id, conditions_of(which), most)


def get_trace(stores: Stores, project_id: str, trace_id: str) -> Trace:
    """One trace as a tree. Spans whose parent has not arrived stand at the top. Raises NotFound, Unavailable."""
    trace_id = trace_id.lower()
    found = ask(
        stores,
        schema.select(
            schema.SPAN_COLUMNS,
            f"{reading.OF_TRACES} ORDER BY start_ns, span_id LIMIT {{limit:UInt32}}",
        ),
        {"project": project_id, "traces": [trace_id], "limit": _MOST_SPANS},
    )
    if not found:
        raise outline.missing()
    spans = list({row["span_id"]: schema.span_of(row) for row in found}.values())
    start = min(span.start_ns for span in spans)
    return Trace(
        trace_id=trace_id,
        start=moment(start),
        duration_ms=_ms(max(span.end_ns for span in spans) - start),
        spans=list(_tree(spans, start)),
        scores=scores_of(stores, project_id, [trace_id]).get(trace_id, []),
        totals=totals(spans),
    )


def give_feedback(
    stores: Stores,
    *,
    project_id: str,
    author_id: str,
    source: ScoreSource,
    trace_id: str,
    span_id: str = "",
    name: str = "feedback",
    value: float | None = None,
    label: str = "",
    text: str = "",
    correction: str = "",
    key: str = "",
) -> Score:
    """Judge a trace; safe on disk when this returns. A second judgement of the same name and `key` replaces the first.

    Raises BadInput, and Unavailable when the disk is full.
    """
    trace_id, span_id = trace_id.lower(), span_id.lower()
    if not _TRACE_ID.fullmatch(trace_id):
        raise BadInput("trace_id must be 32 hex digits.", hint="It is the answer's header x-noria-trace-id.")
    if span_id and not _SPAN_ID.fullmatch(span_id):
        raise BadInput("span_id must be 16 hex digits.")
    if not _NAME.fullmatch(name):
        raise BadInput("name must be 1 to 64 small letters, digits, '_', '.' or '-', a letter first.")
    if value is not None and not (math.isfinite(value) and abs(value) <= 1e9):
        raise BadInput("value must be a finite number.")
    if value is None and not (label or text or correction):
        raise BadInput("The feedback says nothing.", hint="Give a value, a label, a text or a correction.")
    for field, given in {"label": label, "text": text, "correction": correction, "key": key}.items():
        if len(given) > _LONGEST[field]:
            raise BadInput(f"{field} may have at most {_LONGEST[field]:,} characters.")
    score = Score(
        score_id=ids.new_id(),
        project_id=project_id,
        trace_id=trace_id,
        span_id=span_id,
        name=name,
        source=source,
        time_ns=clock.now_ns(),
        number=value,
        label=label,
        text=text,
        correction=correction,
        author_id=author_id,
        key=key,
    )
    keep(stores, [score], person_id=author_id if source == "person" else "")
    return score


def keep(stores: Stores, scores: list[Score], *, person_id: str) -> None:
    """Journal all scores or none; what a person gives is in the audit, or not kept. Raises Unavailable."""
    records = [{"type": "score", "trace_id": "", **score.to_dict()} for score in scores]
    if not person_id:
        stores.journal.append(records)
        return
    first = scores[0]
    with stores.database.begin() as connection:
        audit.record(
            connection,
            project_id=first.project_id,
            actor_id=person_id,
            verb="score.give",
            target_kind="trace" if first.trace_id else "session",
            target_id=first.trace_id or first.session_id,
            details={"name": first.name, "source": first.source, "scores": len(scores)},
        )
        stores.journal.append(records)
    fresh.remember(scores)


def conditions_of(which: TraceFilter) -> Where:
    """What `which` asks for, as conditions over `traces`. Raises BadFilter."""
    made = conditions.where(filters.parse(which.q, clock.now()))
    for column, value in {"status": which.status, "session_id": which.session}.items():
        if value:
            made.add(f"{column} = {{{column}:String}}", {column: value})
    for column, value in {"endpoint": which.endpoint, "arm": which.arm, "served_model": which.model}.items():
        if value:
            made.add(f"has(calls.{column}, {{{column}:String}})", {column: value})
    if which.release is not None:
        either = "has(calls.release, {release:Int64}) OR has(calls.requested_release, {release:Int64})"
        made.add(f"({either})", {"release": which.release})
    if which.live is not None:
        made.add("live" if which.live else "NOT live")
    if which.feedback is not None:
        made.add(_IS_FEEDBACK if which.feedback == "yes" else f"NOT {_IS_FEEDBACK}")
    if which.since is not None:
        made.add("listed_ns >= {since:Int64}", {"since": nanoseconds(which.since)})
    if which.until is not None:
        made.add("listed_ns < {until:Int64}", {"until": nanoseconds(which.until)})
    return made


def scores_of(stores: Stores, project_id: str, trace_ids: list[str]) -> dict[str, list[ScoreView]]:
    """Scores by trace, oldest first, with what was given here a moment ago."""
    found: dict[str, list[ScoreView]] = {}
    if not trace_ids:
        return found
    rows = ask(
        stores,
        schema.select(
            schema.SCORE_COLUMNS,
            "FROM scores FINAL WHERE project_id = {project:String} AND trace_id IN {traces:Array(String)}"
            " ORDER BY time_ns, score_id",
        ),
        {"project": project_id, "traces": trace_ids},
    )
    for score in map(schema.score_of, rows):
        found.setdefault(score.trace_id, []).append(fresh.view(score))
    shown = {trace_id: fresh.over(project_id, trace_id, found.get(trace_id, [])) for trace_id in trace_ids}
    return {trace_id: scores for trace_id, scores in shown.items() if scores}


def _trace_row(row: Mapping[str, Any], scores: list[ScoreView]) -> TraceRow:
    same = {name: row[name] for name in TraceRow.__dataclass_fields__ if name in row}
    return TraceRow(
        **same,
        start=moment(row["start_ns"]),
        duration_ms=_ms(row["end_ns"] - row["start_ns"]),
        first_token_ms=_first_token(row["start_ns"], row["first_token_ns"]),
        model=(row["models"] or [row["requested_model"]])[0],
        calls=row["model_calls"],
        prompt=f"{row['prompt_name']}@{row['prompt_version']}" if row["prompt_name"] else "",
        input=row["preview_input"],
        output=row["preview_output"],
        scores=scores,
    )


def _tree(spans: list[Span], start: int) -> Iterable[SpanNode]:
    for place, depth, children in in_reading_order(
        [span.span_id for span in spans], [span.parent_id for span in spans]
    ):
        span = spans[place]
        yield SpanNode(
            span=json.loads(json.dumps(span.to_dict(), default=str)),
            depth=depth,
            offset_ms=_ms(span.start_ns - start),
            duration_ms=_ms(span.end_ns - span.start_ns),
            first_token_ms=_first_token(span.start_ns, span.first_token_ns),
            children=children,
            orphan=bool(span.parent_id) and depth == 0,
        )


def _ms(nanoseconds: int) -> float:
    return round(nanoseconds / 1_000_000, 3)


def _first_token(start_ns: int, first_ns: int) -> float | None:
    return _ms(first_ns - start_ns) if first_ns else None
