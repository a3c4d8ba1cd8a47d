"""The overview: is everything all right, and what needs me? It asks the slices below; it keeps nothing of its own.

The decision to know: what waits is worked out from the records each time, so it can never be out of date or dismissed.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any, Final

from fastapi import APIRouter, Request
from starlette.responses import Response

from noria.core import clock
from noria.datasets import service as datasets
from noria.evaluation import service as evaluation
from noria.evaluation.records import METRICS
from noria.jobs import service as jobs
from noria.jobs.records import Job
from noria.registry import service as registry
from noria.registry.detail import ReleaseDetail
from noria.registry.records import Endpoint
from noria.stores.connect import Stores
from noria.tracing import service as tracing
from noria.tracing import traffic, views
from noria.tracing.pages_imports import said
from noria.tracing.records import TraceFilter, TraceRow, Traffic
from noria.web.auth import Caller, allow
from noria.web.deps import StoresDep
from noria.web.paging import Page
from noria.web.templates import render

router = APIRouter()

Viewer = Annotated[Caller, allow("view")]

_HOUR: Final = timedelta(hours=1)
_DAY: Final = timedelta(days=1)
_ENDPOINTS: Final = 50
_NEWEST: Final = 6
_LOOKED_AT: Final = 10
"""How many candidates are looked into: each costs a few queries."""

JOB_TITLES: Final[dict[str, str]] = {
    "datasets.import": "Import",
    "datasets.clean": "Cleaning",
    "datasets.from_feedback": "Dataset from feedback",
    "datasets.from_traces": "Rows from traces",
    "datasets.merge": "Merging",
    "evaluation.run": "Evaluation",
    "evaluation.gate": "Gate",
    "training.run": "Training",
    "tracing.import": "Import of traces",
}
_JOB_PAGES: Final[dict[str, tuple[str, str]]] = {
    "evaluation.run": ("/evaluations", "evaluation_id"),
    "training.run": ("/training", "run_id"),
}


@dataclass(frozen=True, slots=True)
class Line:
    """One release that serves an endpoint, or has served it within the hour."""

    release: int
    arm: str
    share: float
    """Of new sessions; 0 for one that serves no more."""
    figures: views.Arm | None


@dataclass(frozen=True, slots=True)
class Serving:
    """One endpoint, what serves it, and its last hour."""

    endpoint: Endpoint
    lines: list[Line]
    minutes: list[int]
    """Requests of each of the last 60 minutes."""

    @property
    def requests(self) -> int:
        return sum(line.figures.figures.requests for line in self.lines if line.figures)

    @property
    def failed(self) -> int:
        return sum(line.figures.figures.errors for line in self.lines if line.figures)


@dataclass(frozen=True, slots=True)
class Need:
    """Something that does not go on by itself. `mine`: the caller is one who can do it."""

    what: str
    """English, with {name}; a template says it in the reader's language."""
    name: str
    path: str
    why: str = ""
    tone: str = "warn"
    mine: bool = True


@router.get("/")
def overview_page(request: Request, stores: StoresDep, caller: Viewer) -> Response:
    """Everything at a glance; on an installation where nothing is yet, the first three steps."""
    serving, away = _serving(stores, caller.project_id)
    newest, _ = _newest(stores, caller.project_id)
    made = datasets.list_datasets(stores, caller.project_id, limit=1).items
    evaluations = evaluation.list_evaluations(stores, caller.project_id, limit=_NEWEST).items
    return render(
        request,
        caller,
        "app/overview.html",
        serving=serving,
        away=away,
        rows=newest,
        evaluations=evaluations,
        metrics=METRICS,
        begun=bool(serving or made or evaluations or newest),
        has_dataset=bool(made),
        gateway=stores.settings.gateway_url,
        **_waiting(stores, caller),
    )


@router.get("/overview/endpoints")
def endpoints_part(request: Request, stores: StoresDep, caller: Viewer) -> Response:
    """The part with the endpoints, again."""
    serving, away = _serving(stores, caller.project_id)
    return render(request, caller, "app/_endpoints.html", serving=serving, away=away)


@router.get("/overview/waiting")
def waiting_part(request: Request, stores: StoresDep, caller: Viewer) -> Response:
    """The part with what waits and what runs, again."""
    return render(request, caller, "app/_waiting.html", **_waiting(stores, caller))


def _serving(stores: Stores, project_id: str) -> tuple[list[Serving], views.Away | None]:
    found = registry.list_endpoints(stores, project_id, limit=_ENDPOINTS).items
    if not found:
        return [], None
    now = clock.now()
    nothing: tuple[list[Traffic], list[Traffic]] = ([], [])
    (sums, minutes), away = views.reach(
        lambda: (
            traffic.summary(stores, project_id, "", now - _HOUR),
            traffic.traffic(stores, project_id, "", 59),
        ),
        nothing,
    )
    return [_figures(one, sums, minutes) for one in found], away


def _figures(endpoint: Endpoint, sums: Sequence[Traffic], minutes: Sequence[Traffic]) -> Serving:
    now = clock.now().replace(second=0, microsecond=0)
    counts = [0] * 60
    for row in minutes:
        back = int((now - row.time).total_seconds() // 60)
        if row.endpoint == endpoint.name and 0 <= back < 60:
            counts[59 - back] += row.requests
    return Serving(endpoint, _lines(endpoint, views.arms(row for row in sums if row.endpoint == endpoint.name)), counts)


def _lines(endpoint: Endpoint, arms: Sequence[views.Arm]) -> list[Line]:
    """What serves first, then what else answered within the hour."""
    figures = {(arm.figures.release, arm.figures.arm): arm for arm in arms}
    lines = []
    for number, arm, share in (
        (endpoint.primary, "primary", 1 - endpoint.canary_share),
        (endpoint.canary, "canary", endpoint.canary_share),
    ):
        if number:
            lines.append(Line(number, arm, share, figures.pop((number, arm), None)))
    return [*lines, *(Line(number, arm, 0.0, one) for (number, arm), one in figures.items())]


def _newest(stores: Stores, project_id: str) -> tuple[list[TraceRow], views.Away | None]:
    nothing: Page[TraceRow] = Page([])
    page, away = views.reach(
        lambda: tracing.list_traces(stores, project_id, TraceFilter(live=True), limit=_NEWEST), nothing
    )
    return page.items, away


def _waiting(stores: Stores, caller: Caller) -> dict[str, Any]:
    """What waits, what the caller can do first, and the jobs that run."""
    endpoints = {one.name: one for one in registry.list_endpoints(stores, caller.project_id, limit=_ENDPOINTS).items}
    needs = [
        *_failures(stores, caller, endpoints),
        *_candidates(stores, caller, endpoints),
        *_empty(caller, endpoints),
    ]
    running = [
        job
        for state in ("running", "queued")
        for job in jobs.list_jobs(stores, caller.project_id, state=state, limit=10)[0]
    ]
    return {
        "needs": sorted(needs, key=lambda need: not need.mine),
        "running": [(job, JOB_TITLES.get(job.name, job.name), job_path(job), said(job.note)) for job in running],
    }


def _failures(stores: Stores, caller: Caller, endpoints: dict[str, Endpoint]) -> Iterator[Need]:
    """Releases that should serve and cannot, then jobs that failed since yesterday."""
    for one in endpoints.values():
        for number in filter(None, (one.primary, one.canary)):
            detail = registry.release_detail(stores, caller.project_id, one.name, number)
            if detail.serving == "failed":
                path = f"/endpoints/{one.name}"
                yield Need("The engine of {name} failed", f"{one.name}@{number}", path, detail.serving_error, "bad")
    since = clock.now() - _DAY
    for job in jobs.list_jobs(stores, caller.project_id, state="failed", limit=5)[0]:
        if (job.ended_at or job.created_at) >= since:
            why = (job.error or {}).get("message", "")
            yield Need(
                "failed", JOB_TITLES.get(job.name, job.name), job_path(job), why, "bad", "edit" in caller.permissions
            )


def _empty(caller: Caller, endpoints: dict[str, Endpoint]) -> Iterator[Need]:
    """Endpoints that applications may call in vain, because there is no release yet."""
    for one in endpoints.values():
        if not one.releases:
            path, edits = f"/endpoints/{one.name}", "edit" in caller.permissions
            yield Need("{name} has no release yet", one.name, path, one.description, "warn", edits)


def _candidates(stores: Stores, caller: Caller, endpoints: dict[str, Endpoint]) -> Iterator[Need]:
    """Releases newer than what serves, and what each of them waits for."""
    found = [
        one
        for one in registry.newest_releases(stores, caller.project_id, limit=50)
        if one.state in {"draft", "evaluated", "approved"}
        and one.endpoint in endpoints
        and one.number > endpoints[one.endpoint].primary
        and one.number not in _rolled_back(stores, caller.project_id, one.endpoint)
    ]
    for release in found[:_LOOKED_AT]:
        detail = registry.release_detail(stores, caller.project_id, release.endpoint, release.number)
        if need := need_of(detail, caller):
            yield need


def _rolled_back(stores: Stores, project_id: str, endpoint: str) -> set[int]:
    """Releases that were tried and taken back: nobody needs to be asked to try them again."""
    last: dict[int, str] = {}
    for event in registry.history(stores, project_id, endpoint, newest=True, limit=100).items:
        last.setdefault(event.release, event.event)
    return {number for number, event in last.items() if event == "rollback"}


def need_of(detail: ReleaseDetail, caller: Caller) -> Need | None:
    """What a release that does not serve yet waits for; None when it waits for nothing that somebody could do."""
    release = detail.release
    name, path = f"{release.endpoint}@{release.number}", f"/endpoints/{release.endpoint}"
    edits, reviews = "edit" in caller.permissions, "review" in caller.permissions
    if detail.serving == "failed":
        return Need("The engine of {name} failed", name, path, detail.serving_error, "bad", edits)
    if not detail.blocked:
        what = "{name} may serve as the first release" if detail.first else "{name} may become the canary"
        return Need(what, name, path, release.note, "good", reviews)
    if detail.gate_state in {"missing", "stale"}:
        return Need("{name} waits for its gate", name, path, detail.gate_note or release.note, "warn", edits)
    if detail.gate_state == "failed":
        return None
    own = release.author_id == caller.id and not detail.endpoint.self_approval
    said_yes = any(one.person_id == caller.id for one in detail.approvals)
    return Need("{name} waits for approval", name, path, release.note, "warn", reviews and not own and not said_yes)


def job_path(job: Job) -> str:
    """The page that shows what a job works on; empty when there is none."""
    page, argument = _JOB_PAGES.get(job.name, ("", ""))
    if job.name.startswith("datasets."):
        return f"/datasets?job={job.id}"  # the dataset may not be there yet, or never
    if job.name == "tracing.import":
        return f"/traces/import?job={job.id}"
    if job.name == "evaluation.gate":
        return f"/endpoints/{job.args['endpoint']}" if job.args.get("endpoint") else "/endpoints"
    return f"{page}/{job.args[argument]}" if job.args.get(argument) else page
