"""The page of an endpoint's policy: what is in force in sentences, a form for each part, and every version so far."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Request
from fastapi import Form as Field
from starlette.datastructures import FormData
from starlette.responses import Response

from noria.core import checks
from noria.core.errors import BadInput
from noria.governance import allowances
from noria.registry import guardrails, policy_forms, service
from noria.registry.policy import GUARDRAILS, Policy, decode
from noria.registry.records import Endpoint
from noria.registry.typed import parse_json
from noria.stores.connect import Stores
from noria.web.auth import Caller, allow
from noria.web.deps import StoresDep
from noria.web.paging import Cursor
from noria.web.templates import render, see_other

router = APIRouter()

Viewer = Annotated[Caller, allow("view")]
Reviewer = Annotated[Caller, allow("review")]
Words = Annotated[str, Field(max_length=200)]
Text = Annotated[str, Field(max_length=200_000)]
Base = Annotated[int, Field(ge=0)]
Part = Literal["fallbacks", "timeouts", "retries", "breaker", "hedge", "limits", "cache"]

CHANGED = "The policy is changed. It is in force within a second."
_SHOWN = 12


async def _form(request: Request) -> FormData:
    return await request.form()


Typed = Annotated[FormData, Depends(_form)]


@router.get("/endpoints/{name}/policy")
def policy_page(
    *,
    request: Request,
    stores: StoresDep,
    caller: Viewer,
    name: str,
    before: int | None = None,
    after: int | None = None,
    guard: str = "",
    cursor: Cursor = None,
) -> Response:
    """What is in force; `before` and `after` compare two versions, `guard` opens the form of a guardrail (a kind to add,
    or the number of one to change)."""
    with stores.database.read() as connection:
        endpoint = service.find_endpoint(connection, caller.project_id, name)
    found = service.get_policy(stores, caller.project_id, name)
    policy = decode(found.policy)
    return render(
        request,
        caller,
        "registry/policy.html",
        endpoint=endpoint,
        found=found,
        policy=policy,
        effective=effective(policy, stores),
        fields=allowances.to_fields(policy.limits),
        history=service.policy_history(stores, caller.project_id, name, limit=_SHOWN, cursor=cursor),
        compared=_compared(stores, caller, name, before, after),
        may=_may_stand_in(stores, caller, endpoint) if "review" in caller.permissions else [],
        kinds=GUARDRAILS,
        when=guardrails.WHEN,
        actions=guardrails.ACTIONS,
        personal=guardrails.PERSONAL,
        guard=_guard(policy, guard),
    )


@router.post("/endpoints/{name}/policy")
def put_policy(
    stores: StoresDep, caller: Reviewer, name: str, *, policy: Text, base: Base, reason: Words = ""
) -> Response:
    """Replace all of it by what was typed."""
    written = parse_json(policy, dict)
    service.put_policy(**_where(stores, caller, name), policy=written, reason=reason, base=base)
    return see_other(f"/endpoints/{name}/policy", CHANGED)


@router.post("/endpoints/{name}/policy/restore")
def restore(stores: StoresDep, caller: Reviewer, name: str, *, version: Base, reason: Words = "") -> Response:
    """Make an earlier version the newest again."""
    made = service.restore_policy(**_where(stores, caller, name), version=version, reason=reason)
    return see_other(f"/endpoints/{name}/policy?before={made.version - 1}&after={made.version}", CHANGED)


@router.post("/endpoints/{name}/policy/guardrails")
def add_guardrail(
    stores: StoresDep, caller: Reviewer, name: str, typed: Typed, *, kind: Words, base: Base, reason: Words = ""
) -> Response:
    """One more guardrail, asked after the others."""
    checks.choice(kind, "kind", GUARDRAILS)
    now = _guardrails(stores, caller, name)
    return _save(stores, caller, name, [*now, policy_forms.guardrail(kind, typed)], base=base, reason=reason)


@router.post("/endpoints/{name}/policy/guardrails/{number}")
def change_guardrail(
    stores: StoresDep, caller: Reviewer, name: str, number: int, typed: Typed, *, base: Base, reason: Words = ""
) -> Response:
    """Other options for one guardrail."""
    now = _guardrails(stores, caller, name)
    at = _place(now, number)
    now[at] = policy_forms.guardrail(str(now[at]["kind"]), typed)
    return _save(stores, caller, name, now, base=base, reason=reason)


@router.post("/endpoints/{name}/policy/guardrails/{number}/{verb}")
def move_guardrail(
    *,
    stores: StoresDep,
    caller: Reviewer,
    name: str,
    number: int,
    verb: Literal["up", "remove"],
    base: Base,
    reason: Words = "",
) -> Response:
    """Ask one guardrail earlier, or no more."""
    now = _guardrails(stores, caller, name)
    at = _place(now, number)
    changed = policy_forms.moved(now, at, at - 1) if verb == "up" else now[:at] + now[at + 1 :]
    return _save(stores, caller, name, changed, base=base, reason=reason)


@router.post("/endpoints/{name}/policy/{part}")
def change_part(
    stores: StoresDep, caller: Reviewer, name: str, part: Part, typed: Typed, *, base: Base, reason: Words = ""
) -> Response:
    """Another value for one part; empty fields are as in the empty policy."""
    parts: dict[str, Any] = {part: policy_forms.part(part, typed)}
    service.change_policy(**_where(stores, caller, name), parts=parts, reason=reason, base=base)
    return see_other(f"/endpoints/{name}/policy", CHANGED)


def effective(policy: Policy, stores: Stores) -> dict[str, float]:
    """The timeouts that count, in seconds: the endpoint's own, else the installation's."""
    settings, own = stores.settings, policy.timeouts
    return {
        "connect": own.connect or settings.provider_connect_timeout,
        "first_byte": own.first_byte or settings.provider_first_byte_timeout,
        "idle": own.idle or settings.provider_idle_timeout,
        "total": own.total or settings.provider_total_timeout,
    }


def _save(
    stores: Stores, caller: Caller, name: str, guarded: list[dict[str, Any]], *, base: int, reason: str
) -> Response:
    where = _where(stores, caller, name)
    service.change_policy(**where, parts={"guardrails": guarded or None}, reason=reason, base=base)
    return see_other(f"/endpoints/{name}/policy#guardrails", CHANGED)


def _guardrails(stores: Stores, caller: Caller, name: str) -> list[dict[str, Any]]:
    return list(service.get_policy(stores, caller.project_id, name).policy.get("guardrails", ()))


def _place(guarded: list[dict[str, Any]], number: int) -> int:
    if not 1 <= number <= len(guarded):
        raise BadInput(f"There is no guardrail {number}; nothing was changed.", hint="Load the page again.")
    return number - 1


def _where(stores: Stores, caller: Caller, name: str) -> dict[str, Any]:
    return {"stores": stores, "project_id": caller.project_id, "endpoint": name, "actor_id": caller.id}


def _compared(
    stores: Stores, caller: Caller, name: str, before: int | None, after: int | None
) -> dict[str, Any] | None:
    """What differs between two versions, when somebody asks."""
    if before is None or after is None:
        return None
    a, b = (service.get_policy(stores, caller.project_id, name, one) for one in (before, after))
    return {"before": a, "after": b, "changes": service.diff_policies(a.policy, b.policy)}


def _may_stand_in(stores: Stores, caller: Caller, endpoint: Endpoint) -> list[int]:
    """Numbers of releases that a policy may fall back to, newest first."""
    found = service.list_releases(stores, caller.project_id, endpoint.name, limit=100).items
    return [one.number for one in found if one.state in {"approved", "canary", "shadow", "primary"}]


def _guard(policy: Policy, asked: str) -> dict[str, Any] | None:
    """The guardrail whose form is open: one that is there (by number), or a new one (by kind)."""
    if asked in GUARDRAILS:
        return {"number": 0, "kind": asked, "now": None}
    if asked.isascii() and asked.isdecimal() and 1 <= int(asked) <= len(policy.guardrails):
        now = policy.guardrails[int(asked) - 1]
        return {"number": int(asked), "kind": now.kind, "now": now}
    return None
