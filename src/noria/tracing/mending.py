"""Rows of `traces` that two tailers wrote at the same moment, each without the other's spans: found, and written anew.

Where several machines share a ClickHouse, each has a tailer, and a tailer makes a trace's row of what `spans` holds when it looks. Two that
look before either has written miss each other. So each looks again at the traces that it wrote, some seconds later, when whatever
was under way is there: whoever wrote last sees all. What is in the row is compared by the number of spans; a trace that
got two rows (each tailer gave it a place in the list) keeps the first place.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from noria.core import ids
from noria.core.records import Span
from noria.stores import ports
from noria.tracing import rollup, schema
from noria.tracing.joining import rows_of, stored_briefs, stored_rows

Trace = tuple[str, str]
"""Project, trace."""

_AT_ONCE: Final = 1_000
_WHOLE: Final = 500
"""Spans of a trace that are read with their messages; its text and previews hold no more."""
_ANEW: Final = 100
"""Traces that are written anew at once."""
_MINE: Final = "project_id IN {projects:Array(String)} AND trace_id IN splitByChar(',', {traces:String})"
_DIFFERENT: Final = f"""
SELECT s.project_id AS project_id, s.trace_id AS trace_id FROM (
    SELECT project_id, trace_id, uniqExact(span_id) AS held FROM spans WHERE {_MINE} GROUP BY project_id, trace_id
) AS s LEFT JOIN (
    SELECT project_id, trace_id, argMax(spans, version) AS told, uniqExact(listed_ns) AS places FROM traces
    WHERE (project_id, listed_ns, trace_id) IN (SELECT project_id, start_ns, trace_id FROM spans WHERE {_MINE})
    GROUP BY project_id, trace_id
) AS t ON s.project_id = t.project_id AND s.trace_id = t.trace_id
WHERE held != told OR places != 1
"""  # noqa: S608 - our own names; values are bound
_ELSEWHERE: Final = (
    "DELETE FROM traces IN PARTITION ID {part:String} WHERE listed_ns IN {places:Array(Int64)}"
    " AND concat(toString(listed_ns), ' ', trace_id) IN {rows:Array(String)} SETTINGS lightweight_deletes_sync = 0"
)
"""A partition is one project's; nobody waits, because the tailer has more to carry."""


def different(spans: ports.Spans, traces: Iterable[Trace]) -> set[Trace]:
    """Those of `traces` whose row does not tell of all spans that are there. Raises Unavailable."""
    wanted = set(traces)
    numbers = sorted({trace for _, trace in wanted})
    projects = sorted({project for project, _ in wanted})
    found: set[Trace] = set()
    for start in range(0, len(numbers), _AT_ONCE):
        values = {"projects": projects, "traces": ",".join(numbers[start : start + _AT_ONCE])}
        found |= {(row["project_id"], row["trace_id"]) for row in spans.query(_DIFFERENT, values)}
    return found & wanted


def mend(spans: ports.Spans, traces: Iterable[Trace], now: int) -> list[Trace]:
    """Write the rows of these traces anew, of all their spans; those that are there. `now` is a moment before this (ns). Raises Unavailable."""
    waiting = sorted(set(traces))
    parts = (waiting[start : start + _ANEW] for start in range(0, len(waiting), _ANEW))
    return [trace for part in parts for trace in _mend(spans, set(part), now)]


def _mend(spans: ports.Spans, traces: set[Trace], now: int) -> list[Trace]:
    known = stored_briefs(spans, traces)
    if not known:
        return []
    whole: dict[Trace, list[Span]] = {}
    only = f"1 ORDER BY start_ns LIMIT {_WHOLE} BY project_id, trace_id"
    for row in rows_of(spans, schema.SPAN_COLUMNS, "spans FINAL", known.keys(), more=only):
        whole.setdefault((row["project_id"], row["trace_id"]), []).append(schema.span_of(row))
    before: dict[Trace, list[dict[str, Any]]] = {}
    for row in stored_rows(spans, known, (*rollup.KEPT, "version", "_partition_id AS part")):
        before.setdefault((row["project_id"], row["trace_id"]), []).append(row)
    there = [trace for trace in whole if trace in known]
    rows = [_row(whole[trace], known[trace], before.get(trace, ()), now) for trace in there]
    spans.insert("traces", schema.TRACE_COLUMNS, rows, token=f"mended/{ids.new_id()}")
    _drop(spans, before.values())
    return there


def _row(whole: Sequence[Span], known: Sequence[Span], before: Sequence[Mapping[str, Any]], now: int) -> list[Any]:
    """The row over all of `before`, whatever the clocks of those who wrote these say."""
    if not before:
        return rollup.row(whole, known, None, now)
    newest = max(before, key=lambda row: int(row["version"]))
    first = {**newest, "listed_ns": min(row["listed_ns"] for row in before)}
    return rollup.row(whole, known, first, max(now, newest["version"] + 1))


def _drop(spans: ports.Spans, before: Iterable[Sequence[Mapping[str, Any]]]) -> None:
    """Take away the rows of traces that have more than one, but for the first."""
    others: dict[str, list[Mapping[str, Any]]] = {}
    for rows in before:
        for row in sorted(rows, key=lambda row: int(row["listed_ns"]))[1:]:
            others.setdefault(row["part"], []).append(row)
    for part, rows in others.items():
        named = [f"{row['listed_ns']} {row['trace_id']}" for row in rows]
        places = sorted({row["listed_ns"] for row in rows})
        spans.command(_ELSEWHERE, {"part": part, "places": places, "rows": named})
