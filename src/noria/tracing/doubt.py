"""A batch that was tried before: what of it is in the store is looked up, because the store's list of tokens alone may be wrong.

When an insert fails for want of room between the list of tokens and the rows, ClickHouse remembers the token without having the rows, and
says of every later try that it is a repetition. Without this look, such a batch would be lost without a word.
"""

from collections.abc import Sequence
from typing import Any, Final

from noria.stores import ports

_KEYS: Final = {
    "spans": ("project_id", "trace_id", "span_id"),
    "contents": ("project_id", "trace_id", "span_id", "time_ns", "digest"),
    "scores": ("project_id", "trace_id", "score_id"),
}
"""What names a row of each table that is looked at."""
_AT_ONCE: Final = 1_000


def missing(
    spans: ports.Spans, table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]
) -> list[Sequence[Any]]:
    """Those of `rows` that `table` does not have. Raises Unavailable."""
    names = _KEYS[table]
    at = [columns.index(name) for name in names]
    wanted = {tuple(row[number] for number in at): row for row in rows}
    projects = sorted({row[0] for row in wanted})
    traces = sorted({row[1] for row in wanted})
    sql = (
        f"SELECT DISTINCT {', '.join(names)} FROM {table} WHERE project_id IN {{projects:Array(String)}}"  # noqa: S608
        " AND trace_id IN splitByChar(',', {traces:String})"  # our own names; values are bound
    )
    for start in range(0, len(traces), _AT_ONCE):
        values = {"projects": projects, "traces": ",".join(traces[start : start + _AT_ONCE])}
        for row in spans.query(sql, values):
            wanted.pop(tuple(row[name] for name in names), None)
    return list(wanted.values())
