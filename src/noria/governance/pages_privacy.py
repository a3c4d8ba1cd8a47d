"""The page where an admin erases a person and sees what became of earlier requests."""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Form, Request
from starlette.responses import Response

from noria.core.errors import NotFound
from noria.governance import erasure
from noria.jobs import service as jobs
from noria.stores.connect import Stores
from noria.web.auth import Caller, allow
from noria.web.deps import StoresDep
from noria.web.paging import Cursor, Limit
from noria.web.templates import render, see_other

router = APIRouter()
Admin = Annotated[Caller, allow("admin")]
Text = Annotated[str, Form(max_length=2000)]
_CANCELLED: Final = {"message": "The job was cancelled.", "hint": "Request the erasure again."}


@router.get("/settings/privacy")
def privacy_page(
    request: Request, stores: StoresDep, caller: Admin, *, limit: Limit = 50, cursor: Cursor = None
) -> Response:
    """Requests of this project, newest first."""
    return _page(request, stores, caller, limit=limit, cursor=cursor)


@router.post("/settings/privacy/preview")
def preview(request: Request, stores: StoresDep, caller: Admin, subject: Text) -> Response:
    """What would go, with the button that erases it."""
    counts = erasure.preview(stores, request.app.state.slices, caller.project_id, subject)
    return _page(request, stores, caller, subject=subject, counts=counts)


@router.post("/settings/privacy/erase")
def erase(request: Request, stores: StoresDep, caller: Admin, subject: Text, reason: Text) -> Response:
    """Erase the person."""
    erasure.request(
        stores,
        request.app.state.slices,
        project_id=caller.project_id,
        subject_id=subject,
        actor_id=caller.id,
        reason=reason,
    )
    return see_other(
        "/settings/privacy", "Nothing of the person can be seen any more. The files are being written anew."
    )


@router.get("/settings/privacy/erasures")
def erasures_part(
    request: Request, stores: StoresDep, caller: Admin, *, limit: Limit = 50, cursor: Cursor = None
) -> Response:
    """The list of requests alone, as it is asked for again while files are being written anew."""
    return render(request, caller, "governance/_erasures.html", **_listed(stores, caller, limit=limit, cursor=cursor))


def _page(
    request: Request,
    stores: StoresDep,
    caller: Caller,
    *,
    subject: str = "",
    counts: dict[str, int] | None = None,
    limit: int = 50,
    cursor: str | None = None,
) -> Response:
    listed = _listed(stores, caller, limit=limit, cursor=cursor)
    return render(request, caller, "governance/privacy.html", fresh=None, subject=subject, counts=counts, **listed)


def _listed(stores: Stores, caller: Caller, *, limit: int, cursor: str | None) -> dict[str, Any]:
    """A page of erasures, what stopped those that do not go on, and whether one is still at work."""
    with stores.database.read() as connection:
        page = erasure.list_erasures(connection, caller.project_id, limit=limit, cursor=cursor)
    begun = [one for one in page.items if one.state != "done"]
    stopped = {one.id: why for one in begun if (why := _stopped(stores, caller.project_id, one.job_id)) is not None}
    return {"page": page, "stopped": stopped, "working": len(stopped) < len(begun), "cursor": cursor}


def _stopped(stores: Stores, project_id: str, job_id: str) -> dict[str, str] | None:
    """Why the job of an unfinished erasure does not go on; None while it does."""
    try:
        job = jobs.get(stores, project_id, job_id)
    except NotFound:
        return _CANCELLED
    if job.error is not None:
        return job.error
    return _CANCELLED if job.state == "cancelled" else None
