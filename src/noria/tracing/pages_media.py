"""Media files as pages show them, and addresses of Langfuse's pages that its clients print."""

from typing import Annotated, Final
from urllib.parse import quote, urlencode

from fastapi import APIRouter
from starlette.responses import RedirectResponse, Response

from noria.core.errors import NotFound
from noria.tracing import filters
from noria.tracing.http_langfuse_media import content_of
from noria.web.auth import Caller, allow
from noria.web.deps import StoresDep

router = APIRouter()

Viewer = Annotated[Caller, allow("view")]
_OTHER: Final = "The address speaks of another project."


@router.get("/media/{media_id}")
def media_file(media_id: str, stores: StoresDep, caller: Viewer) -> Response:
    """A file of a trace: a picture is drawn, everything else is saved."""
    return content_of(stores, caller.project_id, media_id)


@router.get("/project/{project_id}/traces/{trace_id}")
def langfuse_trace_page(project_id: str, trace_id: str, caller: Viewer) -> Response:
    """Where `get_trace_url()` leads."""
    if project_id != caller.project_id:
        raise NotFound(_OTHER, hint="Change to that project first.")
    return RedirectResponse(f"/traces/{quote(trace_id, safe='')}", 303)


@router.get("/project/{project_id}/experiments/results")
def langfuse_experiment_page(project_id: str, caller: Viewer, baseline: str = "") -> Response:
    """Where an experiment's address leads: the traces that belong to it."""
    if project_id != caller.project_id:
        raise NotFound(_OTHER, hint="Change to that project first.")
    wanted = filters.term("attr.langfuse.experiment.id", baseline)
    return RedirectResponse(f"/traces?{urlencode({'q': wanted, 'traffic': 'all'})}", 303)
