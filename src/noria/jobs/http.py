"""JSON API of jobs: look at them and cancel them. Jobs are started by the slice whose work they do."""

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Request

from noria.jobs import service
from noria.jobs.records import JobState
from noria.web.auth import Caller, allow
from noria.web.deps import StoresDep
from noria.web.paging import Cursor, Limit

router = APIRouter(prefix="/api/jobs", tags=["jobs"])


@router.get("")
def list_jobs(
    *,
    stores: StoresDep,
    caller: Annotated[Caller, allow("view")],
    name: str | None = None,
    state: JobState | None = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> dict[str, Any]:
    """The project's jobs, newest first."""
    found, following = service.list_jobs(stores, caller.project_id, name=name, state=state, limit=limit, cursor=cursor)
    return {"items": [asdict(job) for job in found], "next": following}


@router.get("/{job_id}")
def get_job(job_id: str, stores: StoresDep, caller: Annotated[Caller, allow("view")]) -> dict[str, Any]:
    """One job: state, progress, and its result or error."""
    return asdict(service.get(stores, caller.project_id, job_id))


@router.get("/{job_id}/points")
def get_points(
    job_id: str, stores: StoresDep, caller: Annotated[Caller, allow("view")], after: int = -1
) -> dict[str, Any]:
    """The job's curve (loss and the like), from the step after `after`."""
    return {"items": service.points(stores, caller.project_id, job_id, after)}


@router.post("/{job_id}/cancel")
def cancel_job(
    job_id: str, request: Request, stores: StoresDep, caller: Annotated[Caller, allow("edit")]
) -> dict[str, Any]:
    """Stop a job. What it had finished and stored stays."""
    with stores.database.begin() as connection:
        job = service.cancel(stores, caller.project_id, job_id, connection=connection)
        # The audit log belongs to a layer above this one, so the application injects how to write it.
        request.app.state.audit(
            connection,
            project_id=caller.project_id,
            actor_id=caller.id,
            verb="job.cancel",
            target_kind="job",
            target_id=job.id,
        )
    return asdict(job)
