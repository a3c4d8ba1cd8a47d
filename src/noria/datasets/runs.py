"""Runs over datasets that clients tell of item by item: which trace came of which item. What the traces were worth are their scores.

The newest of Langfuse's clients stamp their spans with the run in the place of this (noria.tracing.langfuse_reading, experiments).
"""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Select, delete, func, insert, select, update

from noria.core import clock, ids
from noria.core.errors import BadInput, NotFound
from noria.datasets import tables
from noria.datasets.records import Dataset
from noria.governance import audit
from noria.stores.connect import Stores
from noria.web.langfuse import check_known_as

_TRACE_ID: Final = re.compile(r"[0-9a-f]{32}")
_SPAN_ID: Final = re.compile(r"[0-9a-f]{16}")


@dataclass(frozen=True, slots=True)
class Run:
    """One pass over a dataset."""

    id: str
    project_id: str
    dataset_id: str
    name: str
    description: str
    about: Any
    author_id: str
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class RunItem:
    """What became of one item in a run."""

    id: str
    project_id: str
    run_id: str
    item_id: str
    trace_id: str
    observation_id: str
    created_at: datetime


def add_item(
    stores: Stores,
    *,
    dataset: Dataset,
    run_name: str,
    item_id: str,
    trace_id: str,
    observation_id: str = "",
    description: str = "",
    about: Any = None,
    actor_id: str,
) -> tuple[Run, RunItem]:
    """Note that `trace_id` came of the item, in a run that is made when there is none of the name. Raises BadInput."""
    check_known_as(run_name, "run")
    if not _TRACE_ID.fullmatch(trace_id) or (observation_id and not _SPAN_ID.fullmatch(observation_id)):
        raise BadInput("A run's item names a trace by 32 hex digits, and a span of it by 16.")
    now = clock.now()
    with stores.database.begin() as connection:
        run = _ensure(connection, dataset, name=run_name, description=description, about=about, actor_id=actor_id)
        row: dict[str, Any] = {
            "id": ids.new_id(),
            "project_id": dataset.project_id,
            "run_id": run.id,
            "item_id": item_id,
        }
        row |= {"trace_id": trace_id, "observation_id": observation_id, "created_at": now}
        connection.execute(insert(tables.run_items).values(row))
        connection.execute(update(tables.runs).where(tables.runs.c.id == run.id).values(updated_at=now))
        _audit(connection, dataset, "dataset.run_item", actor_id, {"run": run.id, "item": item_id})
    return run, RunItem(**row)


def list_page(stores: Stores, dataset: Dataset, *, page: int, limit: int) -> tuple[list[Run], int]:
    """The newest first, and how many there are."""
    query = _runs(dataset).order_by(tables.runs.c.created_at.desc(), tables.runs.c.id.desc())
    with stores.database.read() as connection:
        total = connection.execute(select(func.count()).select_from(_runs(dataset).subquery())).scalar_one()
        rows = connection.execute(query.limit(limit).offset((page - 1) * limit)).mappings()
        return [Run(**row) for row in rows], total


def get(stores: Stores, dataset: Dataset, name: str) -> tuple[Run, list[RunItem]]:
    """A run with its items, the first of them first. Raises NotFound."""
    with stores.database.read() as connection:
        run = _find(connection, dataset, name)
        query = select(tables.run_items).where(tables.run_items.c.run_id == run.id)
        rows = connection.execute(query.order_by(tables.run_items.c.created_at, tables.run_items.c.id)).mappings()
        return run, [RunItem(**row) for row in rows]


def count(stores: Stores, run_id: str) -> int:
    """How many items it has."""
    query = select(func.count()).select_from(tables.run_items).where(tables.run_items.c.run_id == run_id)
    with stores.database.read() as connection:
        return int(connection.execute(query).scalar_one())


def remove(stores: Stores, dataset: Dataset, name: str, actor_id: str) -> None:
    """Forget the run; its traces and their scores stay. Raises NotFound."""
    with stores.database.begin() as connection:
        run = _find(connection, dataset, name)
        connection.execute(delete(tables.run_items).where(tables.run_items.c.run_id == run.id))
        connection.execute(delete(tables.runs).where(tables.runs.c.id == run.id))
        _audit(connection, dataset, "dataset.run_delete", actor_id, {"run": run.id})


def _ensure(connection: Connection, dataset: Dataset, *, name: str, description: str, about: Any, actor_id: str) -> Run:
    # Workers of one run come at once: the lock lets one of them make it.
    connection.execute(select(tables.datasets.c.id).where(tables.datasets.c.id == dataset.id).with_for_update())
    row = connection.execute(_runs(dataset).where(tables.runs.c.name == name)).mappings().first()
    if row is not None:
        return Run(**row)
    now = clock.now()
    values: dict[str, Any] = {
        "id": ids.new_id(),
        "project_id": dataset.project_id,
        "dataset_id": dataset.id,
        "name": name,
    }
    values |= {"description": description[:10_000], "about": about, "author_id": actor_id}
    values |= {"created_at": now, "updated_at": now}
    connection.execute(insert(tables.runs).values(values))
    _audit(connection, dataset, "dataset.run", actor_id, {"run": values["id"]})
    return Run(**values)


def _find(connection: Connection, dataset: Dataset, name: str) -> Run:
    row = connection.execute(_runs(dataset).where(tables.runs.c.name == name)).mappings().first()
    if row is None:
        raise NotFound(f"The dataset {dataset.name!r} has no run {name[:80]!r}.")
    return Run(**row)


def _runs(dataset: Dataset) -> Select[Any]:
    table = tables.runs
    return select(table).where(table.c.project_id == dataset.project_id, table.c.dataset_id == dataset.id)


def _audit(connection: Connection, dataset: Dataset, verb: str, actor_id: str, details: dict[str, Any]) -> None:
    audit.record(
        connection,
        project_id=dataset.project_id,
        actor_id=actor_id,
        verb=verb,
        target_kind="dataset",
        target_id=dataset.id,
        details=details,
    )
