"""The verbs of jobs: start, look, cancel. What runs them is noria.jobs.worker.

Starting a job is inserting its row. A caller that passes its own `connection` starts the job with its own transaction: either
both are committed or neither, so no message between the two can be lost.
"""

from contextlib import AbstractContextManager, nullcontext
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from noria.core import clock, ids
from noria.core.errors import BadInput, Conflict, NotFound
from noria.jobs import tables
from noria.jobs.records import Job, JobState
from noria.stores.connect import Stores

_PUBLIC = [tables.jobs.c[name] for name in Job.__dataclass_fields__]


def start(
    stores: Stores,
    *,
    name: str,
    args: dict[str, Any],
    project_id: str,
    actor_id: str,
    connection: Connection | None = None,
) -> Job:
    """Queue the job `name` with `args` (JSON: ids and options, no data). With `connection` it joins that transaction."""
    job_id = ids.new_id()
    row = {
        "id": job_id,
        "project_id": project_id,
        "name": name,
        "args": args,
        "state": "queued",
        "done": 0,
        "total": 0,
        "note": "",
        "result": None,
        "error": None,
        "actor_id": actor_id,
        "created_at": clock.now(),
        "cpu_seconds": 0.0,
        "cancel_requested": False,
        "deaths": 0,
        "owner": "",
    }
    with _transaction(stores, connection) as writing:
        writing.execute(insert(tables.jobs).values(row))
        return _get(writing, project_id, job_id)


def get(stores: Stores, project_id: str, job_id: str) -> Job:
    """Raises NotFound."""
    with stores.database.read() as connection:
        return _get(connection, project_id, job_id)


def has_ended(connection: Connection, project_id: str, job_id: str) -> bool:
    """Whether the job is over, or not there (any more)."""
    here = (tables.jobs.c.id == job_id) & (tables.jobs.c.project_id == project_id)
    state = connection.execute(select(tables.jobs.c.state).where(here)).scalar()
    return state not in {"queued", "running"}


def list_jobs(
    stores: Stores,
    project_id: str,
    *,
    name: str | None = None,
    state: JobState | None = None,
    limit: int = 50,
    cursor: str | None = None,
) -> tuple[list[Job], str | None]:
    """The newest jobs first, and the cursor of the next page (None: there is none)."""
    if not 1 <= limit <= 500:
        raise BadInput("limit must be between 1 and 500.")
    query = select(*_PUBLIC).where(tables.jobs.c.project_id == project_id)
    if name is not None:
        query = query.where(tables.jobs.c.name == name)
    if state is not None:
        query = query.where(tables.jobs.c.state == state)
    if cursor:
        query = query.where(tables.jobs.c.id < cursor)
    with stores.database.read() as connection:
        rows = connection.execute(query.order_by(tables.jobs.c.id.desc()).limit(limit + 1)).all()
    found = [_job(row) for row in rows[:limit]]
    return found, found[-1].id if len(rows) > limit else None


def cancel(stores: Stores, project_id: str, job_id: str, *, connection: Connection | None = None) -> Job:
    """End a queued job at once; ask a running one to end (its process is stopped within a second or so).

    Raises NotFound, or Conflict when it has ended already.
    """
    table = tables.jobs
    with _transaction(stores, connection) as writing:
        job = _get(writing, project_id, job_id)
        if job.ended:
            raise Conflict(f"The job has already ended ({job.state}).", hint="There is nothing to cancel.")
        here = (table.c.id == job_id) & (table.c.project_id == project_id)
        ended = {"state": "cancelled", "ended_at": clock.now()}
        if not writing.execute(update(table).where(here, table.c.state == "queued").values(ended)).rowcount:
            writing.execute(update(table).where(here, table.c.state == "running").values(cancel_requested=True))
        return _get(writing, project_id, job_id)


def points(
    stores: Stores, project_id: str, job_id: str, after_step: int = -1, limit: int = 10_000
) -> list[dict[str, Any]]:
    """The job's curve: [{"step": 3, "values": {"loss": 1.2}}, …] in order of step. Raises NotFound."""
    table = tables.points
    query = select(table.c.step, table.c["values"]).where(table.c.job_id == job_id, table.c.step > after_step)
    with stores.database.read() as connection:
        _get(connection, project_id, job_id)
        rows = connection.execute(query.order_by(table.c.step).limit(limit)).all()
    return [{"step": step, "values": values} for step, values in rows]


def _transaction(stores: Stores, connection: Connection | None) -> AbstractContextManager[Connection]:
    return stores.database.begin() if connection is None else nullcontext(connection)


def _get(connection: Connection, project_id: str, job_id: str) -> Job:
    query = select(*_PUBLIC).where(tables.jobs.c.id == job_id, tables.jobs.c.project_id == project_id)
    row = connection.execute(query).first()
    if row is None:
        raise NotFound("There is no such job.")
    return _job(row)


def _job(row: Row[Any]) -> Job:
    return Job(**row._asdict())
