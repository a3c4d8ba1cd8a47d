"""Pages of endpoints and releases: what serves this name, is it good, may I promote it?"""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Form, Request
from starlette.responses import Response

from noria.core.errors import NotFound
from noria.jobs import service as jobs
from noria.registry import (
    gates,
    lineage,
    pages_contents,
    pages_policy,
    pages_providers,
    prices,
    publish,
    service,
    views,
)
from noria.registry.detail import ReleaseDetail
from noria.registry.policy import decode
from noria.registry.readiness import PATIENCE
from noria.registry.records import Endpoint, Release
from noria.registry.typed import parse_json
from noria.stores.connect import Stores
from noria.web.auth import Caller, allow
from noria.web.deps import StoresDep
from noria.web.paging import Cursor, Limit
from noria.web.templates import render, see_other, way_back

router = APIRouter()
router.include_router(pages_contents.router)
router.include_router(pages_providers.router)
router.include_router(pages_policy.router)

Viewer = Annotated[Caller, allow("view")]
Editor = Annotated[Caller, allow("edit")]
Reviewer = Annotated[Caller, allow("review")]
Name = Annotated[str, Form(max_length=200)]
Text = Annotated[str, Form(max_length=100_000)]
Percent = Annotated[float, Form()]
Verb = Literal["approve", "reject", "canary", "shadow", "promote", "retire"]

_SHOWN = 20

NOTICES: dict[str, str] = {
    "approve": "Approved. The audit says who and why.",
    "reject": "Rejected. It can never serve.",
    "canary": "The canary takes its share of the sessions now.",
    "shadow": "The shadow hears its share of the sessions now; its answers are thrown away.",
    "promote": "It serves everybody now.",
    "retire": "Retired. It can no longer be called.",
}


@router.get("/endpoints")
def list_page(
    *, request: Request, stores: StoresDep, caller: Viewer, limit: Limit = 50, cursor: Cursor = None
) -> Response:
    """What serves each name."""
    page = service.list_endpoints(stores, caller.project_id, limit=limit, cursor=cursor)
    return render(request, caller, "registry/endpoints.html", page=page)


@router.post("/endpoints")
def create(stores: StoresDep, caller: Editor, name: Name, description: Name = "") -> Response:
    """Make an endpoint, and go to its page."""
    with stores.database.begin() as connection:
        made = service.create_endpoint(
            connection, project_id=caller.project_id, name=name.strip(), description=description, actor_id=caller.id
        )
    publish.publish(stores)
    return see_other(f"/endpoints/{made.name}", "The endpoint is made. Give it a release.")


@router.get("/endpoints/{name}")
def endpoint_page(*, request: Request, stores: StoresDep, caller: Viewer, name: str, cursor: Cursor = None) -> Response:
    """The answer and the one main action first; every number leads to what made it."""
    with stores.database.read() as connection:
        endpoint = service.find_endpoint(connection, caller.project_id, name)
        rollout = service.rollout_of(connection, endpoint)
        back = [service.get_release_by_id(connection, caller.project_id, one) for one in rollout.previous[-1:]]
    page = service.list_releases(stores, caller.project_id, name, limit=_SHOWN, cursor=cursor)
    with stores.database.read() as connection:
        evidence = gates.evidence_of(connection, [release.id for release in page.items])
    kept = service.get_policy(stores, caller.project_id, name)
    number = _focus(endpoint, page.items)
    focus = service.release_detail(stores, caller.project_id, name, number) if number else None
    return render(
        request,
        caller,
        "registry/endpoint.html",
        endpoint=endpoint,
        page=page,
        evidence=evidence,
        scale=_scale([one.summary for one in evidence.values()]),
        previous=back[0].number if back else 0,
        focus=focus,
        gate=_clauses(endpoint, focus),
        metrics=views.METRICS,
        own=focus is not None and _own(caller, focus),
        steps=_steps(request, stores, focus.release) if focus else [],
        policy=decode(kept.policy),
        policy_version=kept.version,
        history=service.history(stores, caller.project_id, name, limit=8, newest=True).items,
        traced=any(part.name == "tracing" for part in request.app.state.slices),
        choices=_choices(stores, caller) if "edit" in caller.permissions else None,
        job="",
    )


@router.post("/endpoints/{name}")
def change(
    stores: StoresDep, caller: Reviewer, name: str, *, gate: Text = "", description: Name = "", reason: Name = ""
) -> Response:
    """Another gate or description."""
    with stores.database.begin() as connection:
        service.change_endpoint(
            connection,
            project_id=caller.project_id,
            name=name,
            description=description,
            gate=parse_json(gate or "[]", list),
            reason=reason,
            actor_id=caller.id,
        )
    return see_other(f"/endpoints/{name}", "The endpoint is changed.")


@router.post("/endpoints/{name}/rollback")
def rollback(stores: StoresDep, caller: Reviewer, name: str, reason: Name = "") -> Response:
    """Back to what was good."""
    service.rollback(stores, project_id=caller.project_id, endpoint=name, reason=reason, actor_id=caller.id)
    return see_other(f"/endpoints/{name}", "Rolled back. The change is in the history below.")


@router.post("/endpoints/{name}/unshadow")
def unshadow(stores: StoresDep, caller: Reviewer, name: str, reason: Name = "") -> Response:
    """Nothing hears along any more."""
    service.unshadow(stores, project_id=caller.project_id, endpoint=name, reason=reason, actor_id=caller.id)
    return see_other(f"/endpoints/{name}", "The shadow is taken away. Its release is approved again.")


@router.post("/endpoints/{name}/releases")
def create_release(
    stores: StoresDep,
    caller: Editor,
    name: str,
    *,
    provider: Name,
    model: Name = "",
    model_version: Name = "",
    prompt: Name = "",
    parameters: Text = "",
    note: Name = "",
) -> Response:
    """Make the next release, and go to its page."""
    with stores.database.begin() as connection:
        made = service.create_release(
            connection,
            project_id=caller.project_id,
            endpoint=name,
            provider=provider,
            model=model,
            model_version=model_version.strip(),
            prompt=prompt.strip(),
            parameters=parse_json(parameters or "{}", dict),
            note=note,
            known_prices=prices.table(stores.settings.folder.prices),
            actor_id=caller.id,
        )
    publish.publish(stores)
    return see_other(f"/endpoints/{name}/releases/{made.number}", "The release is made. Evaluate it next.")


@router.get("/endpoints/{name}/releases/{number}")
def release_page(
    *, request: Request, stores: StoresDep, caller: Viewer, name: str, number: int, job: str = ""
) -> Response:
    """One release: what it is, what was found about it, who said yes, and what may be done with it now."""
    detail = service.release_detail(stores, caller.project_id, name, number)
    with stores.database.read() as connection:
        prompt_id = detail.release.prompt_version_id
        prompt = service.get_prompt_version(connection, caller.project_id, prompt_id) if prompt_id else None
    return render(
        request,
        caller,
        "registry/release.html",
        focus=detail,
        endpoint=detail.endpoint,
        prompt=prompt,
        own=_own(caller, detail),
        steps=_steps(request, stores, detail.release),
        **_gate(stores, caller, detail, job),
    )


@router.get("/endpoints/{name}/releases/{number}/gate")
def gate_part(
    *, request: Request, stores: StoresDep, caller: Viewer, name: str, number: int, job: str = ""
) -> Response:
    """The panel of the gate, while a job judges it."""
    detail = service.release_detail(stores, caller.project_id, name, number)
    context = _gate(stores, caller, detail, job)
    return render(request, caller, "registry/_gate.html", focus=detail, endpoint=detail.endpoint, **context)


@router.post("/endpoints/{name}/releases/{number}/gate")
def run_gate(stores: StoresDep, caller: Editor, name: str, number: int) -> Response:
    """Start the job that judges the evidence; its name is all that registry knows of evaluation."""
    release = service.get_release(stores, caller.project_id, name, number)
    job = jobs.start(
        stores,
        name="evaluation.gate",
        args={"endpoint": release.endpoint, "number": release.number},
        project_id=caller.project_id,
        actor_id=caller.id,
    )
    return see_other(f"/endpoints/{name}/releases/{number}?job={job.id}#gate")


@router.get("/endpoints/{name}/releases/{number}/engine")
def engine_part(*, request: Request, stores: StoresDep, caller: Viewer, name: str, number: int) -> Response:
    """Whether the release's local engine runs."""
    detail = service.release_detail(stores, caller.project_id, name, number)
    return render(request, caller, "registry/_engine.html", focus=detail)


@router.post("/endpoints/{name}/releases/{number}/{verb}")
def act(
    *,
    request: Request,
    stores: StoresDep,
    caller: Reviewer,
    name: str,
    number: int,
    verb: Verb,
    reason: Name = "",
    share: Percent = 25.0,
) -> Response:
    """Approve, reject, canary, shadow, promote or retire, and back to where one was."""
    which: dict[str, Any] = {
        "project_id": caller.project_id,
        "endpoint": name,
        "number": number,
        "reason": reason,
        "actor_id": caller.id,
    }
    if verb in {"approve", "reject"}:
        decide = service.approve if verb == "approve" else service.reject
        with stores.database.begin() as connection:
            decide(connection, **which)
        publish.publish(stores)
    elif verb == "canary":
        service.canary(stores, **which, share=share / 100, wait=PATIENCE)
    elif verb == "shadow":
        service.shadow(stores, **which, share=share / 100, wait=PATIENCE)
    elif verb == "promote":
        service.promote(stores, **which, wait=PATIENCE)
    else:
        service.retire(stores, **which)
    back = way_back(request).partition("?")[0]
    return see_other(back if back.startswith("/endpoints/") else f"/endpoints/{name}", NOTICES[verb])


@dataclass(frozen=True, slots=True)
class ClauseView:
    """One clause of the gate with what was found about it; `passed` None: waits, or not tested."""

    clause: dict[str, Any]
    passed: bool | None
    result: dict[str, Any]


def _clauses(endpoint: Endpoint, focus: ReleaseDetail | None) -> list[ClauseView]:
    """The endpoint's clauses; results only where they still count."""
    result = focus.gate if focus and focus.gate and not focus.gate_note else None
    found = [] if result is None else result.clauses
    shown = [clause for clause in endpoint.gate if clause["kind"] != "approvals"]
    return [
        ClauseView(clause, one.get("passed"), one)
        for clause in shown
        for one in [next((one for one in found if one.get("clause") == clause), {})]
    ]


def _gate(stores: Stores, caller: Caller, detail: ReleaseDetail, job_id: str) -> dict[str, Any]:
    """What the gate's panel shows; `job` is the one that judges it now, "done" once it has."""
    state = ""
    if job_id:
        try:
            found = jobs.get(stores, caller.project_id, job_id)
        except NotFound:
            found = None
        state = found.state if found else ""
    running = state in {"queued", "running"}
    return {
        "gate": _clauses(detail.endpoint, detail),
        "metrics": views.METRICS,
        "job": job_id if running else "",
        "judged": bool(job_id) and not running,
        "failed_job": state == "failed",
    }


def _own(caller: Caller, detail: ReleaseDetail) -> bool:
    """Whether the caller made the release and so may not approve it."""
    return detail.release.author_id == caller.id and not detail.endpoint.self_approval


def _focus(endpoint: Endpoint, releases: list[Release]) -> int:
    """The release that the page is about: the canary, else the newest candidate after the primary, else the primary."""
    if endpoint.canary:
        return endpoint.canary
    waiting = [one.number for one in releases if one.state in {"draft", "evaluated", "approved", "shadow"}]
    newest = max(waiting, default=0)
    return newest if newest > endpoint.primary else endpoint.primary


def _scale(summaries: list[dict[str, Any]]) -> str:
    """The metric that the table's column can be named after; empty when releases were measured by several."""
    names = {summary.get("metric", "") for summary in summaries}
    return names.pop() if len(names) == 1 else ""


def _steps(request: Request, stores: Stores, release: Release) -> list[views.Step]:
    hooks = lineage.hooks(request.app.state.slices)
    return views.steps(lineage.walk(stores, release.project_id, "release", release.id, hooks=hooks))


def _choices(stores: Stores, caller: Caller) -> dict[str, list[str]]:
    """What the form for a new release offers."""
    models = service.list_models(stores, caller.project_id, limit=50).items
    prompts = service.list_prompts(stores, caller.project_id, limit=50).items
    return {
        "providers": [one.name for one in service.list_providers(stores, caller.project_id)],
        "models": [f"{one.name}:{number}" for one in models for number in range(one.latest, 0, -1)][:100],
        "prompts": [f"{one.name}@{number}" for one in prompts for number in range(one.latest, 0, -1)][:100],
    }
