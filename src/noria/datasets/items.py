"""Items one by one: added, changed, archived and deleted by clients that know no versions (design/0008).

An item waits in a table; whoever reads items sees the newest version with the waiting ones laid over it, so that what was written
is read at once. A job makes one version of all that waits as soon as nothing has come for a moment. A version stays what it was.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, delete, func, insert, select, update

from noria.core import clock
from noria.core.errors import BadInput, Conflict, NotFound
from noria.datasets import service, tables
from noria.datasets.item_shapes import Item, to_example, to_item
from noria.datasets.records import Dataset, DatasetVersion, Example
from noria.governance import audit
from noria.jobs import service as jobs
from noria.stores.connect import Stores

QUIET: Final = timedelta(seconds=3)
"""A version is made when for so long nothing has come…"""
LONGEST: Final = timedelta(seconds=60)
"""…or the first that waits has waited so long…"""
MOST: Final = 5_000
"""…or so many wait."""
_MOST_ID: Final = 120
_LOOKED_AT: Final = 500


@dataclass(frozen=True, slots=True)
class Known:
    """An item with what is kept beside it."""

    item: Item
    dataset: Dataset
    archived: bool
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class ItemPage:
    """Items in their order, and how many there are on all pages."""

    items: list[Known]
    total: int


def put(stores: Stores, *, dataset: Dataset, item: Item, archived: bool | None, actor_id: str) -> Known:
    """Add the item or change the one of its id; what is None stays as it was. Raises BadInput, Conflict."""
    if not 0 < len(item.id) <= _MOST_ID or not item.id.isprintable():
        raise BadInput(f"The id of an item has 1 to {_MOST_ID} characters that can be read.")
    before = _find(stores, dataset.project_id, item.id, dataset)
    if before is not None and before.dataset.id != dataset.id:
        raise Conflict(
            f"The item {item.id!r} is in the dataset {before.dataset.name!r}; nothing was changed.",
            hint="An id names one item of the project: leave it out, and one is made up.",
        )
    merged = item if before is None else _merged(before.item, item)
    is_archived = archived if archived is not None else bool(before and before.archived)
    example = to_example(merged)
    now = clock.now()
    created = before.created_at if before else now
    row: dict[str, Any] = {
        "id": item.id,
        "project_id": dataset.project_id,
        "dataset_id": dataset.id,
        "author_id": actor_id,
    }
    row |= {"status": "archived" if is_archived else "active", "example": _stored(example), "created_at": created}
    _write(stores, dataset, row, actor_id=actor_id, verb="dataset.item", now=now)
    return Known(merged, dataset, is_archived, created, now)


def remove(stores: Stores, *, project_id: str, item_id: str, actor_id: str) -> None:
    """Leave the item out of later versions; earlier ones keep it. Raises NotFound."""
    found = get(stores, project_id, item_id)
    row: dict[str, Any] = {
        "id": item_id,
        "project_id": project_id,
        "dataset_id": found.dataset.id,
        "author_id": actor_id,
    }
    row |= {"status": "deleted", "example": None, "created_at": found.created_at}
    _write(stores, found.dataset, row, actor_id=actor_id, verb="dataset.item_delete", now=clock.now())


def get(stores: Stores, project_id: str, item_id: str) -> Known:
    """Raises NotFound."""
    found = _find(stores, project_id, item_id, None)
    if found is None:
        raise NotFound("There is no such item.", hint="GET /api/public/dataset-items lists those of a dataset.")
    return found


def list_page(
    stores: Stores, dataset: Dataset, *, page: int, limit: int, at: datetime | None = None, trace_id: str = ""
) -> ItemPage:
    """Items that are not archived; `at`: as the version of that time has them. `trace_id`: only those that came of it."""
    version = version_at(stores, dataset, at)
    waiting = [] if at is not None else _waiting(stores, dataset)
    start = (page - 1) * limit
    if waiting or trace_id:
        laid = _laid_over(_rows(stores, version), waiting)
        fitting = [row for row in laid if not trace_id or row.source.get("trace_id") == trace_id]
        examples, total = fitting[start : start + limit], len(fitting)
    else:
        examples = list(service.read_examples(stores, version, offset=start, limit=limit)) if version else []
        total = version.rows if version else 0
    times = _times(stores, dataset, [example.row_id for example in examples])
    standing = version.created_at if version else dataset.created_at
    found = [
        Known(to_item(example), dataset, False, *times.get(example.row_id, (standing, standing)))
        for example in examples
    ]
    return ItemPage(found, total)


def version_at(stores: Stores, dataset: Dataset, at: datetime | None) -> DatasetVersion | None:
    """The version that was the newest then, or is now; None when there was none."""
    if dataset.latest == 0:
        return None
    known = service.versions(stores, dataset.project_id, dataset.name)
    return next((version for version in known if at is None or version.created_at <= at), None)


def count_waiting(connection: Connection, dataset_id: str) -> tuple[int, datetime | None, datetime | None]:
    """How many wait, since when, and when the last of them came."""
    table = tables.items
    times = func.count(), func.min(table.c.updated_at), func.max(table.c.updated_at)
    row = connection.execute(select(*times).where(table.c.dataset_id == dataset_id, table.c.waiting)).one()
    return row[0], row[1], row[2]


def waiting(stores: Stores, dataset: Dataset) -> int:
    """How many items wait for a version."""
    with stores.database.read() as connection:
        return count_waiting(connection, dataset.id)[0]


def seal(stores: Stores, *, project_id: str, dataset_id: str, actor_id: str, job_id: str) -> DatasetVersion | None:
    """Make one version of all that waits; None when nothing waits, or no row would be left.

    In one transaction the version is named and its items stop waiting; those that were changed meanwhile wait on.
    """
    dataset = _dataset(stores, project_id, dataset_id)
    waiting = _waiting(stores, dataset)
    version = version_at(stores, dataset, None)
    if not waiting or not _any_left(_rows(stores, version), waiting):
        return None
    changed = {state: sum(row["status"] == state for row in waiting) for state in ("active", "archived", "deleted")}

    def settle(connection: Connection) -> None:
        for row in waiting:
            table = tables.items
            here = (table.c.project_id == project_id) & (table.c.id == row["id"])
            same = here & (table.c.updated_at == row["updated_at"])
            if row["status"] == "deleted":
                connection.execute(delete(table).where(same))
            else:
                kept = {"waiting": False} if row["status"] == "archived" else {"waiting": False, "example": None}
                connection.execute(update(table).where(same).values(kept))

    return service.write_version(
        stores,
        project_id=project_id,
        dataset_id=dataset_id,
        examples=_laid_over(_rows(stores, version), waiting),
        parent_id=version.id if version else None,
        operation="items",
        report={"items": changed},
        actor_id=actor_id,
        job_id=job_id,
        together_with=settle,
    )


def end_sealing(stores: Stores, dataset_id: str, job_id: str) -> bool:
    """Let the next change start a job of its own, when nothing waits any more; else False."""
    table = tables.datasets
    here = (table.c.id == dataset_id) & (table.c.sealing_job == job_id)
    with stores.database.begin() as connection:
        connection.execute(
            select(table.c.id).where(table.c.id == dataset_id).with_for_update()
        )  # writers wait here, too
        if count_waiting(connection, dataset_id)[0]:
            return False
        connection.execute(update(table).where(here).values(sealing_job=""))
        return True


def _write(stores: Stores, dataset: Dataset, row: dict[str, Any], *, actor_id: str, verb: str, now: datetime) -> None:
    table = tables.items
    values = {**row, "waiting": True, "updated_at": now}
    here = (table.c.project_id == dataset.project_id) & (table.c.id == row["id"])
    with stores.database.begin() as connection:
        if connection.execute(update(table).where(here).values(values)).rowcount == 0:
            connection.execute(insert(table).values(values))
        audit.record(
            connection,
            project_id=dataset.project_id,
            actor_id=actor_id,
            verb=verb,
            target_kind="dataset",
            target_id=dataset.id,
            details={"item": row["id"], "status": row["status"]},
        )
        _ensure_job(stores, connection, dataset, actor_id)


def _ensure_job(stores: Stores, connection: Connection, dataset: Dataset, actor_id: str) -> None:
    """Start the job that will make a version, unless one is there that has not ended."""
    table = tables.datasets
    here = table.c.id == dataset.id
    job_id = connection.execute(select(table.c.sealing_job).where(here).with_for_update()).scalar_one()
    if job_id and not jobs.has_ended(connection, dataset.project_id, job_id):
        return
    job = jobs.start(
        stores,
        name="datasets.seal",
        args={"dataset_id": dataset.id},
        project_id=dataset.project_id,
        actor_id=actor_id,
        connection=connection,
    )
    connection.execute(update(table).where(here).values(sealing_job=job.id))


def _find(stores: Stores, project_id: str, item_id: str, likely: Dataset | None) -> Known | None:
    table = tables.items
    here = (table.c.project_id == project_id) & (table.c.id == item_id)
    with stores.database.read() as connection:
        row = connection.execute(select(table).where(here)).mappings().first()
    if row is not None:
        if row["status"] == "deleted":
            return None
        dataset = _dataset(stores, project_id, row["dataset_id"])
        example = _example(row) if row["example"] is not None else _in_version(stores, dataset, item_id)
        if example is None:
            return None  # cleaning has taken it out since
        return Known(to_item(example), dataset, row["status"] == "archived", row["created_at"], row["updated_at"])
    for dataset in [likely] if likely else service.list_datasets(stores, project_id, limit=_LOOKED_AT).items:
        if (example := _in_version(stores, dataset, item_id, known=False)) is not None:
            time = dataset.changed_at or dataset.created_at
            return Known(to_item(example), dataset, False, time, time)
    return None


def _in_version(stores: Stores, dataset: Dataset, item_id: str, *, known: bool = True) -> Example | None:
    """The row of this id in the newest version. An id that is not known is only looked for where something else wrote rows."""
    made = service.versions(stores, dataset.project_id, dataset.name) if dataset.latest else []
    if not known and all(version.operation == "items" for version in made):
        return None
    version = made[0] if made else None
    position = service.find_row(stores, version, item_id) if version else None
    return service.row_at(stores, version, position) if version and position is not None else None


def _dataset(stores: Stores, project_id: str, dataset_id: str) -> Dataset:
    query = select(tables.datasets.c.name).where(
        tables.datasets.c.id == dataset_id, tables.datasets.c.project_id == project_id
    )
    with stores.database.read() as connection:
        name = connection.execute(query).scalar()
    if name is None:
        raise NotFound("There is no such dataset.")
    return service.get(stores, project_id, name)


def _waiting(stores: Stores, dataset: Dataset) -> list[dict[str, Any]]:
    table = tables.items
    query = select(table).where(table.c.dataset_id == dataset.id, table.c.waiting)
    with stores.database.read() as connection:
        rows = connection.execute(query.order_by(table.c.created_at, table.c.id)).mappings()
        return [dict(row) for row in rows]


def _laid_over(rows: Iterable[Example], waiting: Sequence[dict[str, Any]]) -> Iterator[Example]:
    """The rows in their order, those that wait in the place of theirs, then the new ones in the order in which they came."""
    new = {row["id"]: row for row in waiting}
    for row in rows:
        if (newer := new.pop(row.row_id, None)) is None:
            yield row
        elif newer["status"] == "active":
            yield _example(newer)
    yield from (_example(row) for row in new.values() if row["status"] == "active")


def _any_left(rows: Iterable[Example], waiting: Sequence[dict[str, Any]]) -> bool:
    return next(iter(_laid_over(rows, waiting)), None) is not None


def _rows(stores: Stores, version: DatasetVersion | None) -> Iterator[Example]:
    return service.read_examples(stores, version) if version else iter(())


def _times(stores: Stores, dataset: Dataset, item_ids: Sequence[str]) -> dict[str, tuple[datetime, datetime]]:
    table = tables.items
    query = select(table.c.id, table.c.created_at, table.c.updated_at)
    here = (table.c.project_id == dataset.project_id) & table.c.id.in_(item_ids)
    with stores.database.read() as connection:
        return {row.id: (row.created_at, row.updated_at) for row in connection.execute(query.where(here))}


def _merged(before: Item, after: Item) -> Item:
    given = {name: value for name, value in asdict(after).items() if value not in (None, "")}
    return Item(**{**asdict(before), **given})


def _stored(example: Example) -> dict[str, Any]:
    return {"split": example.split, "messages": example.messages, "meta": example.meta, "source": example.source}


def _example(row: dict[str, Any] | Any) -> Example:
    return Example(row["id"], **row["example"])
