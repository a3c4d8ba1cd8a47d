"""What a cleaning did, row by row: one Parquet file beside the version, which holds places and reasons but no text.

The rows themselves are read from the parent (before) and the version (after) by their positions: personal data that was masked
is not written a second time, and what is erased from a version is gone from its list of changes too.
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final, Literal

from noria.datasets import service
from noria.datasets.records import DatasetVersion, Example
from noria.stores.connect import Stores
from noria.web import paging

Action = Literal["removed", "changed", "conflict", "reported"]
REASONS: Final[dict[str, str]] = {
    "exact_duplicate": "says the same as an earlier row",
    "near_duplicate": "differs from an earlier row by a typo, case, spacing or punctuation only",
    "leakage": "also stands in a split that measures",
    "conflict": "has the input of another row, but another target",
    "too_long": "far longer than the others",
    "too_short": "far shorter than the others",
    "encoding": "broken encoding was repaired",
    "masked": "personal data was replaced by placeholders",
    "unreadable": "holds letters that were lost before the import",
}
_COLUMNS: Final[dict[str, str]] = {
    "row_id": "text",
    "split": "text",
    "action": "text",
    "reason": "text",
    "detail": "text",
    "other_row_id": "text",
    "before": "number",
    "after": "number",
    "other": "number",
}


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that happened to one row. Positions count from 0; -1 where there is none.

    `before` and `other` are positions in the parent, `after` in the version; `other` is the row that it was compared with.
    """

    row_id: str
    split: str
    action: Action
    reason: str
    detail: str
    other_row_id: str
    before: int
    after: int
    other: int


@dataclass(frozen=True, slots=True)
class ChangedRow:
    """A change with the rows it speaks of."""

    row_id: str
    split: str
    action: str
    reason: str
    detail: str
    other_row_id: str
    before: Example | None
    after: Example | None
    other: Example | None


def write(path: Path, found: Iterable[Change]) -> int:
    """Write the changes; returns how many there were."""
    from noria.datasets import parquet

    return parquet.write_records(path, (asdict(change) for change in found), _COLUMNS)


def browse(
    stores: Stores, version: DatasetVersion, *, reason: str | None = None, limit: int = 50, cursor: str | None = None
) -> paging.Page[ChangedRow]:
    """A page of changes in the order of rows; empty for a version that no cleaning made."""
    from noria.datasets import parquet

    digest, after = version.report.get("changes"), paging.decode(cursor, int)
    if not digest or version.parent_id is None:
        return paging.Page([])
    records = parquet.read_records(
        stores.files.path(digest),
        start=after[0] + 1 if after else 0,
        keep=lambda record: not reason or record["reason"] == reason,
    )
    page = paging.cut(list(islice(records, limit + 1)), limit, lambda entry: [entry[0]])
    parent = service.get_version(stores, version.project_id, version.parent_id)
    return paging.Page(_with_rows(stores, parent, version, [record for _, record in page.items]), page.next)


def _with_rows(
    stores: Stores, parent: DatasetVersion, version: DatasetVersion, records: list[dict[str, Any]]
) -> list[ChangedRow]:
    from noria.datasets import parquet

    wanted = [record[name] for record in records for name in ("before", "other") if record[name] >= 0]
    old = parquet.at(service.part_paths(stores, parent), wanted)
    new = parquet.at(service.part_paths(stores, version), [r["after"] for r in records if r["after"] >= 0])
    return [
        ChangedRow(
            **{name: record[name] for name, kind in _COLUMNS.items() if kind == "text"},
            before=old.get(record["before"]),
            after=new.get(record["after"]),
            other=old.get(record["other"]),
        )
        for record in records
    ]
