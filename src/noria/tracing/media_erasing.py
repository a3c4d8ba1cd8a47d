"""Removing media files that belong to traces that go and to nothing that stays.

In: the traces, as a list and as SQL that selects their ids. A file belongs to a trace that it was announced for, and to one whose texts refer
to it; it stays while anything else was announced for it or refers to it. The order to know: references are written down beside the
announcements before the traces are hidden, since nobody can read them afterwards; so a run that was killed goes on.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from sqlalchemy import delete, insert, select, update

from noria.governance import audit
from noria.stores.connect import Stores
from noria.stores.lock import Gate
from noria.tracing.tables import media, media_uses

Item = TypeVar("Item")

_TEXTS: Final[Mapping[str, Sequence[str]]] = {
    "spans": ("input_messages", "output_messages", "attributes"),
    "contents": ("input_messages", "output_messages"),
}
"""Where references stand."""
_REFERENCE: Final = "@@@langfuseMedia:type=[^@|]{1,100}[|]id=([A-Za-z0-9_-]{22})[|]"
_MARK: Final = "@@@langfuseMedia:"
_AT_ONCE: Final = 100
ERASE: Final = "media.erase"


@dataclass(frozen=True, slots=True)
class Going:
    """Traces that are erased or have gone by age, or would be."""

    project_id: str
    ids: frozenset[str]
    which: str
    """SQL that selects the same ids."""
    values: Mapping[str, Any]
    """What the SQL asks for; `project` among it."""
    verb: str = ERASE
    """For the audit, and its target: a kind and an id."""
    target: tuple[str, str] = ("erasure", "")


def has_any(stores: Stores, project_id: str) -> bool:
    """Whether the project has a media file at all; most have none, and then nothing need be read."""
    with stores.database.read() as connection:
        return (
            connection.execute(select(media.c.id).where(media.c.project_id == project_id).limit(1)).first() is not None
        )


def find(stores: Stores, going: Going) -> frozenset[str]:
    """Ids of the media files that would go with the traces. Raises Unavailable."""
    if not has_any(stores, going.project_id):
        return frozenset()
    theirs = {*_announced(stores, going), *(one for _, one in _referred(stores, going))}
    there = set(_there(stores, going.project_id, theirs - _used_elsewhere(stores, theirs, going)))
    return frozenset(there - _referred_elsewhere(stores, going) if there else there)


def note(stores: Stores, going: Going) -> None:
    """Write down what the traces' texts refer to, before they are hidden. Raises Unavailable."""
    project_id = going.project_id
    if not has_any(stores, project_id):
        return
    found = _referred(stores, going)
    there = set(_there(stores, project_id, {one for _, one in found}))
    rows = [{"project_id": project_id, "media_id": one, "trace_id": trace} for trace, one in found if one in there]
    for some in _pieces(rows):
        with Gate(stores.settings.folder.media_gate), stores.database.begin() as connection:
            columns = (media_uses.c.trace_id, media_uses.c.media_id)
            here = media_uses.c.media_id.in_({row["media_id"] for row in some})
            known = {tuple(row) for row in connection.execute(select(*columns).where(here, _of(project_id)))}
            fresh = [row for row in some if (row["trace_id"], row["media_id"]) not in known]
            if fresh:
                connection.execute(insert(media_uses), fresh)


def remove(stores: Stores, going: Going) -> None:
    """Remove their files, bytes first; a file that something else needs only forgets these traces. Raises Unavailable."""
    if not going.ids or not has_any(stores, going.project_id):
        return
    for some in _pieces(sorted(find(stores, going))):
        _take_away(stores, going, some)
    for names in _pieces(list(going.ids)):
        with stores.database.begin() as connection:
            connection.execute(delete(media_uses).where(_of(going.project_id), media_uses.c.trace_id.in_(names)))


def removed(stores: Stores, project_id: str, erasure_id: str) -> int:
    """How many files this erasure has removed."""
    with stores.database.read() as connection:
        found = audit.entries(
            connection, project_id, verb=ERASE, target_kind="erasure", target_id=erasure_id, limit=1000
        )
    return sum(int(entry.details["files"]) for entry in found.items)


def _take_away(stores: Stores, going: Going, ids: Sequence[str]) -> None:
    """A file that is marked as not here yet is invisible, and whoever announces it again puts it again."""
    project_id = going.project_id
    with Gate(stores.settings.folder.media_gate):
        used = _used_elsewhere(stores, ids, going)
        free = [one for one in ids if one not in used]
        here = (media.c.project_id == project_id) & media.c.id.in_(free)
        with stores.database.begin() as connection:
            digests = set(connection.execute(select(media.c.digest).where(here)).scalars())
            connection.execute(update(media).where(here).values(uploaded_at=None))
            shared = media.c.digest.in_(digests) & media.c.uploaded_at.is_not(None)
            needed = set(connection.execute(select(media.c.digest).where(shared)).scalars())
        for digest in digests - needed:
            stores.media.delete(digest)
        with stores.database.begin() as connection:
            connection.execute(delete(media_uses).where(_of(project_id), media_uses.c.media_id.in_(free)))
            gone = connection.execute(delete(media).where(here)).rowcount
            if gone:
                verb, (kind, target) = going.verb, going.target
                about = {"project_id": project_id, "target_kind": kind, "target_id": target}
                audit.record(connection, actor_id="", verb=verb, details={"files": gone}, **about)


def _announced(stores: Stores, going: Going) -> Iterator[str]:
    for some in _pieces(list(going.ids)):
        with stores.database.read() as connection:
            query = select(media_uses.c.media_id).where(_of(going.project_id), media_uses.c.trace_id.in_(some))
            yield from connection.execute(query).scalars()


def _used_elsewhere(stores: Stores, ids: Collection[str], going: Going) -> set[str]:
    """Those that were announced for something else too."""
    found: set[str] = set()
    for some in _pieces(sorted(ids)):
        with stores.database.read() as connection:
            query = select(media_uses.c.media_id, media_uses.c.trace_id)
            rows = connection.execute(query.where(_of(going.project_id), media_uses.c.media_id.in_(some)))
            found |= {row.media_id for row in rows if row.trace_id not in going.ids}
    return found


def _there(stores: Stores, project_id: str, ids: Collection[str]) -> Iterator[str]:
    for some in _pieces(sorted(ids)):
        with stores.database.read() as connection:
            query = select(media.c.id).where(media.c.project_id == project_id, media.c.id.in_(some))
            yield from connection.execute(query).scalars()


def _referred(stores: Stores, going: Going) -> set[tuple[str, str]]:
    """(trace, media id) of what their texts refer to."""
    rows = _asked(stores, going, "trace_id, ", f"trace_id IN ({going.which})")
    return {(row["trace_id"], row["media_id"]) for row in rows}


def _referred_elsewhere(stores: Stores, going: Going) -> set[str]:
    """All that the project's other traces refer to. Reads their texts: seconds for a million spans."""
    return {row["media_id"] for row in _asked(stores, going, "", f"trace_id NOT IN ({going.which})")}


def _asked(stores: Stores, going: Going, columns: str, condition: str) -> Iterator[dict[str, Any]]:
    for table, texts in _TEXTS.items():
        named = " OR ".join(f"position({text}, {{mark:String}}) > 0" for text in texts)
        found = f"arrayJoin(extractAll(concat({', '.join(texts)}), {{reference:String}})) AS media_id"
        where = f"project_id = {{project:String}} AND {condition} AND ({named})"
        bound = {**going.values, "mark": _MARK, "reference": _REFERENCE}
        yield from stores.spans.query(f"SELECT DISTINCT {columns}{found} FROM {table} WHERE {where}", bound)  # noqa: S608


def _of(project_id: str) -> Any:
    return media_uses.c.project_id == project_id


def _pieces(items: Sequence[Item]) -> Iterator[Sequence[Item]]:
    for start in range(0, len(items), _AT_ONCE):
        yield items[start : start + _AT_ONCE]
