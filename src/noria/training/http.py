"""JSON API of training runs. Their job says how far they are: /api/jobs/{job} and its points are the loss curve."""

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import BaseModel, Field

from noria.training import service
from noria.training.records import TrainingRun
from noria.web.auth import Caller, allow
from noria.web.deps import StoresDep
from noria.web.paging import Cursor, Limit

router = APIRouter(prefix="/api/training", tags=["training"])


class NewRun(BaseModel):
    """What to train on what."""

    dataset: str = Field(max_length=200, description='Dataset version: "calls:3"')
    split: str = Field("train", max_length=64)
    prompt: str = Field(max_length=200, description='Prompt version of format text: "call@2"')
    model: str = Field(max_length=64, description="Name of the model that the result becomes a version of")
    base: str = Field(service.BASE, max_length=200, description="Base model version")
    recipe: str = Field("lora_sft", max_length=64)
    examples: int | None = Field(None, description="Shorthand for the parameter of that name")
    epochs: float | None = Field(None, description="Shorthand for the parameter of that name")
    parameters: dict[str, Any] = Field(default_factory=dict, description="Parameters of the recipe")


def as_json(run: TrainingRun) -> dict[str, Any]:
    return asdict(run) | {"job": run.job_id}


@router.post("")
def start_training(body: NewRun, stores: StoresDep, caller: Annotated[Caller, allow("edit")]) -> dict[str, str]:
    """Start a training run; its job says how far it is."""
    asked = body.model_dump(exclude={"examples", "epochs", "parameters"})
    short = {name: value for name in ("examples", "epochs") if (value := getattr(body, name)) is not None}
    run = service.start(
        stores, project_id=caller.project_id, actor_id=caller.id, parameters=body.parameters | short, **asked
    )
    return {"id": run.id, "job": run.job_id}


@router.get("")
def list_training(
    stores: StoresDep, caller: Annotated[Caller, allow("view")], limit: Limit = 50, cursor: Cursor = None
) -> dict[str, Any]:
    """Training runs, newest first."""
    page = service.list_runs(stores, caller.project_id, limit=limit, cursor=cursor)
    return {"items": [as_json(run) for run in page.items], "next": page.next}


@router.get("/{run_id}")
def get_training(run_id: str, stores: StoresDep, caller: Annotated[Caller, allow("view")]) -> dict[str, Any]:
    """One training run: inputs, parameters, state and, once it is done, metrics, files and model version."""
    return as_json(service.get(stores, caller.project_id, run_id))
