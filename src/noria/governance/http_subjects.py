"""The JSON API of erasing people: what would go, the request, and what became of requests."""

from typing import Annotated

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from noria.governance import erasure
from noria.governance.erasure import Erasure
from noria.web.auth import Caller, allow
from noria.web.deps import StoresDep
from noria.web.paging import Cursor, Limit, Page

router = APIRouter(prefix="/api", tags=["subjects"])
Admin = Annotated[Caller, allow("admin")]


class NewErasure(BaseModel):
    reason: str = Field("", max_length=2000, description="Kept in the audit; do not name the person in it.")
    dry_run: bool = Field(False, description="Only say what would go.")


@router.post("/subjects/{subject_id}/erasure", status_code=202)
def erase_subject(
    subject_id: str, body: NewErasure, request: Request, stores: StoresDep, caller: Admin
) -> Erasure | dict[str, dict[str, int]]:
    """Erase a person: unseen when this answers, gone from the files when the erasure's state is done."""
    slices = request.app.state.slices
    if body.dry_run:
        return {"counts": erasure.preview(stores, slices, caller.project_id, subject_id)}
    return erasure.request(
        stores,
        slices,
        project_id=caller.project_id,
        subject_id=subject_id,
        actor_id=caller.id,
        reason=body.reason,
    )


@router.get("/erasures")
def list_erasures(stores: StoresDep, caller: Admin, *, limit: Limit = 50, cursor: Cursor = None) -> Page[Erasure]:
    """Erasures of the project, newest first."""
    with stores.database.read() as connection:
        return erasure.list_erasures(connection, caller.project_id, limit=limit, cursor=cursor)


@router.get("/erasures/{erasure_id}")
def get_erasure(erasure_id: str, stores: StoresDep, caller: Admin) -> Erasure:
    """One erasure: its state, what was removed, and what is left (nothing, when it is done)."""
    return erasure.get(stores, caller.project_id, erasure_id)
