"""Keeps out of the store what belongs to somebody who has been erased, however late it comes.

In: journal batches. Out: their records without those of erased subjects that began before the erasure was asked for, and without
anything of a trace that was erased. What the person does later is kept: whether they may be observed again is not decided here.
"""

from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import func, select

from noria.governance import erasure
from noria.governance.tables import erasures
from noria.stores.connect import Stores
from noria.stores.shipping import Batch
from noria.tracing import erasure as traces

_KNOWN: Final = (
    "SELECT DISTINCT project_id, trace_id FROM erased WHERE project_id IN {projects:Array(String)}"
    " AND trace_id IN {traces:Array(String)}"
)
_HELD: Final = (
    "SELECT 1 FROM TABLE WHERE project_id IN {projects:Array(String)} AND trace_id IN {traces:Array(String)} LIMIT 1"
)


class Erased:
    """What the tailer asks; one for it."""

    def __init__(self, stores: Stores) -> None:
        self._stores = stores
        self._seen: tuple[str, int, int] = ("", 0, 0)
        self._wanted: dict[tuple[str, str], erasure.Wanted] = {}
        self._projects: set[str] = set()
        self._key = b""

    def kept(self, batch: Batch) -> list[dict[str, Any]]:
        """The records of the batch that may be stored. Raises Unavailable."""
        self._look()
        return self._without(batch) if self._wanted else batch.records

    def again(self, batch: Batch) -> None:
        """Once the batch is stored: hide what somebody asked to erase while it was on its way."""
        if self._look():
            self._without(batch)

    def _look(self) -> bool:
        """Read the erasures if there are new ones; whether there were."""
        with self._stores.database.read() as connection:
            query = select(func.max(erasures.c.id), func.count(), func.max(erasures.c.before_ns))
            row = connection.execute(query).one()
            now = (row[0] or "", row[1], row[2] or 0)
            if now == self._seen:
                return False
            wanted = erasure.wanted(connection)
        self._key = erasure.key(self._stores)
        self._wanted = {}
        for one in wanted:
            place = (one.project_id, one.digest)
            if place not in self._wanted or self._wanted[place].before_ns < one.before_ns:
                self._wanted[place] = one
        self._projects = {one.project_id for one in wanted}
        self._seen = now
        return True

    def _without(self, batch: Batch) -> list[dict[str, Any]]:
        here = [record for record in batch.records if record.get("project_id") in self._projects]
        if not here:
            return batch.records
        traces.prepare(self._stores)
        gone = self._known(here)
        fresh: dict[str, set[tuple[str, str]]] = {}
        for record in here:
            if (one := self._erasure_of(record)) is not None and _place(record) not in gone:
                fresh.setdefault(one.id, set()).add(_place(record))
        for erasure_id, places in fresh.items():
            self._write_down(erasure_id, places, batch)
        gone |= {place for places in fresh.values() for place in places}
        return [record for record in batch.records if _place(record) not in gone]

    def _known(self, records: list[dict[str, Any]]) -> set[tuple[str, str]]:
        asked = sorted({str(record.get("trace_id") or "") for record in records} - {""})
        if not asked:
            return set()
        rows = self._stores.spans.query(_KNOWN, {"projects": sorted(self._projects), "traces": asked})
        return {(row["project_id"], row["trace_id"]) for row in rows}

    def _erasure_of(self, record: Mapping[str, Any]) -> erasure.Wanted | None:
        subject, start = record.get("subject_id"), record.get("start_ns")
        if not (isinstance(subject, str) and subject and isinstance(start, int)):
            return None
        project = str(record["project_id"])
        one = self._wanted.get((project, erasure.digest_of(self._key, project, subject)))
        return one if one is not None and start < one.before_ns else None

    def _write_down(self, erasure_id: str, places: set[tuple[str, str]], batch: Batch) -> None:
        """And hide what of these traces came earlier, before anybody could know whose it was."""
        for project in sorted({place[0] for place in places}):
            ids = sorted(trace_id for of, trace_id in places if of == project)
            token = f"erased/{erasure_id}/{batch.token}"
            traces.write_down(self._stores, project, erasure_id, ids, token=token)
            asked = {"projects": [project], "traces": ids}
            held = [table for table in traces.TABLES if self._stores.spans.query(_HELD.replace("TABLE", table), asked)]
            if held:
                traces.delete_traces(self._stores, project, erasure_id)
            traces.delete_media(self._stores, project, erasure_id, ids)
            for table in held:
                self._stores.spans.command(f"ALTER TABLE {table} APPLY DELETED MASK SETTINGS mutations_sync = 0")


def _place(record: Mapping[str, Any]) -> tuple[str, str]:
    return str(record.get("project_id")), str(record.get("trace_id"))
