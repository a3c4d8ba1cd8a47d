"""Joins the messages that log events carry to the spans that they belong to, whichever the store sees first.

In: the span and content records of one journal batch. Out: spans with their messages, rows of `contents`, and spans of earlier batches
that are to be written again, whole. A span's own messages win; what a span got from events says so in its attribute `content`, so that
events that come later still add to it.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import orjson

from noria.core.records import Span
from noria.stores import ports
from noria.tracing import schema

_MARK: Final = "content"
_EVENTS: Final = "log events"
_AT_ONCE: Final = 1_000
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
    roots: list[Span]
    """Those of them, and of the ones that were there, that still lack their row of `traces`."""
    changed: list[Span]
    """Stored ones with the messages that have now come."""


def joined(spans: ports.Spans, batch: Sequence[Span], contents: Sequence[Sequence[Any]]) -> Joined:
    """What this batch adds: its spans, without those that a client sent again, and messages (`contents`, as rows). Raises Unavailable."""
    here = {_ids(span): span for span in batch}
    there = _known(spans, "spans", here)
    again = [here[ids] for ids in there if not here[ids].parent_id]
    listed = _known(spans, "traces", {_ids(span): span for span in again}) if again else set()
    told: set[Ids] = {(row[0], row[1], row[2]) for row in contents}
    stored = _stored_spans(spans, {ids for ids in told if ids not in here or ids in there})
    new = {ids: span for ids, span in here.items() if ids not in there}
    waiting = {ids for ids, span in new.items() if ids in told or _wants(span)} | stored.keys()
    known = _stored_contents(spans, waiting)
    for row in contents:
        known.setdefault((row[0], row[1], row[2]), {})[(row[3], row[4])] = (row[5], row[6])
    filled = [_filled(span, known.get(ids, {})) for ids, span in new.items()]
    roots = [span for span in filled if not span.parent_id] + [span for span in again if _ids(span) not in listed]
    return Joined(filled, roots, [_filled(span, known[ids]) for ids, span in stored.items() if _takes(span)])


def _wants(span: Span) -> bool:
    """Whether events may have its messages: a model call from a library, without any."""
    return span.kind == "llm" and not span.endpoint and not span.input_messages and not span.output_messages


def _takes(span: Span) -> bool:
    return span.attributes.get(_MARK) == _EVENTS or not (span.input_messages and span.output_messages)


def _filled(span: Span, events: Mapping[tuple[int, str], tuple[str, str]]) -> Span:
    if not events or not _takes(span):
        return span
    ours = span.attributes.get(_MARK) == _EVENTS
    in_order = [events[moment] for moment in sorted(events)]
    said = [message for row in in_order for message in orjson.loads(row[0])]
    answered = [message for row in in_order for message in orjson.loads(row[1])]
    return replace(
        span,
        input_messages=said if ours or not span.input_messages else span.input_messages,
        output_messages=answered if ours or not span.output_messages else span.output_messages,
        attributes={**span.attributes, _MARK: _EVENTS},
    )


def _ids(span: Span) -> Ids:
    return (span.project_id, span.trace_id, span.span_id)


def _known(spans: ports.Spans, table: str, wanted: Mapping[Ids, Span]) -> set[Ids]:
    """Which of these are in `table`. Only what came by OTLP is asked for: the gateway never sends a span again."""
    sent = [ids for ids, span in wanted.items() if not span.endpoint]
    return {_row_ids(row) for row in _rows(spans, ("project_id", "trace_id", "span_id"), table, sent, final=False)}


def _stored_spans(spans: ports.Spans, wanted: Iterable[Ids]) -> dict[Ids, Span]:
    return {_row_ids(row): schema.span_of(row) for row in _rows(spans, schema.SPAN_COLUMNS, "spans", wanted)}


def _stored_contents(spans: ports.Spans, wanted: Iterable[Ids]) -> dict[Ids, dict[tuple[int, str], tuple[str, str]]]:
    found: dict[Ids, dict[tuple[int, str], tuple[str, str]]] = {}
    for row in _rows(spans, schema.CONTENT_COLUMNS, "contents", wanted):
        told = (row["input_messages"], row["output_messages"])
        found.setdefault(_row_ids(row), {})[(row["time_ns"], row["digest"])] = told
    return found


def _row_ids(row: Mapping[str, Any]) -> Ids:
    return (row["project_id"], row["trace_id"], row["span_id"])


def _rows(
    spans: ports.Spans, columns: Sequence[str], table: str, wanted: Iterable[Ids], *, final: bool = True
) -> list[dict[str, Any]]:
    """Rows of these spans; asked by project and trace, which the tables are ordered by."""
    wished = set(wanted)
    traces = sorted({ids[1] for ids in wished})
    projects = sorted({ids[0] for ids in wished})
    sql = schema.select(
        columns,
        f"FROM {table}{' FINAL' if final else ''} WHERE project_id IN {{projects:Array(String)}}"
        " AND trace_id IN splitByChar(',', {traces:String})",
    )
    found: list[dict[str, Any]] = []
    for start in range(0, len(traces), _AT_ONCE):
        part = ",".join(traces[start : start + _AT_ONCE])
        found += [r for r in spans.query(sql, {"projects": projects, "traces": part}) if _row_ids(r) in wished]
    return found
