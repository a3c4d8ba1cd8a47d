"""JSON API of what releases are made of: prompts and models."""

from dataclasses import asdict
from typing import Annotated, Any, Literal

from fastapi import APIRouter
from pydantic import BaseModel, Field

from noria.registry import service
from noria.registry.records import Model, ModelVersion, Prompt, PromptVersion
from noria.web.auth import Caller, allow
from noria.web.deps import StoresDep
from noria.web.paging import Cursor, Limit, Page

router = APIRouter(tags=["prompts, models"])

Viewer = Annotated[Caller, allow("view")]
Editor = Annotated[Caller, allow("edit")]


class NewPrompt(BaseModel):
    name: str
    description: str = Field("", max_length=2000)


class NewPromptVersion(BaseModel):
    format: Literal["chat", "text"]
    template: str = Field("", description="Of format text.")
    messages: list[dict[str, str]] = Field(
        default_factory=list, description='Of format chat; {"role": "messages"} stands for the caller\'s messages.'
    )
    config: dict[str, Any] = Field(
        default_factory=dict, description="What your application keeps beside the words; Noria only keeps it."
    )
    note: str = Field("", max_length=2000)


class LabelTarget(BaseModel):
    version: int


@router.get("/prompts")
def list_prompts(stores: StoresDep, caller: Viewer, limit: Limit = 50, cursor: Cursor = None) -> Page[Prompt]:
    """All prompts, by name."""
    return service.list_prompts(stores, caller.project_id, limit=limit, cursor=cursor)


@router.post("/prompts", status_code=201)
def create_prompt(body: NewPrompt, stores: StoresDep, caller: Editor) -> Prompt:
    """Make a prompt; its text comes with its first version."""
    with stores.database.begin() as connection:
        return service.create_prompt(
            connection,
            project_id=caller.project_id,
            name=body.name,
            description=body.description,
            actor_id=caller.id,
        )


@router.get("/prompts/{name}")
def get_prompt(name: str, stores: StoresDep, caller: Viewer) -> dict[str, Any]:
    """A prompt with its labels and all its versions, newest first."""
    with stores.database.read() as connection:
        prompt = service.find_prompt(connection, caller.project_id, name)
    versions = service.prompt_versions(stores, caller.project_id, name)
    return {**asdict(prompt), "versions": [_with_version(version) for version in versions]}


@router.post("/prompts/{name}/versions", status_code=201)
def add_prompt_version(name: str, body: NewPromptVersion, stores: StoresDep, caller: Editor) -> dict[str, Any]:
    """Save the next version; refused, with line and column, when it cannot be rendered."""
    with stores.database.begin() as connection:
        version = service.add_prompt_version(
            connection, project_id=caller.project_id, name=name, actor_id=caller.id, **body.model_dump()
        )
    return _with_version(version)


@router.get("/prompts/{name}/versions/{version}")
def get_prompt_version(
    name: str, version: str, stores: StoresDep, caller: Annotated[Caller, allow("read_prompts")]
) -> dict[str, Any]:
    """One version, by its number or a label: what an application renders itself."""
    with stores.database.read() as connection:
        return _with_version(service.find_prompt_version(connection, caller.project_id, f"{name}@{version}"))


@router.put("/prompts/{name}/labels/{label}")
def set_label(name: str, label: str, body: LabelTarget, stores: StoresDep, caller: Editor) -> Prompt:
    """Let a label name a version; releases keep what they were made with."""
    with stores.database.begin() as connection:
        return service.set_label(
            connection,
            project_id=caller.project_id,
            name=name,
            label=label,
            version=body.version,
            actor_id=caller.id,
        )


@router.get("/prompts/{name}/diff")
def diff_prompt(name: str, a: str, b: str, stores: StoresDep, caller: Viewer) -> dict[str, Any]:
    """What changed from version or label `a` to `b`: unified text, and line by line."""
    with stores.database.read() as connection:
        return service.diff(connection, caller.project_id, name, a, b)


@router.get("/models")
def list_models(stores: StoresDep, caller: Viewer, limit: Limit = 50, cursor: Cursor = None) -> Page[Model]:
    """All models, by name."""
    return service.list_models(stores, caller.project_id, limit=limit, cursor=cursor)


@router.get("/models/{name}")
def list_model_versions(name: str, stores: StoresDep, caller: Viewer) -> dict[str, list[ModelVersion]]:
    """All versions of a model, newest first."""
    return {"items": service.model_versions(stores, caller.project_id, name)}


@router.get("/models/{name}/versions/{number}")
def get_model_version(name: str, number: int, stores: StoresDep, caller: Viewer) -> ModelVersion:
    """A version with its files, their hashes, and what it was made of."""
    with stores.database.read() as connection:
        return service.find_model_version(connection, caller.project_id, f"{name}:{number}")


def _with_version(version: PromptVersion) -> dict[str, Any]:
    return {**asdict(version), "version": version.number}
