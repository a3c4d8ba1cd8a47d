"""JSON API of endpoints, releases, rollouts and lineage. Verbs that change traffic answer when gateways can see it."""

from dataclasses import asdict
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field

from noria.core.errors import Forbidden
from noria.registry import lineage, prices, publish, service
from noria.registry.readiness import PATIENCE
from noria.registry.records import Endpoint, Release, RolloutEvent, Walk
from noria.web.auth import Caller, allow
from noria.web.deps import StoresDep
from noria.web.paging import Cursor, Limit, Page

router = APIRouter(tags=["endpoints and releases"])

Viewer = Annotated[Caller, allow("view")]
Editor = Annotated[Caller, allow("edit")]
Reviewer = Annotated[Caller, allow("review")]


class NewEndpoint(BaseModel):
    name: str
    description: str = Field("", max_length=2000)
    gate: list[dict[str, Any]] = Field(default_factory=list, description="Clauses that a release must meet.")
    self_approval: bool = Field(False, description="Admins only: let authors approve their own releases.")


class EndpointChange(BaseModel):
    description: str | None = Field(None, max_length=2000)
    gate: list[dict[str, Any]] | None = None
    self_approval: bool | None = None
    reason: str = Field("", max_length=2000)


class NewRelease(BaseModel):
    provider: str
    model: str = Field("", description="Name that the provider knows the model by; a local release has none.")
    model_version: str = Field("", description='"name:number".')
    prompt: str = Field("", description='"name@number" or "name@label".')
    parameters: dict[str, Any] = Field(default_factory=dict)
    note: str = Field("", max_length=2000)
    input_micros: int | None = Field(
        None,
        ge=0,
        description="Price of a million tokens. Default: the provider's, else the table's (GET /api/prices).",
    )
    output_micros: int | None = Field(None, ge=0, description="Reasoning is among it.")
    cached_micros: int | None = Field(None, ge=0, description="Of input read from the provider's cache.")
    cache_write_micros: int | None = Field(None, ge=0, description="Of input written to it.")
    cache_write_1h_micros: int | None = Field(None, ge=0, description="Of input written to it for an hour.")


class Reason(BaseModel):
    reason: str = Field("", max_length=2000, description="Kept in the audit.")


class Promotion(Reason):
    wait: bool = Field(True, description="Wait up to a minute for the local engine.")


class Share(Promotion):
    share: float = Field(description="Above 0, below 1.")


class ShadowShare(Promotion):
    share: float = Field(1.0, description="Above 0, at most 1.")


@router.get("/endpoints")
def list_endpoints(stores: StoresDep, caller: Viewer, limit: Limit = 50, cursor: Cursor = None) -> Page[Endpoint]:
    """All endpoints, by name, each with what serves it."""
    return service.list_endpoints(stores, caller.project_id, limit=limit, cursor=cursor)


@router.post("/endpoints", status_code=201)
def create_endpoint(body: NewEndpoint, stores: StoresDep, caller: Editor) -> Endpoint:
    """Make a name that applications can call once a release serves it."""
    _check_self_approval(caller, body.self_approval or None)
    with stores.database.begin() as connection:
        made = service.create_endpoint(
            connection, project_id=caller.project_id, actor_id=caller.id, **body.model_dump()
        )
    publish.publish(stores)
    return made


@router.get("/endpoints/{name}")
def get_endpoint(name: str, stores: StoresDep, caller: Viewer) -> Endpoint:
    """One endpoint: its gate and what serves it."""
    with stores.database.read() as connection:
        return service.find_endpoint(connection, caller.project_id, name)


@router.patch("/endpoints/{name}")
def change_endpoint(name: str, body: EndpointChange, stores: StoresDep, caller: Reviewer) -> Endpoint:
    """Change description or gate; results under another gate count no more."""
    _check_self_approval(caller, body.self_approval)
    with stores.database.begin() as connection:
        return service.change_endpoint(
            connection, project_id=caller.project_id, name=name, actor_id=caller.id, **body.model_dump()
        )


@router.get("/endpoints/{name}/history")
def list_history(
    name: str, stores: StoresDep, caller: Viewer, limit: Limit = 50, cursor: Cursor = None
) -> Page[RolloutEvent]:
    """Every change of what served, oldest first."""
    return service.history(stores, caller.project_id, name, limit=limit, cursor=cursor)


@router.post("/endpoints/{name}/rollback")
def rollback(name: str, body: Reason, stores: StoresDep, caller: Reviewer) -> Endpoint:
    """Take the canary away; without one, return to the primary before this one."""
    return service.rollback(stores, project_id=caller.project_id, endpoint=name, reason=body.reason, actor_id=caller.id)


@router.post("/endpoints/{name}/unshadow")
def unshadow(name: str, body: Reason, stores: StoresDep, caller: Reviewer) -> Endpoint:
    """Take the shadow away; its release is approved again."""
    return service.unshadow(stores, project_id=caller.project_id, endpoint=name, reason=body.reason, actor_id=caller.id)


@router.get("/endpoints/{name}/releases")
def list_releases(
    name: str, stores: StoresDep, caller: Viewer, limit: Limit = 50, cursor: Cursor = None
) -> Page[Release]:
    """The endpoint's releases, newest first."""
    return service.list_releases(stores, caller.project_id, name, limit=limit, cursor=cursor)


@router.post("/endpoints/{name}/releases", status_code=201)
def create_release(name: str, body: NewRelease, stores: StoresDep, caller: Editor) -> Release:
    """Make the next release, a draft. It can be called with a candidate key at once."""
    with stores.database.begin() as connection:
        made = service.create_release(
            connection,
            project_id=caller.project_id,
            endpoint=name,
            known_prices=prices.table(stores.settings.folder.prices),
            actor_id=caller.id,
            **body.model_dump(),
        )
    publish.publish(stores)
    return made


@router.get("/endpoints/{name}/releases/{number}")
def get_release(name: str, number: int, stores: StoresDep, caller: Viewer) -> dict[str, Any]:
    """A release with its engine's state, its gate, its approvals, and what still stands in its way."""
    detail = asdict(service.release_detail(stores, caller.project_id, name, number))
    detail.pop("endpoint")
    return {**detail.pop("release"), **detail}


@router.post("/endpoints/{name}/releases/{number}/approve")
def approve(name: str, number: int, body: Reason, stores: StoresDep, caller: Reviewer) -> Release:
    """Say yes to exactly what the release is now. Its author cannot."""
    with stores.database.begin() as connection:
        release = service.approve(
            connection,
            project_id=caller.project_id,
            endpoint=name,
            number=number,
            reason=body.reason,
            actor_id=caller.id,
        )
    publish.publish(stores)
    return release


@router.post("/endpoints/{name}/releases/{number}/reject")
def reject(name: str, number: int, body: Reason, stores: StoresDep, caller: Reviewer) -> Release:
    """Say no for good."""
    with stores.database.begin() as connection:
        release = service.reject(
            connection,
            project_id=caller.project_id,
            endpoint=name,
            number=number,
            reason=body.reason,
            actor_id=caller.id,
        )
    publish.publish(stores)
    return release


@router.post("/endpoints/{name}/releases/{number}/canary")
def canary(name: str, number: int, body: Share, stores: StoresDep, caller: Reviewer) -> Endpoint:
    """Give a share of the sessions to an approved release, or change the canary's share."""
    return service.canary(
        stores,
        project_id=caller.project_id,
        endpoint=name,
        number=number,
        share=body.share,
        reason=body.reason,
        actor_id=caller.id,
        wait=PATIENCE if body.wait else 0.0,
    )


@router.post("/endpoints/{name}/releases/{number}/shadow")
def shadow(name: str, number: int, body: ShadowShare, stores: StoresDep, caller: Reviewer) -> Endpoint:
    """Let an approved release hear a share of the sessions; its answers are recorded and thrown away."""
    return service.shadow(
        stores,
        project_id=caller.project_id,
        endpoint=name,
        number=number,
        share=body.share,
        reason=body.reason,
        actor_id=caller.id,
        wait=PATIENCE if body.wait else 0.0,
    )


@router.post("/endpoints/{name}/releases/{number}/promote")
def promote(name: str, number: int, body: Promotion, stores: StoresDep, caller: Reviewer) -> Endpoint:
    """Let a release serve everybody."""
    return service.promote(
        stores,
        project_id=caller.project_id,
        endpoint=name,
        number=number,
        reason=body.reason,
        actor_id=caller.id,
        wait=PATIENCE if body.wait else 0.0,
    )


@router.post("/endpoints/{name}/releases/{number}/retire")
def retire(name: str, number: int, body: Reason, stores: StoresDep, caller: Reviewer) -> Endpoint:
    """End a release that takes no traffic, for good."""
    return service.retire(
        stores,
        project_id=caller.project_id,
        endpoint=name,
        number=number,
        reason=body.reason,
        actor_id=caller.id,
    )


@router.get("/lineage")
def get_lineage(
    *,
    request: Request,
    stores: StoresDep,
    caller: Viewer,
    kind: str,
    node: Annotated[str, Query(alias="id", description='An id, or a name like "assistant@2".')],
    direction: Literal["back", "forward"] = "back",
    depth: Annotated[int, Query(ge=1, le=16)] = 8,
) -> Walk:
    """What went into something, or what it went into, as nodes, edges and sentences."""
    return lineage.walk(
        stores,
        caller.project_id,
        kind,
        node,
        direction=direction,
        depth=depth,
        hooks=lineage.hooks(getattr(request.app.state, "slices", ())),
    )


def _check_self_approval(caller: Caller, wanted: bool | None) -> None:
    if wanted is not None and "admin" not in caller.permissions:
        raise Forbidden("Only an admin decides whether authors may approve their own releases.", hint="Ask one.")
