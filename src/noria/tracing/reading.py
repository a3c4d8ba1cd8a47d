"""How `traces` is read, newest first: by key, page by page, and window by window where a condition looks into all spans.

In: conditions (noria.tracing.conditions). Out: rows as dictionaries. Whoever shapes them is elsewhere.
"""

from collections.abc import Mapping
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
_FIRST: Final = 86_400_000_000_000
_FAR: Final = 16
"""The first window, and how much longer the next one is after one in which nothing was."""


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
    if not which.wide:
        return _read(stores, plain, values, limit)
    found = _ends(stores, plain, values)
    if found is None:
        return []
    first, last = found
    wanted = [*plain, "listed_ns >= {from_ns:Int64} AND listed_ns < {to_ns:Int64}", *which.wide]
    rows: list[dict[str, Any]] = []
    end, back = last + 1, _FIRST
    while end > first and len(rows) < limit:
        start = end - back
        found_now = _read(stores, wanted, {**values, "from_ns": start, "to_ns": end}, limit - len(rows))
        rows += found_now
        # As far as the rest should take when traces like these go on as often, twice over; far when there was none.
        back *= min(max(2 * (limit - len(rows)) // len(found_now), 2), _FAR) if found_now else _FAR
        end = start
    return rows


def count(stores: Stores, project_id: str, which: Where, most: int) -> int:
    """How many traces these are, counted up to `most`: newest first where a condition looks into all spans. Raises Unavailable."""
    plain, values = ["project_id = {project:String}", *which.plain], {**which.values, "project": project_id}
    if not which.wide:
        return _count(stores, plain, values, most)
    found = _ends(stores, plain, values)
    if found is None:
        return 0
    first, last = found
    wanted = [*plain, "listed_ns >= {from_ns:Int64} AND listed_ns < {to_ns:Int64}", *which.wide]
    counted, end, back = 0, last + 1, _FIRST
    while end > first and counted < most:
        start = end - back
        counted += _count(stores, wanted, {**values, "from_ns": start, "to_ns": end}, most - counted)
        end, back = start, back * 2
    return counted


def _count(stores: Stores, wanted: list[str], values: Mapping[str, Any], most: int) -> int:
    some = f"SELECT 1 FROM traces FINAL WHERE {' AND '.join(wanted)} LIMIT {{most:UInt32}}"  # noqa: S608 - no value is in it
    sql = f"SELECT count() AS number FROM ({some})"  # noqa: S608
    return int(ask(stores, sql, {**values, "most": most})[0]["number"])


def _ends(stores: Stores, wanted: list[str], values: Mapping[str, Any]) -> tuple[int, int] | None:
    """Starts of the first and the last trace of these; None when there is none."""
    one = f"(SELECT listed_ns FROM traces WHERE {' AND '.join(wanted)} ORDER BY listed_ns"  # noqa: S608 - no value is in it
    found = ask(stores, f"{one} LIMIT 1) UNION ALL {one} DESC LIMIT 1)", values)
    starts = [row["listed_ns"] for row in found]
    return (min(starts), max(starts)) if starts else None


def _read(stores: Stores, wanted: list[str], values: Mapping[str, Any], limit: int) -> list[dict[str, Any]]:
    rest = (
        f"FROM traces FINAL WHERE {' AND '.join(wanted)} ORDER BY listed_ns DESC, trace_id DESC LIMIT {{limit:UInt32}}"
    )
    return ask(stores, schema.select(LISTED, rest), {**values, "limit": limit})
