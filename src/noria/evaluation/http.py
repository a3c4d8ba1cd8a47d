"""JSON API of evaluations, their results, comparisons and gates."""

from dataclasses import asdict
from typing import Annotated, Any, Literal

from fastapi import APIRouter
from pydantic import BaseModel, Field

from noria.evaluation import gate_requests, results, service
from noria.evaluation.records import Evaluation
from noria.web.auth import Caller, allow
from noria.web.deps import StoresDep
from noria.web.paging import Cursor, Limit

router = APIRouter(prefix="/api", tags=["evaluation"])


class NewEvaluation(BaseModel):
    """What to evaluate on which rows."""

    dataset: str = Field(max_length=200, description='"calls:2"')
    target: str = Field(max_length=200, description='"assistant@2" or "baseline:majority|nearest|linear"')
    split: str = Field("test", max_length=64)
    limit: int | None = Field(None, ge=1, description="At most this many rows; always the same ones.")
    concurrency: int = Field(4, ge=1, le=64, description="Requests at the same time.")
    max_tokens: int | None = Field(None, ge=1, description="Overrides what the release says.")


class GateRequest(BaseModel):
    """Evidence to use; the newest of each release when left out."""

    evaluation: str | None = None
    incumbent_evaluation: str | None = None


def as_json(evaluation: Evaluation) -> dict[str, Any]:
    """An evaluation with its report's fields on the same level."""
    document = asdict(evaluation)
    report = document.pop("report") or {}
    return {**report, **document, "job": evaluation.job_id}


@router.post("/evaluations")
def start(body: NewEvaluation, stores: StoresDep, caller: Annotated[Caller, allow("edit")]) -> dict[str, str]:
    """Start an evaluation; its job says how far it is."""
    started = service.start(stores, project_id=caller.project_id, actor_id=caller.id, **body.model_dump())
    return {"id": started.id, "job": started.job_id}


@router.get("/evaluations")
def list_evaluations(
    *,
    stores: StoresDep,
    caller: Annotated[Caller, allow("view")],
    target: str | None = None,
    dataset: str | None = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> dict[str, Any]:
    """Evaluations, newest first."""
    page = service.list_evaluations(
        stores, caller.project_id, target=target, dataset=dataset, limit=limit, cursor=cursor
    )
    return {"items": [as_json(one) for one in page.items], "next": page.next}


@router.get("/evaluations/compare")
def compare(
    a: str, b: str, stores: StoresDep, caller: Annotated[Caller, allow("view")], metric: str | None = None
) -> dict[str, Any]:
    """Is `b` better than `a`? Paired tests on the rows that both answered; `metric` leaves one."""
    return service.compare(stores, caller.project_id, a, b, metric=metric)


@router.get("/evaluations/{evaluation_id}")
def get(evaluation_id: str, stores: StoresDep, caller: Annotated[Caller, allow("view")]) -> dict[str, Any]:
    """One evaluation: its state, and its report once it is done."""
    return as_json(service.get(stores, caller.project_id, evaluation_id))


@router.get("/evaluations/{evaluation_id}/results")
def browse_results(
    *,
    evaluation_id: str,
    stores: StoresDep,
    caller: Annotated[Caller, allow("view")],
    only: Literal["", "wrong", "invalid", "failed"] = "",
    limit: Limit = 50,
    cursor: Cursor = None,
) -> dict[str, Any]:
    """Row by row: what was asked, expected and given."""
    evaluation = service.get(stores, caller.project_id, evaluation_id)
    page = results.browse(stores, evaluation, only=only, limit=limit, cursor=cursor)
    return {"items": page.items, "next": page.next}


@router.post("/endpoints/{endpoint}/releases/{number}/gate")
def gate(
    endpoint: str,
    number: int,
    stores: StoresDep,
    caller: Annotated[Caller, allow("edit")],
    body: GateRequest | None = None,
) -> dict[str, str]:
    """Check the endpoint's gate with the evidence there is; the job's result is the gate result."""
    asked = body or GateRequest()
    job = gate_requests.start(
        stores,
        project_id=caller.project_id,
        actor_id=caller.id,
        endpoint=endpoint,
        number=number,
        evaluation=asked.evaluation,
        incumbent_evaluation=asked.incumbent_evaluation,
    )
    return {"job": job.id}
