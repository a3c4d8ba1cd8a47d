"""The queue behind the jobs table: a worker claims a row under a lease, its child reports into it, one of them ends it.

Every statement that changes a running job names its owner. So a worker that lost its lease (it was suspended, say) cannot
overwrite what the next owner writes. Works the same on SQLite and PostgreSQL.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, case, delete, insert, or_, select, update

from noria.core import clock
from noria.jobs.tables import jobs, points
from noria.stores.connect import Stores

LEASE = timedelta(seconds=20)
MAX_DEATHS = 3

_FREE: dict[str, Any] = {"state": "queued", "owner": "", "lease_until": None}


@dataclass(frozen=True, slots=True)
class Claim:
    """One job that `owner` may run now."""

    id: str
    project_id: str
    name: str
    args: dict[str, Any]
    actor_id: str
    done: int
    owner: str


def claim(stores: Stores, owner: str) -> Claim | None:
    """The oldest job that waits or whose owner is gone, now owned by `owner`; None when there is none."""
    now = clock.now()
    free = or_(jobs.c.state == "queued", and_(jobs.c.state == "running", jobs.c.lease_until < now))
    oldest = select(jobs.c.id).where(free).order_by(jobs.c.id).limit(1)
    with stores.database.read() as reading:  # the usual answer is "none": find it without taking the writer's lock
        if reading.execute(oldest).first() is None:
            return None
    columns = (jobs.c.id, jobs.c.project_id, jobs.c.name, jobs.c.args, jobs.c.actor_id, jobs.c.done)
    with stores.database.begin() as connection:
        row = connection.execute(
            select(*columns, jobs.c.started_at)
            .where(free)
            .order_by(jobs.c.id)
            .limit(1)
            .with_for_update(skip_locked=True)
        ).first()
        if row is None:
            return None
        values = {"state": "running", "owner": owner, "lease_until": now + LEASE, "started_at": row.started_at or now}
        connection.execute(update(jobs).where(jobs.c.id == row.id).values(values))
    return Claim(row.id, row.project_id, row.name, row.args, row.actor_id, row.done, owner)


def release_all(stores: Stores, owner: str) -> list[str]:
    """Put back all jobs of a former life of `owner`; their ids."""
    with stores.database.begin() as connection:
        held = connection.execute(select(jobs.c.id).where(jobs.c.owner == owner, jobs.c.state == "running")).scalars()
        found = list(held)
        connection.execute(update(jobs).where(jobs.c.id.in_(found)).values(_FREE))
    return found


def renew(stores: Stores, owner: str) -> None:
    """Keep the leases of all jobs that `owner` runs."""
    with stores.database.begin() as connection:
        mine = (jobs.c.owner == owner) & (jobs.c.state == "running")
        connection.execute(update(jobs).where(mine).values(lease_until=clock.now() + LEASE))


def to_stop(stores: Stores, owner: str, running: list[str]) -> set[str]:
    """Those of `running` that somebody cancelled, or that are not this owner's any more."""
    query = select(jobs.c.id).where(jobs.c.id.in_(running), _held(owner), jobs.c.cancel_requested.is_(False))
    with stores.database.read() as connection:
        return set(running) - set(connection.execute(query).scalars())


def put_back(stores: Stores, job: Claim) -> None:
    """The worker ends before the job does: it is queued again, and nobody counts it as a death."""
    _change(stores, job, _FREE)


def finish(stores: Stores, job: Claim, *, result: dict[str, Any], cpu_seconds: float) -> bool:
    """The job is done. False when it is not this owner's any more."""
    values = {"state": "done", "result": result, "error": None, "note": ""}
    return _end(stores, job, values, cpu_seconds)


def fail(stores: Stores, job: Claim, *, code: str, message: str, hint: str, cpu_seconds: float = 0.0) -> bool:
    """The job failed, with words for people."""
    error = {"code": code, "message": message, "hint": hint}
    return _end(stores, job, {"state": "failed", "error": error}, cpu_seconds)


def add_cpu(stores: Stores, job: Claim, cpu_seconds: float) -> None:
    _change(stores, job, {"cpu_seconds": jobs.c.cpu_seconds + cpu_seconds})


def progress(stores: Stores, job: Claim, *, done: int, total: int, note: str, cpu_seconds: float) -> None:
    """Write how far the job is. Getting further than any execution before it forgives that one's death."""
    values = {"done": done, "total": total, "note": note, "cpu_seconds": jobs.c.cpu_seconds + cpu_seconds}
    if done > job.done:
        values["deaths"] = 0
    _change(stores, job, values)


def add_points(stores: Stores, job: Claim, collected: dict[int, dict[str, float]]) -> None:
    """Write points of the curve; a step that is there already (from before a resume) is replaced."""
    rows = [
        {"job_id": job.id, "step": step, "project_id": job.project_id, "values": values}
        for step, values in collected.items()
    ]
    with stores.database.begin() as connection:
        connection.execute(delete(points).where(points.c.job_id == job.id, points.c.step.in_(list(collected))))
        connection.execute(insert(points), rows)


def settle(stores: Stores, job: Claim, *, cause: str) -> str:
    """Decide about a job whose process ended, and return its state: it may have ended itself before.

    Without a word from the process: cancelled if somebody wanted that, else queued again, and failed after MAX_DEATHS.
    """
    with stores.database.begin() as connection:
        columns = (jobs.c.state, jobs.c.owner, jobs.c.cancel_requested, jobs.c.deaths)
        row = connection.execute(select(*columns).where(jobs.c.id == job.id).with_for_update()).one()
        if row.state != "running" or row.owner != job.owner:
            return str(row.state)
        ended = {"owner": "", "lease_until": None, "ended_at": clock.now(), "deaths": row.deaths + 1}
        if row.cancel_requested:
            values = {**ended, "state": "cancelled", "deaths": 0}
        elif row.deaths + 1 >= MAX_DEATHS:
            values = {**ended, "state": "failed", "error": _died(cause)}
        else:
            values = {**_FREE, "deaths": row.deaths + 1, "note": f"starting again: {cause}"}
        connection.execute(update(jobs).where(jobs.c.id == job.id).values(values))
        return str(values["state"])


def forget_old(stores: Stores) -> None:
    """Delete jobs that ended longer ago than their table keeps them."""
    before = clock.now() - timedelta(days=jobs.info["keep_days"])
    with stores.database.begin() as connection:
        connection.execute(delete(jobs).where(jobs.c.ended_at < before))


def _died(cause: str) -> dict[str, str]:
    return {
        "code": "job_died",
        "message": f"The job's process ended {MAX_DEATHS} times in a row without a word; the last time {cause}.",
        "hint": "Most often there is too little memory: give it less to do at once, or a larger machine. "
        "The worker's log in the data folder may say more.",
    }


def _held(owner: str) -> ColumnElement[bool]:
    return (jobs.c.owner == owner) & (jobs.c.state == "running")


def _change(stores: Stores, job: Claim, values: dict[str, Any]) -> bool:
    with stores.database.begin() as connection:
        done = connection.execute(update(jobs).where(jobs.c.id == job.id, _held(job.owner)).values(values))
        return done.rowcount == 1


def _end(stores: Stores, job: Claim, values: dict[str, Any], cpu_seconds: float) -> bool:
    # Reaching the end wins over a cancellation that came too late to stop anything.
    common = {
        "owner": "",
        "lease_until": None,
        "ended_at": clock.now(),
        "done": case((jobs.c.total > 0, jobs.c.total), else_=jobs.c.done),
        "cpu_seconds": jobs.c.cpu_seconds + cpu_seconds,
    }
    if values["state"] != "done":
        del common["done"]
    return _change(stores, job, {**common, **values})
