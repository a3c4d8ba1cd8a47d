"""Joins what belongs together, whichever the store sees first: log events to the spans whose messages they carry, pieces to spans, spans to
their traces.

In: the span and content records of one journal batch. Out: spans with their messages, spans of earlier batches that are to be
written again, whole, and the rows of their traces. A span's own messages win; what a span got from events says so in its attribute `content`, so that
events that come later still add to it.
"""

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import orjson

from noria.core.records import Span
from noria.stores import ports
from noria.tracing import rollup, schema
from noria.tracing.estimates import Estimates
from noria.tracing.pieces import is_piece, span_of

_MARK: Final = "content"
_EVENTS: Final = "log events"
_AT_ONCE: Final = 1_000
_NUMBER: Final = "gen_ai.response.id"
_ANSWER: Final = f"arrayFirst(x -> startsWith(x, '{_NUMBER}='), facts) AS answer"
Ids = tuple[str, str, str]
"""Project, trace, span."""


def content_row(record: Mapping[str, Any]) -> list[Any]:
    """A row of `contents`, in the order of CONTENT_COLUMNS. Raises KeyError and TypeError for what is not a content record."""
    said = orjson.dumps(record["input_messages"]).decode()
    answered = orjson.dumps(record["output_messages"]).decode()
    digest = hashlib.blake2b(f"{said} {answered}".encode(), digest_size=8).hexdigest()
    ids = (str(record[name]) for name in ("project_id", "trace_id", "span_id"))
    return [*ids, int(record["time_ns"]), digest, said, answered]


@dataclass(frozen=True, slots=True)
class Joined:
    """What is to be written."""

    spans: list[Span]
    """New ones."""
    changed: list[Span]
    """Stored ones with the messages that have now come."""
    traces: list[list[Any]]
    """Rows of `traces` for all traces that have got either."""


def joined(
    spans: ports.Spans, batch: Sequence[Span], contents: Sequence[Sequence[Any]], version: int, prices: Estimates
) -> Joined:
    """What this batch adds: its spans, without those that a client sent again, and messages (`contents`, as rows). Raises Unavailable."""
    here = {_ids(span): span for span in batch}
    told: set[Ids] = {(row[0], row[1], row[2]) for row in contents}
    there = _stored_ids(spans, {*(ids for ids, span in here.items() if _linked(span)), *told})
    stored = _stored_spans(spans, told & there)
    new = {ids: span for ids, span in here.items() if ids not in there}
    whole = {(row[0], row[1], row[2]) for row in contents if is_piece(row[5])}
    waiting = {ids for ids, span in new.items() if ids in told or _wants(span)} | stored.keys() | whole
    known = _stored_contents(spans, waiting)
    for row in contents:
        known.setdefault((row[0], row[1], row[2]), {})[(row[3], row[4])] = (row[5], row[6])
    made = {ids: span for ids in whole if (span := _assembled(ids, known[ids], prices)) is not None}
    filled = [_filled(span, known.get(ids, {})) for ids, span in new.items() if ids not in whole]
    filled += [span for ids, span in made.items() if ids not in there]
    changed = [_filled(span, known[ids]) for ids, span in stored.items() if ids not in whole and _takes(span)]
    changed += [span for ids, span in made.items() if ids in there and span != stored[ids]]
    return Joined(filled, changed, _traces(spans, [*filled, *changed], {ids[:2] for ids in there}, version))


def late(spans: ports.Spans, told: set[Ids], prices: Estimates) -> list[Span]:
    """Stored spans with messages that another tailer could not know of: `told` are those that log events told of. Raises Unavailable."""
    stored = _stored_spans(spans, told)
    known = _stored_contents(spans, set(stored))
    filled = {
        ids: _assembled(ids, known.get(ids, {}), prices) or _filled(span, known.get(ids, {}))
        for ids, span in stored.items()
    }
    return [span for ids, span in filled.items() if span != stored[ids]]


def _traces(spans: ports.Spans, fresh: Sequence[Span], there: set[tuple[str, str]], version: int) -> list[list[Any]]:
    """Rows of the traces of `fresh`; of those in `there` some spans have been stored before."""
    groups: dict[tuple[str, str], list[Span]] = {}
    for span in fresh:
        groups.setdefault((span.project_id, span.trace_id), []).append(span)
    grown = there & groups.keys()
    known = stored_briefs(spans, grown) if grown else {}
    rows = _stored_rows(spans, known) if known else {}
    return [rollup.row(group, known.get(trace, ()), rows.get(trace), version) for trace, group in groups.items()]


def _linked(span: Span) -> bool:
    """Whether others may tell of its trace, or of it: all but what the gateway says of a request that came without a trace."""
    return not span.endpoint or bool(span.parent_id)


def _wants(span: Span) -> bool:
    """Whether events may have its messages: a model call from a library, without any."""
    return span.kind == "llm" and not span.endpoint and not span.input_messages and not span.output_messages


def _takes(span: Span) -> bool:
    return span.attributes.get(_MARK) == _EVENTS or not (span.input_messages and span.output_messages)


def _filled(span: Span, events: Mapping[tuple[int, str], tuple[str, str]]) -> Span:
    if not events or not _takes(span):
        return span
    ours = span.attributes.get(_MARK) == _EVENTS
    in_order = [events[moment] for moment in sorted(events) if not is_piece(events[moment][0])]
    said = [message for row in in_order for message in orjson.loads(row[0])]
    answered = [message for row in in_order for message in orjson.loads(row[1])]
    return replace(
        span,
        input_messages=said if ours or not span.input_messages else span.input_messages,
        output_messages=answered if ours or not span.output_messages else span.output_messages,
        attributes={**span.attributes, _MARK: _EVENTS},
    )


def _assembled(ids: Ids, events: Mapping[tuple[int, str], tuple[str, str]], prices: Estimates) -> Span | None:
    """The span that is told of in pieces; None when it is not."""
    told = [(moment[0], events[moment][0]) for moment in sorted(events) if is_piece(events[moment][0])]
    return span_of(ids, told, prices) if told else None


def _ids(span: Span) -> Ids:
    return (span.project_id, span.trace_id, span.span_id)


def _stored_ids(spans: ports.Spans, wanted: Iterable[Ids]) -> set[Ids]:
    """Every span that is stored of the traces of these."""
    return {_row_ids(row) for row in rows_of(spans, ("project_id", "trace_id", "span_id"), "spans", _traces_of(wanted))}


def _stored_spans(spans: ports.Spans, wanted: set[Ids]) -> dict[Ids, Span]:
    rows = rows_of(spans, schema.SPAN_COLUMNS, "spans FINAL", _traces_of(wanted), of=_spans_of(wanted))
    return {_row_ids(row): schema.span_of(row) for row in rows if _row_ids(row) in wanted}


def _stored_contents(spans: ports.Spans, wanted: set[Ids]) -> dict[Ids, dict[tuple[int, str], tuple[str, str]]]:
    found: dict[Ids, dict[tuple[int, str], tuple[str, str]]] = {}
    for row in rows_of(spans, schema.CONTENT_COLUMNS, "contents FINAL", _traces_of(wanted), of=_spans_of(wanted)):
        if _row_ids(row) in wanted:
            told = (row["input_messages"], row["output_messages"])
            found.setdefault(_row_ids(row), {})[(row["time_ns"], row["digest"])] = told
    return found


def stored_briefs(spans: ports.Spans, wanted: set[tuple[str, str]]) -> dict[tuple[str, str], list[Span]]:
    """Spans of these traces without payloads; the provider's number of an answer is the one attribute."""
    found: dict[tuple[str, str], list[Span]] = {}
    for row in rows_of(spans, (*rollup.BRIEF, _ANSWER), "spans FINAL", wanted):
        answer = row.pop("answer").removeprefix(f"{_NUMBER}=")
        made = Span(**row, attributes={_NUMBER: answer} if answer else {})
        found.setdefault((made.project_id, made.trace_id), []).append(made)
    return found


def _stored_rows(
    spans: ports.Spans, known: Mapping[tuple[str, str], Sequence[Span]]
) -> dict[tuple[str, str], dict[str, Any]]:
    """What `traces` says of these; its rows stand at the start of one of their spans, so little of it is read."""
    # Two rows of one trace are two tailers' (noria.tracing.mending): the first place in the list is the one that stays.
    rows = sorted(stored_rows(spans, known, rollup.KEPT), key=lambda row: -int(row["listed_ns"]))
    return {(row["project_id"], row["trace_id"]): row for row in rows}


def stored_rows(
    spans: ports.Spans, known: Mapping[tuple[str, str], Sequence[Span]], columns: Sequence[str]
) -> list[dict[str, Any]]:
    """All rows that `traces` has of these, by the starts of their spans."""
    starts = [span.start_ns for group in known.values() for span in group]
    between = f"listed_ns BETWEEN {min(starts)} AND {max(starts)}"
    return rows_of(spans, columns, "traces FINAL", known.keys(), more=between)


def _row_ids(row: Mapping[str, Any]) -> Ids:
    return (row["project_id"], row["trace_id"], row["span_id"])


def _spans_of(wanted: Iterable[Ids]) -> set[str]:
    return {ids[2] for ids in wanted}


def _traces_of(wanted: Iterable[Ids]) -> set[tuple[str, str]]:
    return {ids[:2] for ids in wanted}


def rows_of(
    spans: ports.Spans,
    columns: Sequence[str],
    table: str,
    wanted: Iterable[tuple[str, str]],
    *,
    more: str = "1",
    of: Collection[str] = (),
) -> list[dict[str, Any]]:
    """Rows of these traces (project, id), which the tables are ordered by; `of`: the spans that one asks for, others may come as well."""
    wished = set(wanted)
    traces = sorted({trace for _, trace in wished})
    projects = sorted({project for project, _ in wished})
    named = {"spans": ",".join(of)} if 0 < len(of) <= _AT_ONCE else {}
    if named:
        more = f"span_id IN splitByChar(',', {{spans:String}}) AND {more}"
    these = "project_id IN {projects:Array(String)} AND trace_id IN splitByChar(',', {traces:String})"
    if table == "spans FINAL":  # many columns: they stay shut in the parts of other weeks
        ends = f"(SELECT (min(start_ns), max(start_ns)) FROM spans WHERE {these})"  # noqa: S608 - no value is in it
        more = f"start_ns BETWEEN {ends}.1 AND {ends}.2"
    sql = schema.select(columns, f"FROM {table} WHERE {these} AND {more}")
    found: list[dict[str, Any]] = []
    for start in range(0, len(traces), _AT_ONCE):
        part = ",".join(traces[start : start + _AT_ONCE])
        rows = spans.query(sql, {"projects": projects, "traces": part, **named})
        found += [row for row in rows if (row["project_id"], row["trace_id"]) in wished]
    return found
