"""JSON API of providers: the places that run models, and their keys, of which no answer ever shows more than a hint."""

from dataclasses import asdict
from typing import Annotated, Any, Literal

from fastapi import APIRouter
from pydantic import BaseModel, Field

from noria.registry import service
from noria.registry.presets import PRESETS
from noria.registry.records import Provider, ProviderKey
from noria.registry.snapshot import Balance, ProviderKind
from noria.web.auth import Caller, allow
from noria.web.deps import StoresDep

router = APIRouter(tags=["providers"])

Viewer = Annotated[Caller, allow("view")]
Admin = Annotated[Caller, allow("admin")]

_Price = Annotated[int, Field(ge=0, description="Micro-dollars for a million tokens.")]
_Reason = Annotated[str, Field(max_length=2000)]
_Secret = Annotated[
    str,
    Field(
        max_length=4096,
        description="Sealed at once; no answer ever shows it. For AWS: a Bedrock API key, or access key id:secret access"
        " key[:session token].",
    ),
]
_Weight = Annotated[int, Field(ge=0, le=1000, description="Share of the calls; 0: kept, but not used.")]


class NewProvider(BaseModel):
    name: str
    preset: str = Field("", max_length=40, description="Name of a preset to start from (GET /api/provider-presets).")
    kind: ProviderKind | Literal[""] = Field("", description="Needed without a preset.")
    base_url: str = Field(
        "", max_length=2000, description="Up to and including the version: https://api.openai.com/v1."
    )
    options: dict[str, Any] = Field(
        default_factory=dict, description="By kind: region, api_version, speaks, headers (docs/providers.md)."
    )
    balance: Balance = Field("weighted", description="How calls are shared between several keys.")
    api_key: _Secret = ""
    input_micros: _Price = 0
    output_micros: _Price = 0


class ProviderChange(BaseModel):
    base_url: str | None = Field(None, max_length=2000)
    options: dict[str, Any] | None = Field(None, description="Replaces all options.")
    balance: Balance | None = None
    input_micros: _Price | None = None
    output_micros: _Price | None = None
    reason: _Reason = ""


class NewKey(BaseModel):
    api_key: _Secret
    name: str = Field("", max_length=64, description="For people, to tell keys apart.")
    weight: _Weight = 1
    reason: _Reason = ""


class KeyInPlace(BaseModel):
    api_key: _Secret
    reason: _Reason = ""


class KeyChange(BaseModel):
    name: str | None = Field(None, max_length=64)
    weight: _Weight | None = None
    reason: _Reason = ""


@router.get("/provider-presets")
def list_presets(_: Viewer) -> dict[str, list[dict[str, Any]]]:
    """Providers that are known by name: address, what they speak, where their keys are made."""
    return {"items": [asdict(preset) for preset in PRESETS.values()]}


@router.get("/providers")
def list_providers(stores: StoresDep, caller: Viewer) -> dict[str, list[Provider]]:
    """All providers; of each key, a hint."""
    return {"items": service.list_providers(stores, caller.project_id)}


@router.post("/providers", status_code=201)
def add_provider(body: NewProvider, stores: StoresDep, caller: Admin) -> Provider:
    """Add a place that runs models."""
    return service.add_provider(stores, project_id=caller.project_id, actor_id=caller.id, **body.model_dump())


@router.get("/providers/{name}")
def get_provider(name: str, stores: StoresDep, caller: Viewer) -> Provider:
    """One provider; of each key, a hint."""
    with stores.database.read() as connection:
        return service.find_provider(connection, caller.project_id, name)


@router.patch("/providers/{name}")
def change_provider(name: str, body: ProviderChange, stores: StoresDep, caller: Admin) -> Provider:
    """Replace its address, options, balance or prices. Another address or option ends the approvals of its releases."""
    return service.update_provider(
        stores, project_id=caller.project_id, name=name, actor_id=caller.id, **body.model_dump()
    )


@router.post("/providers/{name}/keys", status_code=201)
def add_key(name: str, body: NewKey, stores: StoresDep, caller: Admin) -> ProviderKey:
    """Give a provider one more key."""
    return service.add_key(stores, project_id=caller.project_id, provider=name, actor_id=caller.id, **body.model_dump())


@router.put("/providers/{name}/keys/{key_id}")
def rotate_key(name: str, key_id: str, body: KeyInPlace, stores: StoresDep, caller: Admin) -> ProviderKey:
    """Put another key in the place of one; its name and weight stay."""
    return service.rotate_key(
        stores, project_id=caller.project_id, provider=name, key_id=key_id, actor_id=caller.id, **body.model_dump()
    )


@router.patch("/providers/{name}/keys/{key_id}")
def change_key(name: str, key_id: str, body: KeyChange, stores: StoresDep, caller: Admin) -> ProviderKey:
    """Another name or weight for a key."""
    return service.change_key(
        stores, project_id=caller.project_id, provider=name, key_id=key_id, actor_id=caller.id, **body.model_dump()
    )


@router.delete("/providers/{name}/keys/{key_id}", status_code=204)
def remove_key(name: str, key_id: str, stores: StoresDep, caller: Admin, reason: str = "") -> None:
    """Take a key away; its sealed form is deleted with it."""
    service.remove_key(
        stores, project_id=caller.project_id, provider=name, key_id=key_id, reason=reason, actor_id=caller.id
    )
