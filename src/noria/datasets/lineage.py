"""What datasets knows of lineage: files and traces became rows, rows stand in versions, versions came from versions.

Nothing is recorded for this: parents and files stand in the versions' own rows, the row id of a trace is a formula, and which
versions hold a row is answered by reading their columns of ids (some milliseconds for 100,000 rows).
"""

from collections.abc import Iterator

from noria.core.slices import Edge
from noria.datasets import service
from noria.datasets.records import DatasetVersion, Example, span_row_id, trace_row_id
from noria.stores.connect import Stores


def edges(stores: Stores, project_id: str, kind: str, id: str) -> list[Edge]:
    """The edges at the node (kind, id): dataset_version, row, trace or file; empty for others."""
    if kind == "dataset_version":
        return list(_of_version(service.all_versions(stores, project_id), id))
    if kind == "file":
        return [
            edge
            for version in service.all_versions(stores, project_id)
            for edge in _files(version)
            if edge.source_id == id
        ]
    if kind == "trace":
        rows = [trace_row_id(id), *_span_rows(service.all_versions(stores, project_id), id)]
        return [edge for row_id in rows for edge in _of_row(stores, project_id, row_id) if edge.source_kind == "trace"]
    if kind == "row":
        return list(_of_row(stores, project_id, id))
    return []


def _of_version(versions: list[DatasetVersion], version_id: str) -> Iterator[Edge]:
    by_id = {version.id: version for version in versions}
    for version in versions:
        for source_id in dict.fromkeys([version.parent_id, *version.report.get("merged", [])]):
            source = by_id.get(source_id or "")
            if source is not None and version_id in (source.id, version.id):
                yield Edge(
                    "dataset_version",
                    source.id,
                    "dataset_version",
                    version.id,
                    version.operation,
                    source.name,
                    version.name,
                )
    if mine := by_id.get(version_id):
        yield from _files(mine)


def _files(version: DatasetVersion) -> Iterator[Edge]:
    for entry in version.report.get("files", []):
        yield Edge("file", entry["digest"], "dataset_version", version.id, "import", entry["name"], version.name)


def _span_rows(versions: list[DatasetVersion], trace_id: str) -> Iterator[str]:
    """Rows that spans inside this trace became, as the reports of the versions that took them in tell."""
    taken = {tuple(pair) for version in versions for pair in version.report.get("spans", []) if pair[0] == trace_id}
    yield from (span_row_id(*pair) for pair in sorted(taken))


def _of_row(stores: Stores, project_id: str, row_id: str) -> Iterator[Edge]:
    row: Example | None = None
    for version in service.all_versions(stores, project_id):
        position = service.find_row(stores, version, row_id)
        if position is None:
            continue
        row = row or service.row_at(stores, version, position)
        yield Edge("row", row_id, "dataset_version", version.id, f"in {row.split}", title(row), version.name)
    if row is None:
        return
    if trace_id := row.source.get("trace_id"):
        yield Edge("trace", trace_id, "row", row_id, str(row.source.get("via", "feedback")), trace_id[:8], title(row))
        for score_id in row.source.get("score_ids", []):
            yield Edge("score", score_id, "row", row_id, "feedback", "", title(row))
    if digest := row.source.get("file"):
        where = f"{row.source.get('name', 'file')}, line {row.source.get('line')}"
        yield Edge("file", digest, "row", row_id, "import", where, title(row))


def title(row: Example) -> str:
    """A row in a few words: where it stands in what it came from. No text of it, which may be personal."""
    if line := row.source.get("line"):
        return f"{row.source.get('name', 'file')}, line {line}"
    return f"row {row.row_id[:8]}"
