"""Erasing a person from dataset versions: rows that came from their traces.

In: a subject. A version is immutable for everybody else: here its parts are written anew without the rows, it keeps its number and id, so
that lineage still leads to it, and its report says how many rows were erased. Files that no version needs any more are deleted. A model
that learned from the rows is not changed; its lineage names the version.
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from sqlalchemy import select, update

from noria.core.slices import Eraser, Progress, Subject
from noria.datasets import service, tables
from noria.datasets.records import DatasetVersion, trace_row_id
from noria.governance import audit
from noria.stores.connect import Stores
from noria.tracing import erasure as traces

ROWS: Final = "dataset rows"
_ERASED: Final = "erased_rows"


def row_ids(stores: Stores, subject: Subject) -> frozenset[str]:
    """The ids of all rows that the subject's traces, or spans of them, became."""
    from noria.datasets import parquet

    theirs = frozenset(traces.trace_ids(stores, subject))
    found = set(map(trace_row_id, theirs))
    for version in service.all_versions(stores, subject.project_id) if theirs else ():
        found |= parquet.of_traces(service.part_paths(stores, version), theirs)
    return frozenset(found)


def erased_from(stores: Stores, project_id: str) -> dict[str, set[str]]:
    """The versions that rows were erased from, by id, and the ids of the rows that they still have."""
    from noria.datasets import parquet

    return {
        version.id: parquet.ids(service.part_paths(stores, version))
        for version in service.all_versions(stores, project_id)
        if version.report.get(_ERASED)
    }


def find(stores: Stores, subject: Subject) -> dict[str, int]:
    """How many rows of how many versions are the subject's."""
    theirs = row_ids(stores, subject)
    if not theirs:
        return {ROWS: 0}
    return {ROWS: sum(_count(stores, version, theirs) for version in service.all_versions(stores, subject.project_id))}


def erase(stores: Stores, subject: Subject, progress: Progress) -> dict[str, int]:
    """Write the versions that hold them anew."""
    theirs = row_ids(stores, subject)
    versions = service.all_versions(stores, subject.project_id) if theirs else []
    affected = {version.id: found for version in versions if (found := _count(stores, version, theirs))}
    # A list of changes names rows by their places, here and in the parent; a wrong place would show another row's words. So it goes
    # first: a run that is killed in between leaves no list that is wrong.
    for version in versions:
        if version.report.get("changes") and affected.keys() & {version.id, version.parent_id}:
            kept = {name: value for name, value in version.report.items() if name != "changes"}
            gone = [version.report["changes"]]
            _write(stores, version, {"report": kept}, rows=0, unneeded=gone, erasure_id=subject.erasure_id)
    for version in service.all_versions(stores, subject.project_id):
        if version.id in affected:
            progress(f"writing {version.name} anew")
            _rewrite(stores, version, theirs, affected[version.id], subject.erasure_id)
    _delete_unneeded(stores, subject.project_id)
    return {ROWS: sum(affected.values())}


def _count(stores: Stores, version: DatasetVersion, theirs: frozenset[str]) -> int:
    from noria.datasets import parquet

    return parquet.count(service.part_paths(stores, version), theirs)


def _rewrite(stores: Stores, version: DatasetVersion, theirs: frozenset[str], found: int, erasure_id: str) -> None:
    from noria.datasets import parquet

    stores.settings.folder.work.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="erase-", dir=stores.settings.folder.work) as folder:
        kept = (example for example in service.read_examples(stores, version) if example.row_id not in theirs)
        parts = parquet.write_parts(Path(folder), kept)
        digests = [stores.files.put(path) for path in parts.paths]
    values: dict[str, Any] = {"rows": parts.rows, "splits": parts.splits, "parts": digests, "digest": parts.digest}
    values["report"] = {**version.report, _ERASED: version.report.get(_ERASED, 0) + found}
    _write(stores, version, values, rows=found, unneeded=version.parts, erasure_id=erasure_id)


def _write(
    stores: Stores, version: DatasetVersion, values: dict[str, Any], *, rows: int, unneeded: list[str], erasure_id: str
) -> None:
    with stores.database.begin() as connection:
        connection.execute(update(tables.versions).where(tables.versions.c.id == version.id).values(values))
        audit.record(
            connection,
            project_id=version.project_id,
            actor_id="",
            verb="dataset.erase",
            target_kind="dataset_version",
            target_id=version.id,
            details={"rows": rows, "erasure_id": erasure_id, "unneeded": unneeded},
        )


def _delete_unneeded(stores: Stores, project_id: str) -> None:
    """Delete what rewritten versions once were made of; also after a kill between the rewriting and this."""
    needed = set(_needed(stores))
    with stores.database.read() as connection:
        page = audit.entries(connection, project_id, verb="dataset.erase", limit=1000)
    for entry in page.items:
        for digest in entry.details.get("unneeded", ()):
            if digest not in needed:
                stores.files.delete(digest)


def _needed(stores: Stores) -> Iterator[str]:
    """The digests that versions of any project name: files are shared by what is in them."""
    table = tables.versions
    with stores.database.read() as connection:
        rows = connection.execute(select(table.c.parts, table.c.report)).all()
    for parts, report in rows:
        yield from parts
        yield from (value for name in ("changes", "refused_file") if (value := report.get(name)))
        yield from (entry["digest"] for entry in report.get("files", ()))


ERASER: Final = Eraser(find=find, erase=erase)
