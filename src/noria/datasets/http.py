"""JSON API of datasets: import, clean, collect feedback, browse, download. Long work is started as a job and named by its id."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import Annotated, Any, BinaryIO, Literal

import orjson
from fastapi import APIRouter, File, Form, Query, UploadFile
from pydantic import BaseModel, Field
from starlette.responses import StreamingResponse

from noria.core.errors import BadInput
from noria.datasets import changes, service, start
from noria.datasets import from_traces as from_traces_
from noria.datasets.records import DatasetVersion, Example
from noria.stores.connect import Stores
from noria.web.auth import Caller, allow
from noria.web.deps import StoresDep
from noria.web.paging import Cursor, Limit

router = APIRouter(prefix="/api/datasets", tags=["datasets"])

Viewer = Annotated[Caller, allow("view")]
Editor = Annotated[Caller, allow("edit")]


class CleanBody(BaseModel):
    """How to clean; see `noria.datasets.cleaning.Options` for each option and its default."""

    options: dict[str, Any] = Field(default_factory=dict)


class FeedbackBody(BaseModel):
    """Which answers to learn from."""

    name: str
    endpoint: str
    base_version: str | None = None
    since: str | None = None


class TracesBody(BaseModel):
    """Which traces become rows: `trace_ids`, or one trace and a `span_id` of it, or a search `q`."""

    trace_ids: list[Annotated[str, Field(pattern="^[0-9a-f]{32}$")]] = Field(
        default_factory=list, max_length=from_traces_.MOST
    )
    span_id: str = Field("", pattern="^([0-9a-f]{16})?$", description="A span of the one trace that is named.")
    q: str = Field("", max_length=4000, description="A search (docs/filters.md); the newest 10,000 that it finds.")
    traffic: Literal["live", "evaluation", "all"] = Field("all", description="Which of what the search finds.")
    split: str = "train"


class MergeBody(BaseModel):
    """Versions whose rows are joined, in this order ("name:2")."""

    name: str
    versions: list[str]


@router.get("")
def list_datasets(stores: StoresDep, caller: Viewer, limit: Limit = 50, cursor: Cursor = None) -> dict[str, Any]:
    """Datasets by name, with the figures of their latest version."""
    return asdict(service.list_datasets(stores, caller.project_id, limit=limit, cursor=cursor))


@router.post("/import", status_code=202)
def import_files(
    *,
    stores: StoresDep,
    caller: Editor,
    files: Annotated[list[UploadFile], File(description="JSONL, CSV or Parquet; each at most `max_upload_mb`.")],
    name: Annotated[str, Form(description="The dataset; made when there is none of this name.")],
    mapping: Annotated[str, Form(description='JSON: {"text": column, "label": column, "split": column}.')] = "",
    splits: Annotated[str, Form(description='JSON: {"file name": "train"}; otherwise by the file name.')] = "",
) -> dict[str, str]:
    """Store the files and start the job that makes a version of their rows."""
    sent: list[tuple[str, BinaryIO]] = [(file.filename or "", file.file) for file in files]
    job = start.import_files(
        stores,
        caller.project_id,
        caller.id,
        name=name,
        files=sent,
        mapping=_object(mapping, "mapping"),
        splits=_object(splits, "splits"),
    )
    return {"job": job.id}


@router.post("/from-feedback", status_code=202)
def from_feedback(body: FeedbackBody, stores: StoresDep, caller: Editor) -> dict[str, str]:
    """Start the job that makes a version of an endpoint's corrected and praised answers, joined to a base version."""
    job = start.from_feedback(
        stores,
        caller.project_id,
        caller.id,
        name=body.name,
        endpoint=body.endpoint,
        base_version=body.base_version or "",
        since=body.since or "",
    )
    return {"job": job.id}


@router.post("/merge", status_code=202)
def merge(body: MergeBody, stores: StoresDep, caller: Editor) -> dict[str, str]:
    """Start the job that joins the rows of several versions; a row that stands in two is taken once."""
    job = start.merge(stores, caller.project_id, caller.id, name=body.name, versions=body.versions)
    return {"job": job.id}


@router.get("/{name}")
def get_dataset(name: str, stores: StoresDep, caller: Viewer) -> dict[str, Any]:
    """One dataset and its versions, newest first, without their reports."""
    dataset = service.get(stores, caller.project_id, name)
    versions = [asdict(version) for version in service.versions(stores, caller.project_id, name)]
    for version in versions:
        del version["report"], version["parts"]
    return asdict(dataset) | {"versions": versions}


@router.get("/{name}/versions/{number}")
def get_version(name: str, number: int, stores: StoresDep, caller: Viewer) -> dict[str, Any]:
    """One version with its report."""
    return asdict(service.find_version(stores, caller.project_id, name, number))


@router.post("/{name}/from_traces", status_code=202)
def from_traces(name: str, body: TracesBody, stores: StoresDep, caller: Editor) -> dict[str, str]:
    """Start the job that adds rows of traces to a dataset; what stands in it already is left out and told in the report."""
    if bool(body.trace_ids) == bool(body.q):
        raise BadInput("Name traces, or give a search.", hint='{"trace_ids": ["…"]} or {"q": "has:feedback"}.')
    if body.span_id and len(body.trace_ids) != 1:
        raise BadInput("A span is named beside its one trace.")
    which = from_traces_.Selection(tuple(body.trace_ids), body.span_id, body.q, body.traffic)
    job = start.from_traces(stores, caller.project_id, caller.id, name=name, which=which, split=body.split)
    return {"job": job.id}


@router.post("/{name}/versions/{number}/clean", status_code=202)
def clean(name: str, number: int, body: CleanBody, stores: StoresDep, caller: Editor) -> dict[str, str]:
    """Start the job that cleans this version into a new one."""
    version = service.find_version(stores, caller.project_id, name, number)
    return {"job": start.clean(stores, caller.project_id, caller.id, version=version, options=body.options).id}


@router.get("/{name}/versions/{number}/rows")
def list_rows(
    *,
    name: str,
    number: int,
    stores: StoresDep,
    caller: Viewer,
    split: str | None = None,
    q: Annotated[str, Query(max_length=200, description="A text that the messages contain.")] = "",
    limit: Limit = 50,
    cursor: Cursor = None,
) -> dict[str, Any]:
    """Rows in their order."""
    version = service.find_version(stores, caller.project_id, name, number)
    page = service.browse(stores, version, split=split, q=q, limit=limit, cursor=cursor)
    return {"items": [asdict(example) for _, example in page.items], "next": page.next}


@router.get("/{name}/versions/{number}/rows/{row_id}")
def get_row(name: str, number: int, row_id: str, stores: StoresDep, caller: Viewer) -> dict[str, Any]:
    """One row."""
    version = service.find_version(stores, caller.project_id, name, number)
    return asdict(service.get_row(stores, version, row_id))


@router.get("/{name}/versions/{number}/changes")
def list_changes(
    *,
    name: str,
    number: int,
    stores: StoresDep,
    caller: Viewer,
    reason: str | None = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> dict[str, Any]:
    """What cleaning removed, changed or only found, row by row, with the row before and after."""
    version = service.find_version(stores, caller.project_id, name, number)
    page = changes.browse(stores, version, reason=reason, limit=limit, cursor=cursor)
    return asdict(page)


@router.get("/{name}/versions/{number}/download")
def download(name: str, number: int, stores: StoresDep, caller: Viewer, split: str | None = None) -> StreamingResponse:
    """The rows as JSONL in the chat fine-tuning shape."""
    version = service.find_version(stores, caller.project_id, name, number)
    headers = {"content-disposition": f"attachment; filename*=UTF-8''{_file_name(version, split)}"}
    return StreamingResponse(_lines(stores, version, split), media_type="application/jsonl", headers=headers)


def _lines(stores: Stores, version: DatasetVersion, split: str | None) -> Iterator[bytes]:
    block: list[bytes] = []
    for example in service.read_examples(stores, version, split=split):
        block.append(_line(example))
        if len(block) == 500:
            yield b"".join(block)
            block = []
    yield b"".join(block)


def _line(example: Example) -> bytes:
    row = {**example.meta, "row_id": example.row_id, "split": example.split, "messages": example.messages}
    return orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE)


def _file_name(version: DatasetVersion, split: str | None) -> str:
    from urllib.parse import quote

    return quote(f"{version.dataset}-{version.number}{f'-{split}' if split else ''}.jsonl", safe="")


def _object(text: str, field: str) -> dict[str, Any]:
    if not text.strip():
        return {}
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise BadInput(f"{field} is not JSON: {error}", hint=f'Send {field} as an object: {{"…": "…"}}.') from error
    if not isinstance(value, dict):
        raise BadInput(f"{field} is not a JSON object.")
    return value
