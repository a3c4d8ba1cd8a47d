"""The page where an admin erases a person and sees what became of earlier requests."""

from typing import Annotated

from fastapi import APIRouter, Form, Request
from starlette.responses import Response

from noria.governance import erasure
from noria.web.auth import Caller, allow
from noria.web.deps import StoresDep
from noria.web.paging import Cursor, Limit
from noria.web.templates import render, see_other

router = APIRouter()
Admin = Annotated[Caller, allow("admin")]
Text = Annotated[str, Form(max_length=2000)]


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
    with stores.database.read() as connection:
        page = erasure.list_erasures(connection, caller.project_id, limit=limit, cursor=cursor)
    return render(request, caller, "governance/privacy.html", page=page, subject=subject, counts=counts)
