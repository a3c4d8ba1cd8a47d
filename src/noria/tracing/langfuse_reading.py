"""What Langfuse's clients ask the span store: traces by page, observations by cursor, sessions, experiments.

An experiment is what its spans say they belong to: the client stamps each with its id, so nothing is kept beside them. Reads go in
two steps, ids first and payloads of those ids then, so that sorting touches no payload.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from noria.core.records import Span
from noria.stores.connect import Stores
from noria.tracing import outline, schema
from noria.tracing.imports import items
from noria.tracing.langfuse_filters import Conditions
from noria.tracing.langfuse_shapes import EXPERIMENT, Told
from noria.tracing.reading import OF_TRACES, ask, nanoseconds
from noria.web.paging import Page, cut, decode

_MOST: Final = 50_000
"""Observations of one trace that are told."""
_NARROW: Final = (
    *("trace_id", "span_id", "parent_id", "start_ns", "end_ns", "input_tokens", "output_tokens", "cost_micros"),
    "JSONExtractString(attributes, 'gen_ai.response.id') AS answer",
)
_ABOUT: Final = (
    "(parent_id = '' OR match(attributes, '\"langfuse\\\\.trace\\\\.(name|input|output|metadata|tags)')"
    " OR session_id != '' OR subject_id != '' OR notEmpty(tags))"
)
_OF_EXPERIMENT: Final = f"JSONExtractString(attributes, '{EXPERIMENT}id')"
_EXPERIMENT_FACTS: Final = ("name", "description", "metadata")
_IS_EXPERIMENT: Final = f"position(attributes, '\"{EXPERIMENT}id\"') > 0"
_ITEM_ROOT: Final = f"span_id = JSONExtractString(attributes, '{EXPERIMENT}item.root_observation_id')"


@dataclass(frozen=True, slots=True)
class TracePage:
    """Traces by page, and how many there are on all pages."""

    traces: list[Told]
    total: int


def traces(
    stores: Stores,
    project_id: str,
    *,
    page: int,
    limit: int,
    name: str = "",
    user: str = "",
    session: str = "",
    tags: Sequence[str] = (),
    environments: Sequence[str] = (),
    since: datetime | None = None,
    until: datetime | None = None,
    oldest_first: bool = False,
) -> TracePage:
    """The newest traces first. Raises Unavailable."""
    conditions, values = ["project_id = {project:String}"], dict[str, Any](project=project_id)
    if name:
        conditions.append(f"(name = {{name:String}} OR {_within('has(facts, {fact:String})')})")
        values |= {"name": name, "fact": f"langfuse.trace.name={name}"}
    for column, value in (("subject_id", user), ("session_id", session)):
        if value:
            conditions.append(_within(f"{column} = {{{column}:String}}"))
            values[column] = value
    if tags:
        conditions.append(_within("hasAll(tags, {tags:Array(String)})"))
        values["tags"] = list(tags)
    if environments:
        named = [f"langfuse.environment={one}" for one in environments]
        conditions.append(_within("hasAny(facts, {environments:Array(String)})"))
        values["environments"] = [*named, *(f"resource.{one}" for one in named)]
    _between(conditions, values, since, until)
    found = f"FROM traces WHERE {' AND '.join(conditions)}"
    order = "start" if oldest_first else "start DESC"
    ids = ask(
        stores,
        f"SELECT trace_id, min(start_ns) AS start {found} GROUP BY trace_id"
        f" ORDER BY {order}, trace_id LIMIT {{limit:UInt32}} OFFSET {{offset:UInt64}}",
        {**values, "limit": limit, "offset": (page - 1) * limit},
    )
    total = ask(stores, f"SELECT uniqExact(trace_id) AS n {found}", values)[0]["n"]
    return TracePage(told(stores, project_id, [row["trace_id"] for row in ids]), total)


def trace_spans(stores: Stores, project_id: str, trace_id: str) -> list[Span]:
    """Its spans, oldest first; `trace_id` may be what an older SDK calls it. Raises NotFound."""
    if not trace_id.strip():
        raise outline.missing()
    rows = ask(
        stores,
        schema.select(
            schema.SPAN_COLUMNS,
            f"{OF_TRACES} ORDER BY start_ns, span_id LIMIT {{most:UInt32}}",
        ),
        {"project": project_id, "traces": [items.trace_id(trace_id)], "most": _MOST},
    )
    if not rows:
        raise outline.missing()
    return [schema.span_of(row) for row in rows]


def told(stores: Stores, project_id: str, trace_ids: Sequence[str]) -> list[Told]:
    """These traces in this order, without the payloads of all their spans."""
    if not trace_ids:
        return []
    values = {"project": project_id, "traces": list(trace_ids)}
    rows = ask(
        stores,
        schema.select(
            schema.SPAN_COLUMNS, f"{OF_TRACES} AND {_ABOUT} ORDER BY trace_id, start_ns, span_id LIMIT 20 BY trace_id"
        ),
        values,
    )
    narrow = ask(stores, f"{schema.select(_NARROW, OF_TRACES)} ORDER BY start_ns, span_id", values)
    about: dict[str, list[Span]] = defaultdict(list)
    every: dict[str, list[Span]] = defaultdict(list)
    for row in rows:
        about[row["trace_id"]].append(schema.span_of(row))
    for row in narrow:
        attributes = {"gen_ai.response.id": row.pop("answer")}
        every[row["trace_id"]].append(Span(project_id=project_id, name="", kind="llm", attributes=attributes, **row))
    return [Told.of(every[one], about[one]) for one in trace_ids if about[one]]


def observations(
    stores: Stores,
    project_id: str,
    asked: Iterable[Conditions],
    *,
    limit: int,
    cursor: str | None = None,
    offset: int = 0,
    since: datetime | None = None,
    until: datetime | None = None,
) -> Page[Span]:
    """The newest spans first that all of `asked` lets through. Raises BadInput for a cursor that is not ours, Unavailable."""
    conditions, values = _asked(project_id, asked, since, until)
    if (after := decode(cursor, int, str)) is not None:
        conditions.append("(start_ns, span_id) < ({after_start:Int64}, {after_span:String})")
        values |= {"after_start": after[0], "after_span": after[1]}
    rows = ask(
        stores,
        schema.select(
            ("trace_id", "span_id", "start_ns"),
            f"FROM spans FINAL WHERE {' AND '.join(conditions)}"
            " ORDER BY start_ns DESC, span_id DESC LIMIT {limit:UInt32} OFFSET {offset:UInt64}",
        ),
        {**values, "limit": limit + 1, "offset": offset},
    )
    page = cut(rows, limit, lambda row: (row["start_ns"], row["span_id"]))
    whole = _whole(stores, project_id, page.items)
    spans = [whole[key] for row in page.items if (key := (row["trace_id"], row["span_id"])) in whole]
    return Page(spans, page.next)


def count_observations(
    stores: Stores,
    project_id: str,
    asked: Iterable[Conditions],
    since: datetime | None = None,
    until: datetime | None = None,
) -> int:
    """How many there are on all pages."""
    conditions, values = _asked(project_id, asked, since, until)
    sql = schema.select(("count() AS n",), f"FROM spans FINAL WHERE {' AND '.join(conditions)}")
    return int(ask(stores, sql, values)[0]["n"])


def sessions(
    stores: Stores,
    project_id: str,
    *,
    page: int,
    limit: int,
    since: datetime | None = None,
    until: datetime | None = None,
) -> tuple[list[tuple[str, int]], int]:
    """(id, start) of sessions, the newest first, and how many there are."""
    conditions, values = ["project_id = {project:String}", "session_id != ''"], dict[str, Any](project=project_id)
    _between(conditions, values, since, until)
    found = f"FROM spans WHERE {' AND '.join(conditions)}"
    rows = ask(
        stores,
        f"SELECT session_id, min(start_ns) AS start {found} GROUP BY session_id"
        " ORDER BY start DESC, session_id LIMIT {limit:UInt32} OFFSET {offset:UInt64}",
        {**values, "limit": limit, "offset": (page - 1) * limit},
    )
    total = ask(stores, f"SELECT uniqExact(session_id) AS n {found}", values)[0]["n"]
    return [(row["session_id"], row["start"]) for row in rows], total


def experiments(
    stores: Stores,
    project_id: str,
    *,
    since: datetime,
    until: datetime | None,
    limit: int,
    cursor: str | None,
    only: Mapping[str, Sequence[str]],
) -> Page[dict[str, Any]]:
    """Experiments with an item since then, the latest first; `only` restricts id, name and dataset.id to any of a list."""
    conditions, values = _of_experiments(project_id, since, until, only)
    after = ""
    if (last := decode(cursor, int, str)) is not None:
        after = " HAVING (started, id) < ({after_start:Int64}, {after_id:String})"
        values |= {"after_start": last[0], "after_id": last[1]}
    columns = (
        f"{_OF_EXPERIMENT} AS id",
        *(f"anyLast(JSONExtractString(attributes, '{EXPERIMENT}{name}')) AS {name}" for name in _EXPERIMENT_FACTS),
        f"anyLast(JSONExtractString(attributes, '{EXPERIMENT}dataset.id')) AS dataset_id",
        *("min(start_ns) AS first", "max(start_ns) AS started", "max(end_ns) AS ended"),
        f"countIf({_ITEM_ROOT}) AS items",
    )
    rows = ask(
        stores,
        schema.select(
            columns,
            f"FROM spans FINAL WHERE {' AND '.join(conditions)} GROUP BY id{after}"
            " ORDER BY started DESC, id DESC LIMIT {limit:UInt32}",
        ),
        {**values, "limit": limit + 1},
    )
    return cut(rows, limit, lambda row: (row["started"], row["id"]))


def experiment_items(
    stores: Stores,
    project_id: str,
    *,
    since: datetime,
    until: datetime | None,
    limit: int,
    cursor: str | None,
    only: Mapping[str, Sequence[str]],
) -> Page[Span]:
    """The span of each item of experiments that its client calls the item's root, the newest first."""
    conditions, values = _of_experiments(project_id, since, until, only)
    asked = ([*conditions, _ITEM_ROOT], values)
    return observations(stores, project_id, [asked], limit=limit, cursor=cursor)


def _asked(
    project_id: str, asked: Iterable[Conditions], since: datetime | None, until: datetime | None
) -> tuple[list[str], dict[str, Any]]:
    conditions, values = ["project_id = {project:String}"], dict[str, Any](project=project_id)
    for more, with_values in asked:
        conditions += more
        values |= with_values
    _between(conditions, values, since, until)
    return conditions, values


def _of_experiments(
    project_id: str, since: datetime, until: datetime | None, only: Mapping[str, Sequence[str]]
) -> tuple[list[str], dict[str, Any]]:
    conditions, values = ["project_id = {project:String}", _IS_EXPERIMENT], dict[str, Any](project=project_id)
    _between(conditions, values, since, until)
    for name, wanted in only.items():
        if wanted:
            place = "only_" + name.replace(".", "_")
            conditions.append(f"JSONExtractString(attributes, '{EXPERIMENT}{name}') IN {{{place}:Array(String)}}")
            values[place] = list(wanted)
    return conditions, values


def _within(condition: str) -> str:
    """Traces with a span of which `condition` holds: what a trace is about need not stand on its root."""
    return f"trace_id IN ({schema.select(('trace_id',), f'FROM spans WHERE project_id = {{project:String}} AND {condition}')})"


def _between(conditions: list[str], values: dict[str, Any], since: datetime | None, until: datetime | None) -> None:
    if since is not None:
        conditions.append("start_ns >= {since_ns:Int64}")
        values["since_ns"] = nanoseconds(since)
    if until is not None:
        conditions.append("start_ns < {until_ns:Int64}")
        values["until_ns"] = nanoseconds(until)


def _whole(stores: Stores, project_id: str, keys: Sequence[Mapping[str, Any]]) -> dict[tuple[str, str], Span]:
    if not keys:
        return {}
    rows = ask(
        stores,
        schema.select(
            schema.SPAN_COLUMNS,
            f"{OF_TRACES} AND span_id IN {{spans:Array(String)}}",
        ),
        {
            "project": project_id,
            "traces": list({row["trace_id"] for row in keys}),
            "spans": [row["span_id"] for row in keys],
        },
    )
    return {(row["trace_id"], row["span_id"]): schema.span_of(row) for row in rows}
