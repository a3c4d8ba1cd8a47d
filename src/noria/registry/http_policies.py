"""JSON API of endpoints' policies. A change answers when gateways can see it."""

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import BaseModel, Field

from noria.registry import service
from noria.registry.records import EndpointPolicy
from noria.stores.connect import Stores
from noria.web.auth import Caller, allow
from noria.web.deps import StoresDep
from noria.web.paging import Cursor, Limit, Page

router = APIRouter(tags=["endpoints and releases"])

Viewer = Annotated[Caller, allow("view")]
Reviewer = Annotated[Caller, allow("review")]

_Base = Annotated[int | None, Field(description="The version that it was made from; refused when another is in force.")]


class WholePolicy(BaseModel):
    policy: dict[str, Any] = Field(description="All of it (docs/policy.md); what it leaves out is as in the empty one.")
    reason: str = Field("", max_length=2000, description="Required; kept in the audit.")
    base: _Base = None


class PolicyParts(BaseModel):
    parts: dict[str, Any] = Field(description="Parts to replace, by name; null takes one away.")
    reason: str = Field("", max_length=2000, description="Required; kept in the audit.")
    base: _Base = None


class Earlier(BaseModel):
    version: int = Field(ge=0, description="0: the empty policy that every endpoint is born with.")
    reason: str = Field("", max_length=2000, description="Required; kept in the audit.")


@router.get("/endpoints/{name}/policy")
def get_policy(name: str, stores: StoresDep, caller: Viewer, version: int | None = None) -> EndpointPolicy:
    """The policy in force, or an earlier version; only what differs from the empty one."""
    return service.get_policy(stores, caller.project_id, name, version)


@router.put("/endpoints/{name}/policy")
def put_policy(name: str, body: WholePolicy, stores: StoresDep, caller: Reviewer) -> EndpointPolicy:
    """Replace the whole policy; in force at gateways within a second."""
    where = _where(stores, caller, name)
    return service.put_policy(**where, policy=body.policy, reason=body.reason, base=body.base)


@router.patch("/endpoints/{name}/policy")
def change_policy(name: str, body: PolicyParts, stores: StoresDep, caller: Reviewer) -> EndpointPolicy:
    """Replace only the parts that are named; in force at gateways within a second."""
    where = _where(stores, caller, name)
    return service.change_policy(**where, parts=body.parts, reason=body.reason, base=body.base)


@router.get("/endpoints/{name}/policy/history")
def policy_history(
    name: str, stores: StoresDep, caller: Viewer, limit: Limit = 50, cursor: Cursor = None
) -> Page[EndpointPolicy]:
    """All versions with who made them and why, newest first."""
    return service.policy_history(stores, caller.project_id, name, limit=limit, cursor=cursor)


@router.get("/endpoints/{name}/policy/diff")
def diff_policies(name: str, stores: StoresDep, caller: Viewer, before: int, after: int) -> dict[str, Any]:
    """What differs between two versions (0: the empty one), field by field."""
    a, b = (service.get_policy(stores, caller.project_id, name, one).policy for one in (before, after))
    return {"before": before, "after": after, "changes": [asdict(one) for one in service.diff_policies(a, b)]}


@router.post("/endpoints/{name}/policy/restore")
def restore_policy(name: str, body: Earlier, stores: StoresDep, caller: Reviewer) -> EndpointPolicy:
    """Make an earlier version the newest again; refused when it falls back to a release that is gone."""
    return service.restore_policy(**_where(stores, caller, name), version=body.version, reason=body.reason)


def _where(stores: Stores, caller: Caller, name: str) -> dict[str, Any]:
    return {"stores": stores, "project_id": caller.project_id, "endpoint": name, "actor_id": caller.id}
