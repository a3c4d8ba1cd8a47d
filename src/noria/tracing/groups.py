"""Who asked, and in which conversations: traces of a time grouped by user or by session, the latest first."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final, Literal

from noria.core.records import Span
from noria.stores.connect import Stores
from noria.tracing import schema, service
from noria.tracing.reading import OF_TRACES, ask, moment
from noria.tracing.records import Group, TraceFilter
from noria.web.paging import Page, cut, decode

By = Literal["user", "session"]
_COLUMN: Final[dict[By, str]] = {"user": "subject_id", "session": "session_id"}
_GROUPED: Final = """
SELECT COLUMN AS id, count() AS traces, uniqExact(session_id) AS sessions, uniqExact(subject_id) AS users,
    countIf(status = 'error') AS errors, sum(input_tokens + output_tokens) AS tokens, sum(cost_micros) AS cost,
    min(listed_ns) AS first, max(listed_ns) AS last
FROM traces FINAL WHERE CONDITIONS GROUP BY id HAVING AFTER ORDER BY last DESC, id DESC LIMIT {limit:UInt32}
"""


def groups(
    stores: Stores,
    project_id: str,
    by: By,
    *,
    since: datetime,
    q: str = "",
    limit: int = 50,
    cursor: str | None = None,
) -> Page[Group]:
    """Users or sessions with live traces since a moment. Raises BadFilter, Unavailable."""
    asked = service.conditions_of(TraceFilter(q=q, live=True, since=since))
    values = {**asked.values, "project": project_id, "limit": limit + 1, "from_ns": -(2**62), "to_ns": 2**62}
    after = decode(cursor, int, str)
    if after is not None:
        values |= {"after_last": after[0], "after_id": after[1]}
    conditions = ["project_id = {project:String}", f"{_COLUMN[by]} != ''", *asked.conditions]
    sql = _GROUPED.replace("COLUMN", _COLUMN[by]).replace("CONDITIONS", " AND ".join(conditions))
    sql = sql.replace("AFTER", "(last, id) < ({after_last:Int64}, {after_id:String})" if after else "1")
    page = cut(ask(stores, sql, values), limit, lambda row: (row["last"], row["id"]))
    return Page([_group(row) for row in page.items], page.next)


def conversation(
    stores: Stores, project_id: str, session_id: str, *, limit: int = 30, cursor: str | None = None
) -> Page[Span]:
    """One span of each trace of a session with what was said, oldest first: the root, or the last call below one that says nothing."""
    after = decode(cursor, int, str) or [-(2**62), ""]
    roots = ask(
        stores,
        "SELECT listed_ns, trace_id, span_id, calls.span_id[-1] AS last FROM traces FINAL WHERE project_id = {project:String}"
        " AND session_id = {session:String} AND (listed_ns, trace_id) > ({start:Int64}, {trace:String})"
        " ORDER BY listed_ns, trace_id LIMIT {limit:UInt32}",
        {"project": project_id, "session": session_id, "start": after[0], "trace": after[1], "limit": limit + 1},
    )
    page = cut(roots, limit, lambda row: (row["listed_ns"], row["trace_id"]))
    found = ask(
        stores,
        schema.select(
            schema.SPAN_COLUMNS,
            f"{OF_TRACES} AND span_id IN {{spans:Array(String)}}",
        ),
        {
            "project": project_id,
            "traces": [row["trace_id"] for row in page.items],
            "spans": [row[name] for row in page.items for name in ("span_id", "last") if row[name]],
        },
    )
    spans = {(row["trace_id"], row["span_id"]): schema.span_of(row) for row in found}
    heads = (_head(spans.get((row["trace_id"], row[name])) for name in ("span_id", "last")) for row in page.items)
    return Page([head for head in heads if head is not None], page.next)


def _head(spans: Iterable[Span | None]) -> Span | None:
    """The first that has messages; a run may leave them to the calls below it."""
    there = [span for span in spans if span is not None]
    return next((span for span in there if span.input_messages or span.output_messages), there[0] if there else None)


def _group(row: dict[str, Any]) -> Group:
    plain = {name: row[name] for name in ("id", "traces", "sessions", "users", "errors", "tokens")}
    return Group(**plain, cost_micros=row["cost"], first=moment(row["first"]), last=moment(row["last"]))
