"""Datasets, items and runs as Langfuse's clients make and read them (docs/moving-from-langfuse.md)."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import uuid4

from fastapi import APIRouter
from pydantic import BaseModel, Field

from noria.datasets import items, runs, service
from noria.datasets import langfuse_datasets as theirs
from noria.datasets.item_shapes import Item
from noria.stores.connect import Stores
from noria.tracing import media
from noria.tracing.http_langfuse_media import described
from noria.tracing.imports import items as tracing_ids
from noria.web.auth import Caller, allow
from noria.web.deps import StoresDep
from noria.web.langfuse import PageNumber, PageSize, paged, references

router = APIRouter(prefix="/api/public", tags=["Langfuse: datasets"])

Viewer = Annotated[Caller, allow("view")]
Editor = Annotated[Caller, allow("edit")]


class LangfuseDataset(BaseModel):
    """A dataset; one of the same name is changed."""

    name: str
    description: str | None = Field(None, max_length=10_000)
    metadata: Any = None
    inputSchema: dict[str, Any] | None = None
    expectedOutputSchema: dict[str, Any] | None = None


class LangfuseItem(BaseModel):
    """An item; one of the same id is changed where something is given."""

    datasetName: str
    id: str | None = None
    input: Any = None
    expectedOutput: Any = None
    metadata: Any = None
    sourceTraceId: str | None = Field(None, max_length=200)
    sourceObservationId: str | None = Field(None, max_length=200)
    status: Literal["ACTIVE", "ARCHIVED"] | None = None


class LangfuseRunItem(BaseModel):
    """The trace that came of an item in a run."""

    runName: str
    datasetItemId: str
    traceId: str
    observationId: str | None = None
    runDescription: str | None = None
    metadata: Any = None


@router.get("/v2/datasets")
def langfuse_datasets(stores: StoresDep, caller: Viewer, page: PageNumber = 1, limit: PageSize = 50) -> dict[str, Any]:
    """Datasets by page, by name."""
    found, total = theirs.list_page(stores, caller.project_id, page=page, limit=limit)
    return paged([theirs.dataset_as_theirs(one) for one in found], page, limit, total)


@router.post("/v2/datasets")
def langfuse_create_dataset(body: LangfuseDataset, stores: StoresDep, caller: Editor) -> dict[str, Any]:
    """Make a dataset, or change the description, metadata or schemas of the one of this name."""
    about = body.model_dump(include={"metadata", "inputSchema", "expectedOutputSchema"})
    made = theirs.put(
        stores,
        project_id=caller.project_id,
        name=body.name,
        description=body.description,
        about=about,
        actor_id=caller.id,
    )
    return theirs.dataset_as_theirs(made)


@router.get("/v2/datasets/{name:path}")
def langfuse_dataset(name: str, stores: StoresDep, caller: Viewer) -> dict[str, Any]:
    """One dataset."""
    return theirs.dataset_as_theirs(service.find_known(stores, caller.project_id, name))


@router.post("/dataset-items")
def langfuse_create_item(body: LangfuseItem, stores: StoresDep, caller: Editor) -> dict[str, Any]:
    """Add an item, or change the one of this id. It is read at once, and stands in a version a few seconds later."""
    dataset = service.find_known(stores, caller.project_id, body.datasetName)
    theirs.check_item(dataset, {"inputSchema": body.input, "expectedOutputSchema": body.expectedOutput})
    item = Item(
        id=body.id or str(uuid4()),
        input=body.input,
        expected_output=body.expectedOutput,
        metadata=body.metadata,
        trace_id=body.sourceTraceId or "",
        observation_id=body.sourceObservationId or "",
    )
    archived = None if body.status is None else body.status == "ARCHIVED"
    return _item(stores, items.put(stores, dataset=dataset, item=item, archived=archived, actor_id=caller.id))


@router.get("/dataset-items")
def langfuse_items(
    stores: StoresDep,
    caller: Viewer,
    *,
    datasetName: str,
    sourceTraceId: str = "",
    version: datetime | None = None,
    page: PageNumber = 1,
    limit: PageSize = 50,
) -> dict[str, Any]:
    """Items of a dataset by page, the first of them first, without archived ones; `version`: as they were at that time."""
    dataset = service.find_known(stores, caller.project_id, datasetName)
    found = items.list_page(stores, dataset, page=page, limit=limit, at=version, trace_id=sourceTraceId)
    return paged([_item(stores, one) for one in found.items], page, limit, found.total)


@router.get("/dataset-items/{item_id:path}")
def langfuse_item(item_id: str, stores: StoresDep, caller: Viewer) -> dict[str, Any]:
    """One item."""
    return _item(stores, items.get(stores, caller.project_id, item_id))


@router.delete("/dataset-items/{item_id:path}")
def langfuse_delete_item(item_id: str, stores: StoresDep, caller: Editor) -> dict[str, str]:
    """Leave an item out of later versions of its dataset; earlier versions keep it."""
    items.remove(stores, project_id=caller.project_id, item_id=item_id, actor_id=caller.id)
    return {"message": "Dataset item successfully deleted"}


@router.post("/dataset-run-items")
def langfuse_create_run_item(body: LangfuseRunItem, stores: StoresDep, caller: Editor) -> dict[str, Any]:
    """Note which trace came of an item; the run is made by its first item."""
    known = items.get(stores, caller.project_id, body.datasetItemId)
    trace = tracing_ids.trace_id(body.traceId) if body.traceId.strip() else ""
    run, item = runs.add_item(
        stores,
        dataset=known.dataset,
        run_name=body.runName,
        item_id=known.item.id,
        trace_id=trace,
        observation_id=tracing_ids.span_id(body.observationId, trace),
        description=body.runDescription or "",
        about=body.metadata,
        actor_id=caller.id,
    )
    return theirs.run_item_as_theirs(run, item)


@router.get("/dataset-run-items")
def langfuse_run_items(
    stores: StoresDep,
    caller: Viewer,
    *,
    datasetId: str,
    runName: str,
    page: PageNumber = 1,
    limit: PageSize = 50,
) -> dict[str, Any]:
    """Items of a run by page."""
    dataset = theirs.find_by_id(stores, caller.project_id, datasetId)
    run, found = runs.get(stores, dataset, runName)
    shown = found[(page - 1) * limit : page * limit]
    return paged([theirs.run_item_as_theirs(run, one) for one in shown], page, limit, len(found))


@router.get("/datasets/{name:path}/runs")
def langfuse_runs(
    name: str, stores: StoresDep, caller: Viewer, page: PageNumber = 1, limit: PageSize = 50
) -> dict[str, Any]:
    """Runs of a dataset by page, the newest first."""
    dataset = service.find_known(stores, caller.project_id, name)
    found, total = runs.list_page(stores, dataset, page=page, limit=limit)
    return paged([theirs.run_as_theirs(dataset, run) for run in found], page, limit, total)


@router.get("/datasets/{name:path}/runs/{run_name:path}")
def langfuse_run(name: str, run_name: str, stores: StoresDep, caller: Viewer) -> dict[str, Any]:
    """One run with its items."""
    dataset = service.find_known(stores, caller.project_id, name)
    run, found = runs.get(stores, dataset, run_name)
    told = [theirs.run_item_as_theirs(run, one) for one in found]
    return {**theirs.run_as_theirs(dataset, run), "datasetRunItems": told}


@router.delete("/datasets/{name:path}/runs/{run_name:path}")
def langfuse_delete_run(name: str, run_name: str, stores: StoresDep, caller: Editor) -> dict[str, str]:
    """Forget a run; its traces and their scores stay."""
    runs.remove(stores, service.find_known(stores, caller.project_id, name), run_name, caller.id)
    return {"message": "Dataset run successfully deleted"}


def _item(stores: Stores, known: items.Known) -> dict[str, Any]:
    """The item, and the media files that it speaks of."""
    told = theirs.item_as_theirs(known)
    found = [(field, one) for field in ("input", "expectedOutput", "metadata") for one in references(told[field])]
    if found:
        files = media.find_all(stores, known.dataset.project_id, [one.media_id for _, one in found])
        told["mediaReferences"] = [
            {
                "field": field,
                "referenceString": one.text,
                "jsonPath": one.path,
                "media": described(stores, files[one.media_id]),
            }
            for field, one in found
            if one.media_id in files
        ]
    return told
