"""Pages of providers: a list with presets to start from, and one page each with its keys."""

from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Form, Query, Request
from starlette.responses import Response

from noria.core.errors import BadInput
from noria.registry import publish, service
from noria.registry.kinds import KINDS
from noria.registry.presets import PRESETS, filled_in, find_preset
from noria.web.auth import Caller, allow
from noria.web.deps import StoresDep
from noria.web.templates import render, see_other

router = APIRouter()

Viewer = Annotated[Caller, allow("view")]
Admin = Annotated[Caller, allow("admin")]
Name = Annotated[str, Form(max_length=200)]
Address = Annotated[str, Form(max_length=2000)]
Secret = Annotated[str, Form(max_length=4096)]
Options = Annotated[str, Form(max_length=40_000)]
Weight = Annotated[int, Form()]


@router.get("/providers")
def providers_page(
    request: Request, stores: StoresDep, caller: Viewer, preset: Annotated[str, Query(max_length=40)] = ""
) -> Response:
    """Places that run models; with `preset` the form to add one is filled in."""
    chosen = find_preset(preset) if preset else None
    return render(
        request,
        caller,
        "registry/providers.html",
        providers=service.list_providers(stores, caller.project_id),
        presets=PRESETS.values(),
        kinds=KINDS,
        chosen=chosen,
        options=filled_in(chosen, {}) if chosen else {},
    )


@router.post("/providers")
def add_provider(
    *,
    stores: StoresDep,
    caller: Admin,
    name: Name,
    preset: Name = "",
    base_url: Address = "",
    api_key: Secret = "",
    region: Name = "",
    api_version: Name = "",
) -> Response:
    """Add a provider; without a preset one that speaks OpenAI's API."""
    made = service.add_provider(
        stores,
        project_id=caller.project_id,
        name=name.strip(),
        kind="" if preset else "openai",
        preset=preset,
        base_url=base_url,
        api_key=api_key,
        options={name: value for name, value in (("region", region), ("api_version", api_version)) if value},
        actor_id=caller.id,
    )
    publish.publish(stores)
    return see_other(f"/providers/{made.name}", "The provider is added. Its key is sealed and is never shown again.")


@router.get("/providers/{name}")
def provider_page(request: Request, stores: StoresDep, caller: Viewer, name: str) -> Response:
    """One provider: where it is, what it speaks, and its keys."""
    with stores.database.read() as connection:
        provider = service.find_provider(connection, caller.project_id, name)
    return render(request, caller, "registry/provider.html", provider=provider, kind=KINDS[provider.kind])


@router.post("/providers/{name}")
def change_provider(
    *,
    stores: StoresDep,
    caller: Admin,
    name: str,
    base_url: Address = "",
    options: Options = "",
    balance: Name = "",
    reason: Name = "",
) -> Response:
    """Another address, other options; what is left empty stays."""
    service.update_provider(
        stores,
        project_id=caller.project_id,
        name=name,
        base_url=base_url or None,
        options=_options(options) if options.strip() else None,
        balance=balance or None,
        reason=reason,
        actor_id=caller.id,
    )
    publish.publish(stores)
    return see_other(f"/providers/{name}", "The provider is changed.")


@router.post("/providers/{name}/keys")
def add_key(
    *,
    stores: StoresDep,
    caller: Admin,
    name: str,
    api_key: Secret,
    key_name: Name = "",
    weight: Weight = 1,
    reason: Name = "",
) -> Response:
    """One more key."""
    where: dict[str, Any] = {"project_id": caller.project_id, "provider": name, "actor_id": caller.id}
    service.add_key(stores, api_key=api_key, name=key_name, weight=weight, reason=reason, **where)
    publish.publish(stores)
    return see_other(f"/providers/{name}", "The key is added. It is sealed and is never shown again.")


@router.post("/providers/{name}/keys/{key_id}/rotate")
def rotate_key(
    stores: StoresDep, caller: Admin, name: str, key_id: str, *, api_key: Secret, reason: Name = ""
) -> Response:
    """Another key in the place of one."""
    where: dict[str, Any] = {"project_id": caller.project_id, "provider": name, "actor_id": caller.id}
    service.rotate_key(stores, key_id=key_id, api_key=api_key, reason=reason, **where)
    publish.publish(stores)
    return see_other(f"/providers/{name}", "The key is replaced. The old one is forgotten.")


@router.post("/providers/{name}/keys/{key_id}/change")
def change_key(
    stores: StoresDep, caller: Admin, name: str, key_id: str, *, weight: Weight, key_name: Name = "", reason: Name = ""
) -> Response:
    """Another name or weight."""
    where: dict[str, Any] = {"project_id": caller.project_id, "provider": name, "actor_id": caller.id}
    service.change_key(stores, key_id=key_id, name=key_name, weight=weight, reason=reason, **where)
    publish.publish(stores)
    return see_other(f"/providers/{name}", "The key is changed.")


@router.post("/providers/{name}/keys/{key_id}/remove")
def remove_key(stores: StoresDep, caller: Admin, name: str, key_id: str, *, reason: Name = "") -> Response:
    """Take a key away."""
    where: dict[str, Any] = {"project_id": caller.project_id, "provider": name, "actor_id": caller.id}
    service.remove_key(stores, key_id=key_id, reason=reason, **where)
    publish.publish(stores)
    return see_other(f"/providers/{name}", "The key is taken away.")


def _options(text: str) -> dict[str, Any]:
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise BadInput(f"The options are not JSON: {error.msg}.", hint="An object, like {}.") from error
    if not isinstance(found, dict):
        raise BadInput("The options are a JSON object.", hint="Nothing was saved.")
    return found
