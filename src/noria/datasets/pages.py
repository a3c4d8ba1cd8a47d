"""Pages of datasets: the list, one version with its rows, what cleaning did to which row, one row in full.

A version is named in the query (`?version=2`), the latest when it is left out. Jobs are followed where they were started.
"""

from typing import Annotated, BinaryIO, Final

from fastapi import APIRouter, File, Form, Query, Request, UploadFile
from starlette.responses import Response

from noria.core.errors import NotFound
from noria.datasets import changes, items, run_views, service, start, views
from noria.datasets.from_traces import REASONS
from noria.datasets.options import Options
from noria.governance import people
from noria.jobs import service as jobs
from noria.jobs.records import Job
from noria.registry import service as registry
from noria.stores.connect import Stores
from noria.web.auth import Caller, allow
from noria.web.deps import StoresDep
from noria.web.paging import Cursor, Limit
from noria.web.templates import render, see_other

router = APIRouter()

Viewer = Annotated[Caller, allow("view")]
Editor = Annotated[Caller, allow("edit")]
Text = Annotated[str, Form(max_length=200)]
Number = Annotated[int | None, Query(ge=1, description="The version; its latest when left out.")]

_ROWS: Final = 25
STEPS: Final[dict[str, str]] = {
    "repair": "repair broken encoding",
    "mask": "mask personal data",
    "exact": "remove exact duplicates",
    "near": "remove near duplicates",
    "leakage": "remove taught rows that are also tested",
    "outliers": "look for unusual lengths",
    "remove_conflicts": "remove rows that contradict each other",
}
"""The steps of a cleaning that its form can switch, as it names them; thresholds are set through the API."""


@router.get("/datasets")
def list_page(
    *, request: Request, stores: StoresDep, caller: Viewer, limit: Limit = 50, cursor: Cursor = None, job: str = ""
) -> Response:
    """All datasets by name; `job` is one that was just started."""
    page = service.list_datasets(stores, caller.project_id, limit=limit, cursor=cursor)
    return render(request, caller, "datasets/list.html", page=page, job=_job(stores, caller, job))


@router.post("/datasets/import")
def import_files(
    *,
    stores: StoresDep,
    caller: Editor,
    files: Annotated[list[UploadFile], File(description="JSONL, CSV or Parquet; each at most `max_upload_mb`.")],
    name: Text,
    text: Text = "",
    label: Text = "",
    split: Text = "",
) -> Response:
    """Store the files, start the import, and follow it."""
    sent: list[tuple[str, BinaryIO]] = [(file.filename or "", file.file) for file in files if file.filename]
    columns = {"text": text.strip(), "label": label.strip(), "split": split.strip()}
    job = start.import_files(
        stores,
        caller.project_id,
        caller.id,
        name=name.strip(),
        files=sent,
        mapping={key: column for key, column in columns.items() if column},
        splits={},
    )
    return see_other(f"/datasets?job={job.id}")


@router.get("/datasets/_job/{job_id}")
def job_part(request: Request, stores: StoresDep, caller: Viewer, job_id: str) -> Response:
    """The panel that follows a job. No dataset's name begins with an underscore."""
    return render(request, caller, "datasets/_job.html", job=jobs.get(stores, caller.project_id, job_id), follow=True)


@router.get("/datasets/{name}")
def dataset_page(
    *,
    request: Request,
    stores: StoresDep,
    caller: Viewer,
    name: str,
    version: Number = None,
    split: str = "",
    q: Annotated[str, Query(max_length=200)] = "",
    cursor: Cursor = None,
    job: str = "",
) -> Response:
    """What is in a version, what made it and what was done to it, then its rows."""
    project = caller.project_id
    dataset = service.get(stores, project, name)
    versions = service.versions(stores, project, name)
    shown = service.find_version(stores, project, name, version) if versions else None
    rows = service.browse(stores, shown, split=split or None, q=q, limit=_ROWS, cursor=cursor) if shown else None
    return render(
        request,
        caller,
        "datasets/dataset.html",
        dataset=dataset,
        versions=versions,
        shown=shown,
        waiting=items.waiting(stores, dataset),
        runs=run_views.newest(stores, dataset),
        parent=next((one for one in versions if shown and one.id == shown.parent_id), None),
        names=_names(stores, project),
        found=views.found_by_cleaning(shown.report) if shown else [],
        rows=[views.said(example) for _, example in rows.items] if rows else [],
        next=rows.next if rows else None,
        split=split,
        q=q,
        steps=[(step, STEPS[step], getattr(Options(), step)) for step in STEPS],
        masked=views.MASKED,
        left_out=REASONS,
        endpoints=[one.name for one in registry.list_endpoints(stores, project, limit=50).items],
        job=_job(stores, caller, job),
    )


@router.get("/datasets/{name}/changes")
def changes_page(
    *,
    request: Request,
    stores: StoresDep,
    caller: Viewer,
    name: str,
    version: Number = None,
    reason: str = "",
    cursor: Cursor = None,
) -> Response:
    """What cleaning did, row by row, with the row before and after."""
    shown = service.find_version(stores, caller.project_id, name, version)
    page = changes.browse(stores, shown, reason=reason or None, limit=_ROWS, cursor=cursor)
    return render(
        request,
        caller,
        "datasets/changes.html",
        shown=shown,
        found=views.found_by_cleaning(shown.report),
        rows=[views.changed(one) for one in page.items],
        next=page.next,
        reason=reason,
        titles=views.TITLES,
        meanings=changes.REASONS,
    )


@router.get("/datasets/{name}/rows/{row_id}")
def row_page(
    *, request: Request, stores: StoresDep, caller: Viewer, name: str, row_id: str, version: Number = None
) -> Response:
    """One row in full, and the versions of this dataset that hold it."""
    shown = service.find_version(stores, caller.project_id, name, version)
    example = service.get_row(stores, shown, row_id)
    holding = [
        one
        for one in service.versions(stores, caller.project_id, name)
        if one.id == shown.id or service.find_row(stores, one, row_id) is not None
    ]
    return render(request, caller, "datasets/row.html", shown=shown, row=views.said(example), holding=holding)


@router.post("/datasets/{name}/clean")
def clean(
    stores: StoresDep,
    caller: Editor,
    name: str,
    version: Annotated[int, Form()],
    steps: Annotated[list[str] | None, Form()] = None,
) -> Response:
    """Start cleaning a version with the steps that were left on, and follow it."""
    shown = service.find_version(stores, caller.project_id, name, version)
    options = {step: step in (steps or ()) for step in STEPS}
    job = start.clean(stores, caller.project_id, caller.id, version=shown, options=options)
    return see_other(f"/datasets/{name}?version={version}&job={job.id}")


@router.post("/datasets/{name}/feedback")
def from_feedback(
    stores: StoresDep, caller: Editor, name: str, version: Annotated[int, Form()], endpoint: Text
) -> Response:
    """Start adding an endpoint's corrected and praised answers to a version, and follow it."""
    job = start.from_feedback(
        stores, caller.project_id, caller.id, name=name, endpoint=endpoint.strip(), base_version=f"{name}:{version}"
    )
    return see_other(f"/datasets/{name}?version={version}&job={job.id}")


def _names(stores: Stores, project_id: str) -> dict[str, str]:
    """What to call whoever made a version, by id."""
    with stores.database.read() as connection:
        return {person.id: person.name or person.email for person in people.list_people(connection, project_id)}


def _job(stores: Stores, caller: Caller, job_id: str) -> Job | None:
    """The job that a page follows; None when there is none, or it is somebody else's."""
    if not job_id:
        return None
    try:
        return jobs.get(stores, caller.project_id, job_id)
    except NotFound:
        return None
