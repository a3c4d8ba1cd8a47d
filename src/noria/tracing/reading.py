"""How `traces` is read, newest first: page by page, and window by window, so that only the parts of a few weeks are opened.

In: conditions (noria.tracing.conditions). Out: rows as dictionaries. Whoever shapes them is elsewhere.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from noria.stores.connect import Stores
from noria.stores.spans import NoTable
from noria.tracing import migrations, schema
from noria.tracing.conditions import Where
from noria.web.paging import decode

LISTED: Final = (
    *schema.LISTED_COLUMNS,
    *("preview_input", "preview_output", "length(calls.span_id) AS model_calls"),
    *(
        f"arrayFirst(x -> notEmpty(x), calls.{name}) AS {name}"
        for name in ("endpoint", "arm", "provider", "prompt_name")
    ),
    *(f"arrayFirst(x -> x > 0, calls.{name}) AS {name}" for name in ("release", "requested_release", "prompt_version")),
    "arrayDistinct(arrayFilter(x -> notEmpty(x), calls.served_model)) AS models",
    "arrayFirst(x -> notEmpty(x), calls.requested_model) AS requested_model",
)
"""What a list shows: of what is told of each model call, the first that says something."""
ROWS_OF_TRACES: Final = "FROM spans WHERE project_id = {project:String} AND trace_id IN {traces:Array(String)}"
"""All rows of the spans of some traces; a span may have several for a while."""
_ENDS: Final = f"(SELECT (min(start_ns), max(start_ns)) {ROWS_OF_TRACES})"
OF_TRACES: Final = f"{ROWS_OF_TRACES.replace('spans', 'spans FINAL')} AND start_ns BETWEEN {_ENDS}.1 AND {_ENDS}.2"
"""The spans of some traces. Their times are looked up first (once), so that the many columns of other weeks' parts stay shut."""
_FIRST: Final = 20_000
_FAR: Final = 16
"""Traces that the first window holds on average, and how much longer the next one is after one in which nothing was."""
_AT_ONCE: Final = " SETTINGS optimize_read_in_order = 0"
"""Narrow columns of a window are read faster whole and sorted than in order, which opens its parts one after the other."""


def ask(stores: Stores, sql: str, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Rows; a store that is new gets its tables first."""
    try:
        return stores.spans.query(sql, parameters)
    except NoTable:
        migrations.prepare(stores.spans)
        return stores.spans.query(sql, parameters)


def moment(nanoseconds: int) -> datetime:
    """To the microsecond, without passing through a float."""
    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    return datetime.fromtimestamp(seconds, UTC) + timedelta(microseconds=rest // 1000)


def nanoseconds(time: datetime) -> int:
    """The inverse of `moment`. A time without a zone is UTC."""
    aware = time if time.tzinfo else time.replace(tzinfo=UTC)
    return ((aware - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)) * 1000


def newest(
    stores: Stores, project_id: str, which: Where, *, limit: int, cursor: str | None = None
) -> list[dict[str, Any]]:
    """Up to `limit` rows of LISTED, newest first, after `cursor` (listed_ns, trace_id). Raises BadInput, Unavailable."""
    plain = ["project_id = {project:String}", *which.plain]
    values = {**which.values, "project": project_id}
    after = decode(cursor, int, str)
    if after is not None:
        plain.append("listed_ns <= {after_start:Int64}")
        plain.append("(listed_ns, trace_id) < ({after_start:Int64}, {after_trace:String})")
        values |= {"after_start": after[0], "after_trace": after[1]}
    there = _known(stores, values)
    found = _ends(stores, plain, values) if which.wide and _few(which) else there.ends
    if found is None:
        return []
    first, last = found
    wanted = [*plain, "listed_ns >= {from_ns:Int64} AND listed_ns < {to_ns:Int64}", *which.wide]
    rows: list[dict[str, Any]] = []
    end, back = (min(last, after[0]) if after else last) + 1, there.window
    how = _AT_ONCE
    if which.wide:
        back, how = back // 2 + 1, ""
    while end > first and len(rows) < limit:
        start = max(end - back, first)
        found_now = _read(stores, wanted, {**values, "from_ns": start, "to_ns": end}, limit - len(rows), how)
        rows += found_now
        # As far as the rest should take when traces like these go on as often, twice over; far when there was none.
        back *= min(max(2 * (limit - len(rows)) // len(found_now), 2), _FAR) if found_now else _FAR
        end = start
    return rows


@dataclass(frozen=True, slots=True)
class _Known:
    """Where a project's first and last trace stand, and the time in which _FIRST of them come on average."""

    ends: tuple[int, int] | None
    window: int


def _known(stores: Stores, values: Mapping[str, Any]) -> _Known:
    """Told by the parts' own notes: no row is read."""
    ends = "SELECT count() AS n, min(listed_ns) AS first, max(listed_ns) AS last FROM traces"
    [row] = ask(stores, f"{ends} WHERE project_id = {{project:String}}", values)
    if not row["n"]:
        return _Known(None, 1)
    return _Known((row["first"], row["last"]), (row["last"] - row["first"]) * _FIRST // row["n"] + 1)


def count(stores: Stores, project_id: str, which: Where, most: int) -> int:
    """How many traces these are, counted up to `most`: newest first where a condition looks into all spans. Raises Unavailable."""
    plain, values = ["project_id = {project:String}", *which.plain], {**which.values, "project": project_id}
    if not which.wide:
        return _count(stores, plain, values, most)
    there = _known(stores, values)
    found = _ends(stores, plain, values) if _few(which) else there.ends
    if found is None:
        return 0
    first, last = found
    wanted = [*plain, "listed_ns >= {from_ns:Int64} AND listed_ns < {to_ns:Int64}", *which.wide]
    counted, end, back = 0, last + 1, there.window
    while end > first and counted < most:
        start = max(end - back, first)
        counted += _count(stores, wanted, {**values, "from_ns": start, "to_ns": end}, most - counted)
        end, back = start, back * 2
    return counted


def _count(stores: Stores, wanted: list[str], values: Mapping[str, Any], most: int) -> int:
    some = f"SELECT 1 FROM traces FINAL WHERE {' AND '.join(wanted)} LIMIT {{most:UInt32}}"  # noqa: S608 - no value is in it
    sql = f"SELECT count() AS number FROM ({some})"  # noqa: S608
    return int(ask(stores, sql, {**values, "most": most})[0]["number"])


def _few(which: Where) -> bool:
    """Whether its plain conditions may let so few traces through that it is worth asking where the first and the last of them stand."""
    return bool(set(which.plain) - {"live", "NOT live"})


def _ends(stores: Stores, wanted: list[str], values: Mapping[str, Any]) -> tuple[int, int] | None:
    """Where the first and the last trace of these stand; None when there is none."""
    one = f"(SELECT listed_ns FROM traces WHERE {' AND '.join(wanted)} ORDER BY listed_ns"  # noqa: S608 - no value is in it
    found = ask(stores, f"{one} LIMIT 1) UNION ALL {one} DESC LIMIT 1)", values)
    starts = [row["listed_ns"] for row in found]
    return (min(starts), max(starts)) if starts else None


def _read(stores: Stores, wanted: list[str], values: Mapping[str, Any], limit: int, how: str) -> list[dict[str, Any]]:
    newest_first = "ORDER BY listed_ns DESC, trace_id DESC LIMIT {limit:UInt32}"
    rest = f"FROM traces FINAL WHERE {' AND '.join(wanted)} {newest_first}{how}"
    return ask(stores, schema.select(LISTED, rest), {**values, "limit": limit})
