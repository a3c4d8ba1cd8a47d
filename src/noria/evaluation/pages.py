"""Pages of evaluation: the list, one report with its rows, and two side by side."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Form, Request
from starlette.responses import Response

from noria.core.errors import BadInput
from noria.datasets.records import message_text
from noria.evaluation import canonical, results, service
from noria.evaluation.records import BASELINES, METRICS, Evaluation
from noria.web.auth import Caller, allow
from noria.web.deps import StoresDep
from noria.web.paging import Cursor, Limit
from noria.web.templates import render, see_other

router = APIRouter()

Viewer = Annotated[Caller, allow("view")]
Editor = Annotated[Caller, allow("edit")]
Text = Annotated[str, Form(max_length=200)]
Only = Literal["", "wrong", "invalid", "failed"]


@dataclass(frozen=True, slots=True)
class FieldMark:
    """One field of a call in the rows' table: what was expected, what was given."""

    name: str
    expected: str | None
    given: str | None

    @property
    def right(self) -> bool:
        return self.expected == self.given


@router.get("/evaluations")
def list_page(
    *, request: Request, stores: StoresDep, caller: Viewer, dataset: str = "", limit: Limit = 50, cursor: Cursor = None
) -> Response:
    """All evaluations, newest first."""
    page = service.list_evaluations(stores, caller.project_id, dataset=dataset or None, limit=limit, cursor=cursor)
    choices = service.choices(stores, caller.project_id) if "edit" in caller.permissions else None
    return render(
        request,
        caller,
        "evaluation/list.html",
        page=page,
        dataset=dataset,
        choices=choices,
        baselines=BASELINES,
        metrics=METRICS,
        running=any(one.state in {"queued", "running"} for one in page.items),
    )


@router.post("/evaluations")
def start(
    stores: StoresDep, caller: Editor, dataset: Text, target: Text, *, split: Text = "test", rows: Text = ""
) -> Response:
    """Start one, and go to its page."""
    limit = rows.strip()
    if limit and not (limit.isascii() and limit.isdecimal() and int(limit) > 0):
        raise BadInput("The number of rows must be a whole number above 0.", hint="Leave it empty for all rows.")
    started = service.start(
        stores,
        project_id=caller.project_id,
        actor_id=caller.id,
        dataset=dataset.strip(),
        target=target.strip(),
        split=split.strip() or "test",
        limit=int(limit) if limit else None,
    )
    return see_other(f"/evaluations/{started.id}", "The evaluation is started.")


@router.get("/evaluations/compare")
def compare_page(
    *, request: Request, stores: StoresDep, caller: Viewer, a: str, b: str, cursor: Cursor = None
) -> Response:
    """Two evaluations on the same rows: which is better, and on which rows they differ."""
    found = service.compare(stores, caller.project_id, a, b)
    first, second = (service.get(stores, caller.project_id, one) for one in (a, b))
    apart = results.differing(stores, first, second, cursor=cursor)
    rows = [
        {**row, "asked": _asked(row), "fields": {s: _fields(row["expected"], row[s]) for s in "ab"}}
        for row in apart.items
    ]
    return render(
        request,
        caller,
        "evaluation/compare.html",
        found=found,
        a=first,
        b=second,
        others=[one for one in [second, *service.beside(stores, second)] if one.id not in {a, b}],
        rows=rows,
        next=apart.next,
        metrics=METRICS,
        span=_span(found),
    )


@router.get("/evaluations/{evaluation_id}")
def evaluation_page(
    *,
    request: Request,
    stores: StoresDep,
    caller: Viewer,
    evaluation_id: str,
    only: Only = "",
    cursor: Cursor = None,
) -> Response:
    """The report first, then the rows."""
    evaluation = service.get(stores, caller.project_id, evaluation_id)
    page = results.browse(stores, evaluation, only=only, limit=25, cursor=cursor)
    return render(
        request,
        caller,
        "evaluation/evaluation.html",
        evaluation=evaluation,
        report=evaluation.report,
        beside=_ordered(evaluation, service.beside(stores, evaluation)) if evaluation.report else [],
        counts=results.row_counts(stores, evaluation),
        only=only,
        rows=[{**row, "asked": _asked(row), "fields": _fields(row["expected"], row["output"])} for row in page.items],
        next=page.next,
        metrics=METRICS,
    )


@router.get("/evaluations/{evaluation_id}/progress")
def progress_part(request: Request, stores: StoresDep, caller: Viewer, evaluation_id: str) -> Response:
    """The part of the page that follows the job."""
    evaluation = service.get(stores, caller.project_id, evaluation_id)
    return render(request, caller, "evaluation/_progress.html", evaluation=evaluation)


def _ordered(evaluation: Evaluation, others: list[Evaluation]) -> list[Evaluation]:
    """This one, then other releases, then baselines; each newest first."""
    return [evaluation, *sorted(others, key=lambda one: bool(one.baseline))]


def _asked(row: dict[str, Any]) -> list[tuple[str, str]]:
    """(role, text) of what was asked."""
    return [(str(message.get("role", "")), message_text(message)) for message in row["input"]]


def _fields(expected: str, given: str) -> list[FieldMark] | None:
    """Field by field when both are calls; None when they are to be shown as text."""
    wanted, got = canonical.parse_object(expected), canonical.parse_object(given)
    if wanted is None or got is None:
        return None
    left, right = _flat(wanted), _flat(got)
    return [FieldMark(name, left.get(name), right.get(name)) for name in dict.fromkeys([*left, *right])]


def _flat(value: dict[str, Any]) -> dict[str, str]:
    shown = {} if "name" not in value else {"name": canonical.canonical(value["name"])}
    for path, text in canonical.fields(value).items():
        shown[path.replace('"', "")] = text
    return {name: text.removeprefix('"').removesuffix('"') for name, text in shown.items()}


def _span(found: dict[str, Any]) -> float:
    """Half of the scale on which differences are drawn: the widest interval, rounded up to a tenth."""
    widest = max((max(abs(one["low"]), abs(one["high"])) for one in found["metrics"].values()), default=0.1)
    return max(0.1, min(1.0, int(widest * 10 + 1) / 10))
