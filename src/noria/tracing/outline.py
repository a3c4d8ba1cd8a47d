"""The outline of a trace: its tree and times without payloads, however many spans it has, and one span or a search when asked.

A page shows a piece of the outline at a time and asks for the next while one scrolls, so the last few outlines are kept for a
minute; a trace that has got spans since is read again.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from noria.core.errors import NotFound
from noria.core.records import Span
from noria.stores.connect import Stores
from noria.tracing import conditions, filters, schema
from noria.tracing.reading import ask, moment
from noria.tracing.records import Outline, Step
from noria.tracing.tree import in_reading_order
from noria.web.paging import Page, cut, decode

MOST: Final = 200_000
"""Spans of one trace that are read."""
FOUND: Final = 200
"""Spans that a search inside a trace tells of."""
_KEPT: Final = 3
_SECONDS: Final = 60.0
_IN_TRACE: Final = "FROM spans WHERE project_id = {project:String} AND trace_id = {trace:String}"
_COLUMNS: Final = (
    *(
        "span_id",
        "parent_id",
        "name",
        "kind",
        "status",
        "start_ns",
        "end_ns",
        "if(streamed, first_token_ns, 0) AS first_ns",
    ),
    "(length(input_messages) > 2) + 2 * (length(output_messages) > 2) AS says",
)
_SEARCHED: Final = "lower(concat(name, ' ', error_message, ' ', input_messages, ' ', output_messages, ' ', attributes))"


class _Row(NamedTuple):
    span_id: str
    parent_id: str
    name: str
    kind: str
    status: str
    start_ns: int
    end_ns: int
    first_ns: int
    says: int


@dataclass(frozen=True, slots=True)
class _Kept:
    stamp: tuple[int, int]
    until: float
    outline: Outline


_kept: OrderedDict[tuple[int, str, str], _Kept] = OrderedDict()
_lock = threading.Lock()


def read(stores: Stores, project_id: str, trace_id: str) -> Outline:
    """The outline of one trace. Raises NotFound, Unavailable."""
    values = {"project": project_id, "trace": trace_id.lower()}
    found = ask(stores, f"SELECT count() AS n, max(end_ns) AS last {_IN_TRACE}", values)[0]
    if not found["n"]:
        raise missing()
    stamp = (found["n"], found["last"])
    place = (id(stores), project_id, trace_id.lower())
    now = time.monotonic()
    with _lock:
        for old in [key for key, kept in _kept.items() if kept.until < now]:
            del _kept[old]
        known = _kept.get(place)
    if known is not None and known.stamp == stamp:
        return known.outline
    sql = schema.select(_COLUMNS, f"{_IN_TRACE} ORDER BY start_ns, span_id LIMIT {{most:UInt32}}")
    made = _outline(trace_id.lower(), [_Row(*row.values()) for row in ask(stores, sql, {**values, "most": MOST})])
    with _lock:
        _kept[place] = _Kept(stamp, now + _SECONDS, made)
        while len(_kept) > _KEPT:
            _kept.popitem(last=False)
    return made


def spans(stores: Stores, project_id: str, trace_id: str, span_ids: list[str]) -> dict[str, Span]:
    """These spans of a trace whole, by id."""
    sql = schema.select(schema.SPAN_COLUMNS, f"{_IN_TRACE} AND span_id IN {{ids:Array(String)}}")
    rows = ask(stores, sql, {"project": project_id, "trace": trace_id.lower(), "ids": span_ids})
    return {row["span_id"]: schema.span_of(row) for row in rows}


def search(stores: Stores, project_id: str, trace_id: str, text: str) -> list[str]:
    """Ids of the spans of a trace that hold these words (or \"these words\") or are like these terms, FOUND at most.

    Raises BadFilter, Unavailable.
    """
    made = conditions.Where()
    wanted = [conditions.in_span(made, term, _SEARCHED) for term in filters.parse(text)]
    sql = f"SELECT DISTINCT span_id, start_ns {_IN_TRACE} AND {' AND '.join(wanted or ['1'])}"
    values = {**made.values, "project": project_id, "trace": trace_id.lower(), "most": FOUND}
    return [row["span_id"] for row in ask(stores, f"{sql} ORDER BY start_ns, span_id LIMIT {{most:UInt32}}", values)]


def page(
    stores: Stores, project_id: str, trace_id: str, *, q: str = "", limit: int = 50, cursor: str | None = None
) -> Page[Step]:
    """A piece of the outline, in reading order; with `q` only what `search` finds. Raises NotFound, BadFilter, Unavailable."""
    steps: Sequence[Step] = read(stores, project_id, trace_id).steps
    if q.strip():
        found = set(search(stores, project_id, trace_id, q))
        steps = [step for step in steps if step.span_id in found]
    after = decode(cursor, str)
    at = next((n + 1 for n, step in enumerate(steps) if step.span_id == after[0]), 0) if after else 0
    return cut(steps[at : at + limit + 1], limit, lambda step: (step.span_id,))


def missing() -> NotFound:
    """There is no such trace."""
    return NotFound("There is no such trace.", hint="A span is there a second after its answer; older ones expire.")


def _outline(trace_id: str, rows: list[_Row]) -> Outline:
    once = list({row.span_id: row for row in rows}.values())
    start = min(row.start_ns for row in once)
    ordered = list(in_reading_order(once))
    return Outline(
        trace_id=trace_id,
        start=moment(start),
        duration_ms=_ms(max(row.end_ns for row in once) - start),
        steps=tuple(_step(row, depth, children, start) for row, depth, children in ordered),
        head=_head([row for row, _, _ in ordered]),
    )


def _head(rows: list[_Row]) -> str:
    top = rows[0]
    if top.says & 1:
        return top.span_id
    return next((row.span_id for row in rows if row.says & 2), top.span_id)


def _step(row: _Row, depth: int, children: int, start: int) -> Step:
    return Step(
        span_id=row.span_id,
        name=row.name,
        kind=row.kind,
        status=row.status,
        depth=depth,
        offset_ms=_ms(row.start_ns - start),
        duration_ms=_ms(row.end_ns - row.start_ns),
        first_token_ms=_ms(row.first_ns - row.start_ns) if row.first_ns else None,
        children=children,
        orphan=bool(row.parent_id) and depth == 0,
    )


def _ms(nanoseconds: int) -> float:
    return round(nanoseconds / 1_000_000, 3)
