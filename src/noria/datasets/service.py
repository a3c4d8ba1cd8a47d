"""The verbs of datasets: create, look, write a version, read its rows.

A version is written in two steps: rows stream into Parquet parts on disk, then one transaction names them. Whoever dies
in between leaves nothing that can be seen. Nothing here imports pyarrow until rows are touched.
"""

import re
import tempfile
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Select, func, insert, or_, select

from noria.core import clock, ids
from noria.core.errors import BadInput, Conflict, NotFound
from noria.datasets import tables
from noria.datasets.records import Dataset, DatasetVersion, Example
from noria.governance import audit
from noria.stores.connect import Stores
from noria.web import paging

_NAME = re.compile(r"[^\W_][\w.-]{0,63}")


def create(
    connection: Connection, *, project_id: str, name: str, actor_id: str, description: str = "", known_as: str = ""
) -> str:
    """Make a dataset, or find the one of that name; returns its id. Raises BadInput for a name that cannot be used."""
    check_name(name)
    here = (tables.datasets.c.project_id == project_id) & (tables.datasets.c.name == name)
    found: str | None = connection.execute(select(tables.datasets.c.id).where(here)).scalar()
    if found is not None:
        return found
    dataset_id = ids.new_id()
    connection.execute(
        insert(tables.datasets).values(
            id=dataset_id,
            project_id=project_id,
            name=name,
            known_as=known_as,
            description=description,
            about={},
            sealing_job="",
            author_id=actor_id,
            created_at=clock.now(),
        )
    )
    audit.record(
        connection,
        project_id=project_id,
        actor_id=actor_id,
        verb="dataset.create",
        target_kind="dataset",
        target_id=dataset_id,
        details={"name": name},
    )
    return dataset_id


def check_name(name: str) -> None:
    """Raise BadInput unless `name` can name a dataset."""
    if not _NAME.fullmatch(name):
        raise BadInput(
            f"{name[:80]!r} cannot be the name of a dataset.",
            hint="Up to 64 letters, digits, points, hyphens or underscores, beginning with a letter or digit.",
        )


def get(stores: Stores, project_id: str, name: str) -> Dataset:
    """Raises NotFound."""
    query = _datasets(project_id).where(tables.datasets.c.name == name)
    with stores.database.read() as connection:
        row = connection.execute(query).mappings().first()
    if row is None:
        raise NotFound(f"There is no dataset {name[:80]!r}.", hint="`noria datasets list` shows those that there are.")
    return _dataset(row)


def find_known(stores: Stores, project_id: str, name: str) -> Dataset:
    """By the name that its platform gave it, or by ours. Raises NotFound."""
    wanted = or_(tables.datasets.c.known_as == name, tables.datasets.c.name == name)
    query = _datasets(project_id).where(wanted).order_by(tables.datasets.c.known_as.desc()).limit(1)
    with stores.database.read() as connection:
        row = connection.execute(query).mappings().first()
    if row is None or not name:
        raise NotFound(f"There is no dataset {name[:80]!r}.", hint="GET /api/public/v2/datasets lists those there are.")
    return _dataset(row)


def list_datasets(
    stores: Stores, project_id: str, *, limit: int = 50, cursor: str | None = None
) -> paging.Page[Dataset]:
    """Datasets in the order of their names, each with the figures of its latest version."""
    query = _datasets(project_id).order_by(tables.datasets.c.name).limit(limit + 1)
    if after := paging.decode(cursor, str):
        query = query.where(tables.datasets.c.name > after[0])
    with stores.database.read() as connection:
        rows = [_dataset(row) for row in connection.execute(query).mappings()]
    return paging.cut(rows, limit, lambda dataset: [dataset.name])


def versions(stores: Stores, project_id: str, name: str) -> list[DatasetVersion]:
    """All versions of a dataset, newest first. Raises NotFound when there is no such dataset."""
    dataset = get(stores, project_id, name)
    query = _versions(project_id).where(tables.versions.c.dataset_id == dataset.id)
    with stores.database.read() as connection:
        rows = connection.execute(query.order_by(tables.versions.c.number.desc())).mappings().all()
    return [DatasetVersion(**row) for row in rows]


def get_version(stores: Stores, project_id: str, version_id: str) -> DatasetVersion:
    """Raises NotFound."""
    found = _one(stores, _versions(project_id).where(tables.versions.c.id == version_id))
    if found is None:
        raise NotFound("There is no such dataset version.")
    return found


def find_version(stores: Stores, project_id: str, name: str, number: int | None = None) -> DatasetVersion:
    """Version `number` of the dataset `name`; its latest when no number is given. Raises NotFound."""
    query = _versions(project_id).where(tables.datasets.c.name == name)
    if number is not None:
        query = query.where(tables.versions.c.number == number)
    found = _one(stores, query.order_by(tables.versions.c.number.desc()).limit(1))
    if found is None:
        dataset = get(stores, project_id, name)
        raise NotFound(
            f"Dataset {name!r} has no version {number}." if number else f"Dataset {name!r} has no version yet.",
            hint=f"Its latest is {dataset.latest}." if dataset.latest else "Import rows into it first.",
        )
    return found


def resolve(stores: Stores, project_id: str, reference: str) -> DatasetVersion:
    """The version that "calls:2" (or "calls": its latest) names. Raises BadInput or NotFound."""
    name, colon, number = reference.partition(":")
    if colon and not (number.isascii() and number.isdecimal()):
        raise BadInput(f"{reference[:80]!r} does not name a dataset version.", hint='Write it as "name:2" or "name".')
    return find_version(stores, project_id, name, int(number) if colon else None)


def all_versions(stores: Stores, project_id: str) -> list[DatasetVersion]:
    """Every version of every dataset, newest first."""
    with stores.database.read() as connection:
        rows = connection.execute(_versions(project_id).order_by(tables.versions.c.id.desc())).mappings().all()
    return [DatasetVersion(**row) for row in rows]


def version_of_job(stores: Stores, project_id: str, job_id: str) -> DatasetVersion | None:
    """What this job wrote in an earlier attempt, if anything."""
    return _one(stores, _versions(project_id).where(tables.versions.c.job_id == job_id)) if job_id else None


def write_version(
    stores: Stores,
    *,
    project_id: str,
    dataset_id: str = "",
    name: str = "",
    examples: Iterable[Example],
    parent_id: str | None,
    operation: str,
    report: dict[str, Any],
    actor_id: str,
    job_id: str = "",
    after: int | None = None,
    together_with: Callable[[Connection], None] | None = None,
) -> DatasetVersion:
    """Write the examples as the next version of a dataset, which is made when it is only named (`name`).

    `after` is the number of the version that must still be the latest (0: there is none), else Conflict is raised.
    `together_with` is called in the transaction that names the version.

    `report` is read after the last example, so it may be filled while they stream; an exception out of `examples` leaves
    no trace. Raises BadInput when there is no example at all.
    """
    from noria.datasets import parquet

    work = stores.settings.folder.work
    work.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="version-", dir=work) as folder:
        parts = parquet.write_parts(Path(folder), examples)
        if parts.rows == 0:
            raise BadInput(
                "No rows are left for a version; nothing was written.", hint="Look at the report or the options."
            )
        digests = [stores.files.put(path) for path in parts.paths]
    version_id = ids.new_id()
    with stores.database.begin() as connection:
        dataset_id = dataset_id or create(connection, project_id=project_id, name=name, actor_id=actor_id)
        number = _next_number(connection, project_id, dataset_id)
        if after is not None and number != after + 1:
            raise Conflict("Somebody else wrote a version meanwhile; nothing was written.", hint="Try again.")
        row = {
            "id": version_id,
            "project_id": project_id,
            "dataset_id": dataset_id,
            "number": number,
            "parent_id": parent_id,
            "operation": operation,
            "rows": parts.rows,
            "splits": parts.splits,
            "parts": digests,
            "report": report,
            "author_id": actor_id,
            "created_at": clock.now(),
            "digest": parts.digest,
            "job_id": job_id,
        }
        connection.execute(insert(tables.versions).values(row))
        audit.record(
            connection,
            project_id=project_id,
            actor_id=actor_id,
            verb="dataset.write",
            target_kind="dataset_version",
            target_id=version_id,
            details={"operation": operation, "rows": parts.rows, "number": row["number"]},
        )
        if together_with is not None:
            together_with(connection)
    return get_version(stores, project_id, version_id)


def read_examples(
    stores: Stores, version: DatasetVersion, *, split: str | None = None, limit: int | None = None, offset: int = 0
) -> Iterator[Example]:
    """The rows of a version in their order; `offset` and `limit` count rows of that split."""
    from noria.datasets import parquet

    rows = parquet.read(part_paths(stores, version), split=split)
    return (example for _, example in islice(rows, offset, None if limit is None else offset + limit))


def browse(
    stores: Stores,
    version: DatasetVersion,
    *,
    split: str | None = None,
    q: str = "",
    limit: int = 50,
    cursor: str | None = None,
) -> paging.Page[tuple[int, Example]]:
    """A page of (position, example), filtered by split and by a text that the messages contain."""
    from noria.datasets import parquet

    after = paging.decode(cursor, int)
    rows = parquet.read(part_paths(stores, version), start=after[0] + 1 if after else 0, split=split, contains=q)
    return paging.cut(list(islice(rows, limit + 1)), limit, lambda row: [row[0]])


def get_row(stores: Stores, version: DatasetVersion, row_id: str) -> Example:
    """One row by its id. Raises NotFound."""
    position = find_row(stores, version, row_id)
    if position is None:
        raise NotFound(
            f"{version.name} has no row {row_id[:64]!r}.", hint="Another version may have it; see its lineage."
        )
    return row_at(stores, version, position)


def find_row(stores: Stores, version: DatasetVersion, row_id: str) -> int | None:
    """The position of a row in a version, None when it is not there. Reads only the column of ids."""
    from noria.datasets import parquet

    return parquet.find(part_paths(stores, version), row_id)


def row_ids(stores: Stores, version: DatasetVersion) -> set[str]:
    """The ids of all rows of a version."""
    from noria.datasets import parquet

    return parquet.ids(part_paths(stores, version))


def row_at(stores: Stores, version: DatasetVersion, position: int) -> Example:
    """The row at a position of a version."""
    from noria.datasets import parquet

    return parquet.at(part_paths(stores, version), [position])[position]


def part_paths(stores: Stores, version: DatasetVersion) -> list[Path]:
    """Where the version's Parquet parts lie on this machine."""
    return [stores.files.path(digest) for digest in version.parts]


def _next_number(connection: Connection, project_id: str, dataset_id: str) -> int:
    table = tables.datasets
    mine = select(table.c.id).where(table.c.id == dataset_id, table.c.project_id == project_id)
    # PostgreSQL: the row lock makes two writers of one dataset wait for each other. SQLite has one writer anyway.
    if connection.execute(mine.with_for_update()).scalar() is None:
        raise NotFound("There is no such dataset.")
    latest = select(func.max(tables.versions.c.number)).where(tables.versions.c.dataset_id == dataset_id)
    return (connection.execute(latest).scalar() or 0) + 1


def _versions(project_id: str) -> Select[Any]:
    columns = [tables.versions.c[field] for field in DatasetVersion.__dataclass_fields__ if field != "dataset"]
    joined = tables.versions.join(tables.datasets, tables.datasets.c.id == tables.versions.c.dataset_id)
    query = select(*columns, tables.datasets.c.name.label("dataset")).select_from(joined)
    return query.where(tables.versions.c.project_id == project_id)


def _datasets(project_id: str) -> Select[Any]:
    newest = (
        select(tables.versions.c.dataset_id, func.max(tables.versions.c.number).label("number"))
        .group_by(tables.versions.c.dataset_id)
        .subquery()
    )
    latest = tables.versions
    joined = tables.datasets.outerjoin(newest, newest.c.dataset_id == tables.datasets.c.id).outerjoin(
        latest, (latest.c.dataset_id == newest.c.dataset_id) & (latest.c.number == newest.c.number)
    )
    figures = (latest.c.number.label("latest"), latest.c.rows, latest.c.splits, latest.c.created_at.label("changed_at"))
    own = [column for column in tables.datasets.c if column.name in Dataset.__dataclass_fields__]
    return select(*own, *figures).select_from(joined).where(tables.datasets.c.project_id == project_id)


def _dataset(row: Any) -> Dataset:
    values = dict(row)
    return Dataset(
        **values | {"latest": values["latest"] or 0, "rows": values["rows"] or 0, "splits": values["splits"] or {}}
    )


def _one(stores: Stores, query: Select[Any]) -> DatasetVersion | None:
    with stores.database.read() as connection:
        row = connection.execute(query).mappings().first()
    return None if row is None else DatasetVersion(**row)
