"""Prompts as Langfuse's clients make, label and fetch them (docs/moving-from-langfuse.md)."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter
from pydantic import BaseModel, Field

from noria.core.errors import BadInput
from noria.registry import langfuse_prompts as prompts
from noria.registry.langfuse_prompts import NewVersion
from noria.web.auth import Caller, allow
from noria.web.deps import StoresDep
from noria.web.langfuse import PageNumber, PageSize, paged, time_text

router = APIRouter(prefix="/public/v2/prompts", tags=["Langfuse: prompts"])

Reader = Annotated[Caller, allow("read_prompts")]
Editor = Annotated[Caller, allow("edit")]


class LangfusePrompt(BaseModel):
    """A new version of a prompt, which is made when there is none of this name."""

    name: str
    type: Literal["text", "chat"] | None = None
    prompt: str | list[dict[str, Any]] = Field(description="Text, or messages and placeholders.")
    labels: list[str] = Field(default_factory=list, max_length=50)
    tags: list[str] | None = None
    config: Any = None
    commitMessage: str | None = Field(None, max_length=2000)


class LangfuseLabels(BaseModel):
    """Labels that shall name a version."""

    newLabels: list[str] = Field(max_length=50)


@router.get("")
def langfuse_prompts(
    stores: StoresDep,
    caller: Reader,
    *,
    page: PageNumber = 1,
    limit: PageSize = 50,
    name: str = "",
    label: str = "",
    tag: str = "",
) -> dict[str, Any]:
    """Prompts by page, with their versions and labels."""
    found, total = prompts.list_page(stores, caller.project_id, page=page, limit=limit, name=name, label=label, tag=tag)
    return paged([{**one, "lastUpdatedAt": time_text(one["lastUpdatedAt"])} for one in found], page, limit, total)


@router.post("", status_code=201)
def langfuse_create_prompt(body: LangfusePrompt, stores: StoresDep, caller: Editor) -> dict[str, Any]:
    """Save the next version of a prompt and let the labels name it."""
    if (body.type == "chat") != isinstance(body.prompt, list):
        raise BadInput("A text prompt is text, a chat prompt a list of messages.", hint="Say type: chat for messages.")
    if body.config is not None and not isinstance(body.config, dict):
        raise BadInput("config is an object.")
    new = NewVersion(
        name=body.name,
        prompt=body.prompt,
        labels=body.labels,
        tags=body.tags,
        config=body.config,
        note=body.commitMessage or "",
    )
    with stores.database.begin() as connection:
        return prompts.as_theirs(*prompts.add(connection, project_id=caller.project_id, actor_id=caller.id, new=new))


@router.patch("/{name:path}/versions/{version}")
def langfuse_label_prompt(
    name: str, version: int, body: LangfuseLabels, stores: StoresDep, caller: Editor
) -> dict[str, Any]:
    """Let labels name this version; a label names one version of a prompt."""
    with stores.database.begin() as connection:
        return prompts.as_theirs(
            *prompts.label(
                connection,
                project_id=caller.project_id,
                actor_id=caller.id,
                name=name,
                version=version,
                labels=body.newLabels,
            )
        )


@router.get("/{name:path}")
def langfuse_get_prompt(
    name: str, stores: StoresDep, caller: Reader, version: int | None = None, label: str = ""
) -> dict[str, Any]:
    """One version by number or label; neither: the label production."""
    with stores.database.read() as connection:
        return prompts.as_theirs(
            *prompts.find_version(connection, caller.project_id, name, version=version, named=label)
        )
