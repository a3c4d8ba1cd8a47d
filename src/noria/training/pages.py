"""Pages of training: the list of runs, and one run with its loss as it falls."""

from dataclasses import fields
from typing import Annotated, Any

from fastapi import APIRouter, Form, Request
from starlette.responses import Response

from noria.core.errors import BadInput
from noria.governance import audit
from noria.jobs import service as jobs
from noria.stores.connect import Stores
from noria.training import configs, service
from noria.training.records import TrainingRun
from noria.web import charts
from noria.web.auth import Caller, allow
from noria.web.deps import StoresDep
from noria.web.i18n import of_request, words
from noria.web.paging import Cursor, Limit
from noria.web.templates import render, see_other

router = APIRouter()

Viewer = Annotated[Caller, allow("view")]
Editor = Annotated[Caller, allow("edit")]
Text = Annotated[str, Form(max_length=200)]


@router.get("/training")
def list_page(
    *, request: Request, stores: StoresDep, caller: Viewer, dataset: str = "", limit: Limit = 50, cursor: Cursor = None
) -> Response:
    """All training runs, newest first; `dataset` is what the form is filled with."""
    page = service.list_runs(stores, caller.project_id, limit=limit, cursor=cursor)
    choices = service.choices(stores, caller.project_id) if "edit" in caller.permissions else None
    moving = any(run.moving for run in page.items)
    return render(request, caller, "training/list.html", page=page, choices=choices, moving=moving, dataset=dataset)


@router.post("/training")
def start(
    stores: StoresDep,
    caller: Editor,
    dataset: Text,
    prompt: Text,
    model: Text,
    *,
    base: Text = service.BASE,
    examples: Text = "",
) -> Response:
    """Start a run, and go to its page."""
    wanted = examples.strip()
    if wanted and not (wanted.isascii() and wanted.isdecimal()):
        raise BadInput("The number of examples must be a whole number.", hint="Leave it empty for the recipe's own.")
    run = service.start(
        stores,
        project_id=caller.project_id,
        actor_id=caller.id,
        dataset=dataset.strip(),
        prompt=prompt.strip(),
        model=model.strip(),
        base=base.strip() or service.BASE,
        parameters={"examples": int(wanted)} if wanted else {},
    )
    return see_other(f"/training/{run.id}", "The training run is started.")


@router.get("/training/{run_id}")
def run_page(request: Request, stores: StoresDep, caller: Viewer, run_id: str) -> Response:
    """Status first, then the loss, the inputs, what it made."""
    run = service.get(stores, caller.project_id, run_id)
    values = _curve(request, stores, run)
    return render(request, caller, "training/run.html", run=run, meanings=_meanings(run), follow=False, **values)


@router.get("/training/{run_id}/progress")
def progress_part(request: Request, stores: StoresDep, caller: Viewer, run_id: str) -> Response:
    """The part of the page that follows the job."""
    run = service.get(stores, caller.project_id, run_id)
    return render(request, caller, "training/_progress.html", run=run, follow=True, **_curve(request, stores, run))


@router.post("/training/{run_id}/cancel")
def cancel(stores: StoresDep, caller: Editor, run_id: str) -> Response:
    """Stop the run; its job ends within a second."""
    run = service.get(stores, caller.project_id, run_id)
    with stores.database.begin() as connection:
        jobs.cancel(stores, caller.project_id, run.job_id, connection=connection)
        audit.record(
            connection,
            project_id=caller.project_id,
            actor_id=caller.id,
            verb="training.cancel",
            target_kind="training_run",
            target_id=run.id,
        )
    return see_other(f"/training/{run.id}", "The training run is being stopped.")


def _curve(request: Request, stores: Stores, run: TrainingRun) -> dict[str, Any]:
    """The loss so far as a chart, and the newest values in words."""
    say = words(of_request(request))
    points = jobs.points(stores, run.project_id, run.job_id)
    losses = [(point["step"], point["values"]["loss"]) for point in points if "loss" in point["values"]]
    rows = [{"step": step, "loss": loss, "curve": say("batch")} for step, loss in losses]
    rows += [
        {"step": step, "loss": _mean(losses, i), "curve": say("running mean")} for i, (step, _) in enumerate(losses)
    ]
    spec = charts.line(
        charts.thin(rows),
        x="step",
        y="loss",
        series="curve",
        x_title=say("step"),
        zero=True,
        height=220,
        colours=("var(--edge)", charts.SERIES[0]),
    )
    return {"chart_spec": spec if losses else None, "newest": points[-1] if points else None}


def _mean(losses: list[tuple[int, float]], index: int, width: int = 7) -> float:
    """Mean of the last `width` losses up to `index`."""
    part = [loss for _, loss in losses[max(0, index + 1 - width) : index + 1]]
    return round(sum(part) / len(part), 4)


def _meanings(run: TrainingRun) -> list[tuple[str, Any, bool]]:
    """(parameter, value, whether it differs from the recipe's default)."""
    kind = configs.RECIPES[run.recipe]
    return [(f.name, run.parameters.get(f.name), run.parameters.get(f.name) != f.default) for f in fields(kind)]
