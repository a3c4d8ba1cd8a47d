"""Which traces a page action means: those that were ticked, or all that a search finds, newest first, up to a limit."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final

from noria.core.errors import BadInput
from noria.stores.connect import Stores
from noria.tracing import reading, service
from noria.tracing.conditions import Where
from noria.tracing.records import TraceFilter
from noria.web.actions import Target
from noria.web.paging import cut

LIVE: Final[dict[str, bool | None]] = {"live": True, "evaluation": False, "all": None}
"""The kinds of traffic, as TraceFilter has them."""
_PIECE: Final = 500


def where(q: str, traffic: str = "all", until: str = "") -> Where:
    """The conditions of a search. Raises BadFilter, BadInput for an `until` that is no moment."""
    try:
        end = datetime.fromisoformat(until) if until else None
    except ValueError as error:
        raise BadInput("That is no moment.", hint="Like 2026-05-01T12:00:00+00:00.") from error
    return service.conditions_of(TraceFilter(q=q, live=LIVE.get(traffic), until=end))


def found(stores: Stores, project_id: str, which: Where, most: int) -> Iterator[str]:
    """Ids of the traces that a search finds, newest first, at most `most`. Raises Unavailable."""
    cursor, told = None, dict[str, None]()
    while True:
        limit = min(_PIECE, most - len(told))
        rows = reading.newest(stores, project_id, which, limit=limit + 1, cursor=cursor)
        page = cut(rows, limit, lambda row: (row["listed_ns"], row["trace_id"]))
        for row in page.items:
            if row["trace_id"] not in told and len(told) < most:
                told[row["trace_id"]] = None
                yield str(row["trace_id"])
        cursor = page.next
        if cursor is None or len(told) >= most:
            return


def traces(stores: Stores, project_id: str, target: Target, most: int) -> list[str]:
    """Ids of the traces that are meant, at most `most`. Raises BadFilter, BadInput, Unavailable."""
    if not target.every:
        return list(target.trace_ids[:most])
    return list(found(stores, project_id, where(target.q, target.traffic, target.until), most))


def counted(stores: Stores, project_id: str, target: Target, most: int) -> dict[str, Any]:
    """How many traces are meant, as the form of an action tells it (noria.web.actions.Form's count and more)."""
    known = traces(stores, project_id, target, most + 1)
    return {"count": min(len(known), most), "more": len(known) > most}
