"""The outline of a trace: its tree and times without payloads, however many spans it has, and one span or a search when asked.

A page shows a piece of the outline at a time and asks for the next while one scrolls, so the last few outlines are kept for a
minute; a trace that has got spans since is read again.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, overload

from noria.core.errors import NotFound
from noria.core.records import Span
from noria.stores.connect import Stores
from noria.tracing import conditions, filters, schema
from noria.tracing.reading import OF_TRACES, ROWS_OF_TRACES, ask, moment, nanoseconds
from noria.tracing.records import Outline, Step, Totals
from noria.tracing.totals import totals
from noria.tracing.tree import in_reading_order
from noria.web.paging import Page, cut, decode

MOST: Final = 200_000
"""Spans of one trace that are read."""
FOUND: Final = 200
"""Spans that a search inside a trace tells of."""
_COUNTED: Final = 5_000
_KEPT: Final = 3
_SECONDS: Final = 60.0
# One row of whole columns: 50,000 rows would be 50,000 dictionaries first.
_COLUMNS_OF: Final = """
SELECT groupArray(span_id) AS span_id, groupArray(parent_id) AS parent_id, groupArray(name) AS name,
    groupArray(toString(kind)) AS kind, groupArray(toString(status)) AS status, groupArray(start_ns) AS start_ns,
    groupArray(end_ns) AS end_ns, groupArray(first_ns) AS first_ns, groupArray(says) AS says
FROM (
    SELECT span_id, parent_id, name, kind, status, start_ns, end_ns, if(streamed, first_token_ns, 0) AS first_ns,
        (length(input_messages) > 2) + 2 * (length(output_messages) > 2) AS says
    INSIDE ORDER BY start_ns, span_id LIMIT {most:UInt32}
)
""".replace("INSIDE", OF_TRACES)
# A row keeps the place in the list that the trace got first: the start of one of its spans.
_TOLD: Final = schema.select(
    (
        *schema.SUMMED,
        "length(calls.span_id) AS made",
        "arrayExists((by, cost) -> empty(by) AND cost > 0, calls.endpoint, calls.cost_micros) AS told",
        "arrayDistinct(arrayFilter(x -> notEmpty(x), arrayMap((a, b) -> if(empty(a), b, a), calls.served_model, calls.requested_model))) AS models",
    ),
    "FROM traces FINAL WHERE project_id = {project:String} AND listed_ns BETWEEN {first:Int64} AND {last:Int64} AND trace_id = {trace:String}",
)
_ESTIMATED: Final = """
SELECT sum(cost_micros) AS micros FROM spans FINAL
WHERE project_id = {project:String} AND trace_id = {trace:String} AND empty(endpoint) AND notEmpty(price_version) AND span_id IN (
    SELECT arrayJoin(calls.span_id) FROM traces FINAL
    WHERE project_id = {project:String} AND listed_ns BETWEEN {first:Int64} AND {last:Int64} AND trace_id = {trace:String}
)
"""
_SEARCHED: Final = "lower(concat(name, ' ', error_message, ' ', input_messages, ' ', output_messages, ' ', attributes))"


class _Steps(Sequence[Step]):
    """Steps made when they are looked at, from columns as the store gave them: a page shows 200 of 50,000."""

    def __init__(self, columns: Mapping[str, Sequence[Any]]) -> None:
        self._of = columns
        self._start: int = min(columns["start_ns"])
        self._order = list(in_reading_order(columns["span_id"], columns["parent_id"]))

    def __len__(self) -> int:
        return len(self._order)

    @overload
    def __getitem__(self, at: int) -> Step: ...
    @overload
    def __getitem__(self, at: slice) -> list[Step]: ...
    def __getitem__(self, at: int | slice) -> Step | list[Step]:
        return [self._step(*one) for one in self._order[at]] if isinstance(at, slice) else self._step(*self._order[at])

    def outline(self, trace_id: str) -> Outline:
        ids = self._of["span_id"]
        return Outline(
            trace_id=trace_id,
            start=moment(self._start),
            duration_ms=_ms(max(self._of["end_ns"]) - self._start),
            steps=self,
            places={ids[row]: place for place, (row, _, _) in enumerate(self._order)},
            head=self._head(),
        )

    def _head(self) -> str:
        says, ids = self._of["says"], self._of["span_id"]
        top = self._order[0][0]
        if says[top] & 1:
            return str(ids[top])
        return str(next((ids[row] for row, _, _ in self._order if says[row] & 2), ids[top]))

    def _step(self, row: int, depth: int, children: int) -> Step:
        start, first = self._of["start_ns"][row], self._of["first_ns"][row]
        return Step(
            **{name: self._of[name][row] for name in ("span_id", "name", "kind", "status")},
            depth=depth,
            offset_ms=_ms(start - self._start),
            duration_ms=_ms(self._of["end_ns"][row] - start),
            first_token_ms=_ms(first - start) if first else None,
            children=children,
            orphan=bool(self._of["parent_id"][row]) and depth == 0,
        )


@dataclass(frozen=True, slots=True)
class _Kept:
    stamp: tuple[int, int]
    until: float
    outline: Outline


_kept: OrderedDict[tuple[int, str, str], _Kept] = OrderedDict()
_lock = threading.Lock()


def read(stores: Stores, project_id: str, trace_id: str) -> Outline:
    """The outline of one trace. Raises NotFound, Unavailable."""
    values = {"project": project_id, "traces": [trace_id.lower()]}
    found = ask(stores, f"SELECT count() AS n, max(end_ns) AS last {ROWS_OF_TRACES}", values)[0]
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
    columns = ask(stores, _COLUMNS_OF, {**values, "most": MOST})[0]
    made = _Steps(columns).outline(trace_id.lower())
    with _lock:
        _kept[place] = _Kept(stamp, now + _SECONDS, made)
        while len(_kept) > _KEPT:
            _kept.popitem(last=False)
    return made


def spans(stores: Stores, project_id: str, trace_id: str, span_ids: list[str]) -> dict[str, Span]:
    """These spans of a trace whole, by id."""
    sql = schema.select(schema.SPAN_COLUMNS, f"{OF_TRACES} AND span_id IN {{ids:Array(String)}}")
    rows = ask(stores, sql, {"project": project_id, "traces": [trace_id.lower()], "ids": span_ids})
    return {row["span_id"]: schema.span_of(row) for row in rows}


def used(stores: Stores, whole: Outline, project_id: str) -> Totals | None:
    """What its model calls used, each counted once; None for a trace so large that this would keep somebody waiting."""
    if len(whole.steps) > _COUNTED:
        return None
    names = (
        *("span_id", "parent_id", "start_ns", "input_tokens", "output_tokens", "cached_tokens", "cost_micros"),
        *("endpoint", "price_version"),
    )
    answer = "JSONExtractString(attributes, 'gen_ai.response.id') AS answer"
    rows = ask(stores, schema.select((*names, answer), OF_TRACES), {"project": project_id, "traces": [whole.trace_id]})
    return totals(
        Span(
            trace_id=whole.trace_id,
            project_id=project_id,
            name="",
            kind="llm",
            end_ns=0,
            attributes={"gen_ai.response.id": row["answer"]},
            **{name: row[name] for name in names},
        )
        for row in rows
    )


def told(stores: Stores, whole: Outline, project_id: str) -> tuple[Totals, list[str]] | None:
    """What its row in `traces` says its model calls used, each counted once, and the models; None while there is no row."""
    first = nanoseconds(whole.start)
    last = first + int((whole.duration_ms + 1) * 1_000_000)
    values = {"project": project_id, "trace": whole.trace_id, "first": first, "last": last}
    rows = ask(stores, _TOLD, values)
    if not rows:
        return None
    sums = {name: rows[0][name] for name in schema.SUMMED}
    estimated = ask(stores, _ESTIMATED, values)[0]["micros"] if rows[0]["told"] else 0
    return Totals(calls=rows[0]["made"], estimated_micros=estimated, **sums), rows[0]["models"]


def search(stores: Stores, project_id: str, trace_id: str, text: str) -> list[str]:
    """Ids of the spans of a trace that hold these words (or \"these words\") or are like these terms, FOUND at most.

    Raises BadFilter, Unavailable.
    """
    made = conditions.Where()
    wanted = [conditions.in_span(made, term, _SEARCHED) for term in filters.parse(text)]
    sql = f"SELECT DISTINCT span_id, start_ns {OF_TRACES} AND {' AND '.join(wanted or ['1'])}"
    values = {**made.values, "project": project_id, "traces": [trace_id.lower()], "most": FOUND}
    return [row["span_id"] for row in ask(stores, f"{sql} ORDER BY start_ns, span_id LIMIT {{most:UInt32}}", values)]


def page(
    stores: Stores, project_id: str, trace_id: str, *, q: str = "", limit: int = 50, cursor: str | None = None
) -> Page[Step]:
    """A piece of the outline, in reading order; with `q` only what `search` finds. Raises NotFound, BadFilter, Unavailable."""
    whole = read(stores, project_id, trace_id)
    after = decode(cursor, str)
    at = whole.places.get(after[0], -1) + 1 if after else 0
    if not q.strip():
        return cut(whole.steps[at : at + limit + 1], limit, lambda step: (step.span_id,))
    found = [step for step in found_in(stores, project_id, whole, q) if whole.places[step.span_id] >= at]
    return cut(found[: limit + 1], limit, lambda step: (step.span_id,))


def found_in(stores: Stores, project_id: str, whole: Outline, q: str) -> list[Step]:
    """What `search` finds, in reading order. Raises BadFilter, Unavailable."""
    known = search(stores, project_id, whole.trace_id, q)
    return [whole.steps[place] for place in sorted(whole.places[one] for one in known if one in whole.places)]


def missing() -> NotFound:
    """There is no such trace."""
    return NotFound("There is no such trace.", hint="A span is there a second after its answer; older ones expire.")


def _ms(nanoseconds: int) -> float:
    return round(nanoseconds / 1_000_000, 3)
