"""Media files of Langfuse's clients: announced, put, confirmed and fetched; and shown on the page of their trace."""

from datetime import datetime
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool
from starlette.responses import FileResponse, Response

from noria.core.errors import Conflict, NotFound
from noria.stores.connect import Stores
from noria.tracing import media
from noria.web.auth import Caller, allow
from noria.web.deps import StoresDep
from noria.web.langfuse import time_text

router = APIRouter(prefix="/api/public/media", tags=["Langfuse: media"])

Writer = Annotated[Caller, allow("write_traces")]
_CONTENT = "/{media_id}/content/{project_id}/{token}"


class LangfuseMedia(BaseModel):
    """A file that will be put."""

    contentType: str = Field(max_length=150)
    contentLength: int = Field(gt=0)
    sha256Hash: str = Field(max_length=64, description="Base64.")
    field: str = Field(max_length=40)
    traceId: str | None = Field(None, max_length=200)
    observationId: str | None = Field(None, max_length=200)
    datasetId: str | None = Field(None, max_length=200)
    datasetItemId: str | None = Field(None, max_length=200)


class LangfuseUploaded(BaseModel):
    """How putting it went, as its client saw it."""

    uploadedAt: datetime
    uploadHttpStatus: int
    uploadHttpError: str | None = None
    uploadTimeMs: int | None = None


@router.post("")
def langfuse_announce_media(body: LangfuseMedia, stores: StoresDep, caller: Writer) -> dict[str, Any]:
    """Announce a file by its hash; the answer has the address to put it to, or none when it is here already."""
    found, url = media.announce(
        stores,
        project_id=caller.project_id,
        actor_id=caller.id,
        content_type=body.contentType,
        size=body.contentLength,
        sha256=body.sha256Hash,
        trace_id=body.traceId or "",
    )
    return {"mediaId": found.id, "uploadUrl": url or None}


@router.patch("/{media_id}")
def langfuse_confirm_media(media_id: str, body: LangfuseUploaded, stores: StoresDep, caller: Writer) -> dict[str, str]:
    """Clients say here how putting the file went; Noria has seen that itself, and tells whether it is here."""
    found = media.find(stores, caller.project_id, media_id)
    if found.uploaded_at is None and body.uploadHttpStatus < 300:
        raise Conflict("The media file has not come here.", hint="Put it to the address that announcing it gave.")
    return {"mediaId": found.id}


@router.get("/{media_id}")
def langfuse_media(media_id: str, stores: StoresDep, caller: Annotated[Caller, allow("view")]) -> dict[str, Any]:
    """What is known of a file, and an address that shows it for an hour."""
    found = media.find(stores, caller.project_id, media_id)
    if found.uploaded_at is None:
        raise NotFound("This media file was announced, and has not come.")
    return described(stores, found) | {"uploadedAt": time_text(found.uploaded_at)}


@router.put(_CONTENT)
async def langfuse_put_media(
    project_id: str, media_id: str, token: str, request: Request, stores: StoresDep
) -> Response:
    """Put the bytes of an announced file; the address is the permission."""
    media.check_link(stores, project_id, media_id, token, "w")
    content = await request.body()
    await run_in_threadpool(media.receive, stores, project_id, media_id, content)
    return Response(status_code=200)


@router.get(_CONTENT)
def langfuse_media_content(project_id: str, media_id: str, token: str, stores: StoresDep) -> Response:
    """The bytes of a file; the address is the permission."""
    media.check_link(stores, project_id, media_id, token, "r")
    return content_of(stores, project_id, media_id)


def described(stores: Stores, found: media.Media) -> dict[str, Any]:
    """A file in their words."""
    url = media.link(stores, found.project_id, found.id, "r")
    return {
        "mediaId": found.id,
        "contentType": found.content_type,
        "contentLength": found.size,
        "url": url,
        "urlExpiry": time_text(media.link_ends(url)),
    }


def content_of(stores: Stores, project_id: str, media_id: str) -> Response:
    """The bytes: pictures as pictures, everything else as a file to save, so that nothing in it runs. Raises NotFound."""
    found = media.find(stores, project_id, media_id)
    if found.uploaded_at is None:
        raise NotFound("This media file was announced, and has not come.")
    path = stores.media.path(found.digest)
    headers = {"cache-control": "private, max-age=3600"}
    if found.content_type in media.SHOWN:
        return FileResponse(path, media_type=found.content_type, headers=headers)
    name = quote(f"{found.id}.{found.content_type.rpartition('/')[2]}", safe="")
    headers["content-disposition"] = f"attachment; filename*=UTF-8''{name}"
    return FileResponse(path, media_type="application/octet-stream", headers=headers)
