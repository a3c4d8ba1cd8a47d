"""Removing media files whose traces have all gone by age.

In: the moments before which spans may go (noria.tracing.retention). A file that was announced for something that is still there, or to
which a trace that is still there refers, stays; so does one that was announced for no trace.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import select

from noria.stores.connect import Stores
from noria.tracing import media_erasing
from noria.tracing.retention import Kept
from noria.tracing.tables import media, media_uses

_WEEK: Final = timedelta(days=7)
_AT_ONCE: Final = 500
_NONE: Final = "SELECT '' WHERE 0"


def drop_old(stores: Stores, what: Kept) -> None:
    """Remove them. Raises Unavailable."""
    with stores.database.read() as connection:
        known = list(connection.execute(select(media.c.project_id).distinct()).scalars())
    for project_id in known:
        before = what.own.get(project_id, what.before) - _WEEK  # spans go by the week
        gone = frozenset(_gone(stores, project_id, before))
        target = ("project", project_id)
        going = media_erasing.Going(project_id, gone, _NONE, {"project": project_id}, verb="media.drop", target=target)
        media_erasing.remove(stores, going)


def _gone(stores: Stores, project_id: str, before: datetime) -> Iterator[str]:
    """Traces that old files were announced for, and of which there is no span (any more)."""
    joined = media_uses.join(
        media, (media.c.project_id == media_uses.c.project_id) & (media.c.id == media_uses.c.media_id)
    )
    old = (media.c.project_id == project_id) & (media.c.created_at < before) & (media_uses.c.trace_id != "")
    with stores.database.read() as connection:
        query = select(media_uses.c.trace_id).select_from(joined).where(old).distinct()
        named = list(connection.execute(query).scalars())
    asked = (
        "SELECT DISTINCT trace_id FROM spans WHERE project_id = {project:String} AND trace_id IN {traces:Array(String)}"
    )
    for start in range(0, len(named), _AT_ONCE):
        some = named[start : start + _AT_ONCE]
        there = {row["trace_id"] for row in stores.spans.query(asked, {"project": project_id, "traces": some})}
        yield from (one for one in some if one not in there)
