"""The page of imports: send what another tool has exported, follow the job that takes it in, and read its report.

The form starts the same job as POST /api/traces/import. `?job=` names the one that is followed; the earlier ones stand below it.
"""

import re
from dataclasses import fields
from typing import Annotated, Any, BinaryIO, Final

from fastapi import APIRouter, File, Form, Request, UploadFile
from starlette.responses import Response

from noria.core.errors import NotFound, Sentence
from noria.jobs import service as jobs
from noria.jobs.records import Job
from noria.stores.connect import Stores
from noria.tracing import filters
from noria.tracing.http_imports import start
from noria.tracing.imports.taking import TOOLS, Tally
from noria.tracing.reading import moment
from noria.web.auth import Caller, allow
from noria.web.deps import StoresDep
from noria.web.templates import render, see_other

router = APIRouter()

JOB: Final = "tracing.import"
TITLES: Final = {
    "langfuse": "Langfuse",
    "mlflow": "MLflow",
    "phoenix": "Phoenix",
    "langsmith": "LangSmith",
    "otlp": "OpenTelemetry (OTLP)",
}
_EARLIER: Final = 20
_COUNTS: Final = re.compile(r"([\d,]+) spans and ([\d,]+) scores, ([\d,]+) refused")
"""The note of a running import (noria.tracing.imports.taking), which pages say in the reader's language."""

Viewer = Annotated[Caller, allow("view")]


@router.get("/traces/import")
def imports_page(request: Request, stores: StoresDep, caller: Viewer, job: str = "") -> Response:
    """The form, the import that is followed, and those before it."""
    found, _ = jobs.list_jobs(stores, caller.project_id, name=JOB, limit=_EARLIER)
    return render(
        request,
        caller,
        "tracing/imports.html",
        **_followed(_import(stores, caller, job) if job else None),
        earlier=[(one, _tally(one)) for one in found],
        tools=TOOLS,
        most=stores.settings.max_upload_mb,
    )


@router.get("/traces/fragments/import/{job_id}")
def import_part(request: Request, stores: StoresDep, caller: Viewer, job_id: str) -> Response:
    """How far one import is, and in the end what came of it."""
    return render(request, caller, "tracing/_import.html", follow=True, **_followed(_import(stores, caller, job_id)))


@router.post("/traces/import")
def import_files(
    stores: StoresDep,
    caller: Annotated[Caller, allow("write_traces")],
    *,
    files: Annotated[list[UploadFile], File(description="JSON lines, JSON, CSV or Parquet; gzip is undone.")],
    tool: Annotated[str, Form()] = "auto",
) -> Response:
    """Store the exports, start the job that takes them in, and follow it."""
    sent: list[tuple[str, BinaryIO]] = [(file.filename or "", file.file) for file in files if file.filename]
    return see_other(f"/traces/import?job={start(stores, caller, tool, sent).id}")


def _import(stores: Stores, caller: Caller, job_id: str) -> Job:
    """Raises NotFound, also for a job that is no import."""
    job = jobs.get(stores, caller.project_id, job_id)
    if job.name != JOB:
        raise NotFound("There is no such job.")
    return job


def said(note: str) -> str:
    """The note of a running import, so that a page can say it in the reader's language; any other note as it is."""
    counts = _COUNTS.fullmatch(note)
    if counts is None:
        return note
    spans, scores, refused = counts.groups()
    return Sentence("{spans} spans and {scores} scores, {refused} refused", spans=spans, scores=scores, refused=refused)


def _followed(job: Job | None) -> dict[str, Any]:
    tally = _tally(job) if job else None
    return {
        "job": job,
        "tally": tally,
        "note": said(job.note) if job else "",
        "titles": TITLES,
        "first": moment(tally.first_ns) if tally and tally.first_ns else None,
        "last": moment(tally.last_ns) if tally and tally.last_ns else None,
        "found": _search(tally) if tally else "",
    }


def _tally(job: Job) -> Tally | None:
    """What came of an import that has ended well."""
    names = {one.name for one in fields(Tally)}
    return Tally(**{name: value for name, value in job.result.items() if name in names}) if job.result else None


def _search(tally: Tally) -> str:
    """The filter that finds the traces of an import, by its tool and its time; "" when there are none."""
    if not tally.spans:
        return ""
    bounds = [
        f"since:{moment(tally.first_ns):%Y-%m-%dT%H:%M:%S}",
        f"until:{moment(tally.last_ns + 10**9):%Y-%m-%dT%H:%M:%S}",
    ]
    return filters.joined([filters.term("attr.noria.imported_from", tally.tool), *bounds])
