"""Pages of what releases are made of: prompts and their differences, models, and lineage as a list."""

from typing import Annotated, Any, Literal

import orjson
from fastapi import APIRouter, Form, Query, Request
from starlette.responses import Response

from noria.core.errors import BadInput
from noria.registry import lineage, prompts, service, views
from noria.web.auth import Caller, allow
from noria.web.deps import StoresDep
from noria.web.paging import Cursor, Limit
from noria.web.templates import render, see_other

router = APIRouter()

Viewer = Annotated[Caller, allow("view")]
Editor = Annotated[Caller, allow("edit")]
Name = Annotated[str, Form(max_length=200)]
Text = Annotated[str, Form(max_length=1_000_000)]
Version = Annotated[str, Query(max_length=40)]


@router.get("/prompts")
def prompts_page(
    *, request: Request, stores: StoresDep, caller: Viewer, limit: Limit = 50, cursor: Cursor = None
) -> Response:
    """All prompts."""
    page = service.list_prompts(stores, caller.project_id, limit=limit, cursor=cursor)
    return render(request, caller, "registry/prompts.html", page=page)


@router.post("/prompts")
def create_prompt(stores: StoresDep, caller: Editor, name: Name, description: Name = "") -> Response:
    """Make a prompt, and go to its page."""
    with stores.database.begin() as connection:
        made = service.create_prompt(
            connection, project_id=caller.project_id, name=name.strip(), description=description, actor_id=caller.id
        )
    return see_other(f"/prompts/{made.name}", "The prompt is made. Write its first version.")


@router.get("/prompts/{name}")
def prompt_page(
    *,
    request: Request,
    stores: StoresDep,
    caller: Viewer,
    name: str,
    version: Version = "",
    a: Version = "",
    b: Version = "",
) -> Response:
    """One version's text, and what changed since another."""
    with stores.database.read() as connection:
        prompt = service.find_prompt(connection, caller.project_id, name)
    versions = service.prompt_versions(stores, caller.project_id, name)
    shown = None
    compared: dict[str, Any] | None = None
    if versions:
        wanted = version or b or str(versions[0].number)
        before = a or (str(int(wanted) - 1) if wanted.isdecimal() and int(wanted) > 1 else "")
        with stores.database.read() as connection:
            shown = service.find_prompt_version(connection, caller.project_id, f"{name}@{wanted}")
            if before:
                compared = service.diff(connection, caller.project_id, name, before, wanted)
    return render(
        request,
        caller,
        "registry/prompt.html",
        prompt=prompt,
        versions=versions,
        shown=shown,
        text=prompts.as_text(shown) if shown else "",
        compared=compared,
        latest=versions[0] if versions else None,
        labels={number: [k for k, v in prompt.labels.items() if v == number] for number in prompt.labels.values()},
    )


@router.post("/prompts/{name}/versions")
def save_version(
    stores: StoresDep,
    caller: Editor,
    name: str,
    text: Text,
    *,
    format: Annotated[Literal["text", "chat"], Form()] = "text",
    note: Name = "",
) -> Response:
    """Save what was typed as the next version."""
    written = text.replace("\r\n", "\n")  # a browser's form sends the line ends of 1981
    content: dict[str, Any] = {"template": written} if format == "text" else {"messages": _messages(written)}
    with stores.database.begin() as connection:
        made = service.add_prompt_version(
            connection,
            project_id=caller.project_id,
            name=name,
            format=format,
            note=note,
            actor_id=caller.id,
            **content,
        )
    return see_other(f"/prompts/{name}?version={made.number}", "The version is saved. It never changes.")


@router.post("/prompts/{name}/labels")
def set_label(stores: StoresDep, caller: Editor, name: str, label: Name, version: Annotated[int, Form()]) -> Response:
    """Let a label name a version."""
    with stores.database.begin() as connection:
        service.set_label(
            connection,
            project_id=caller.project_id,
            name=name,
            label=label.strip(),
            version=version,
            actor_id=caller.id,
        )
    return see_other(f"/prompts/{name}?version={version}", "The label names this version now.")


@router.get("/models")
def models_page(
    *, request: Request, stores: StoresDep, caller: Viewer, limit: Limit = 50, cursor: Cursor = None
) -> Response:
    """All models."""
    page = service.list_models(stores, caller.project_id, limit=limit, cursor=cursor)
    return render(request, caller, "registry/models.html", page=page)


@router.get("/models/{name}")
def model_page(request: Request, stores: StoresDep, caller: Viewer, name: str) -> Response:
    """A model's versions: files, hashes, and what they were made of."""
    versions = service.model_versions(stores, caller.project_id, name)
    return render(request, caller, "registry/model.html", name=name, versions=versions)


@router.get("/lineage/{kind}/{node_id}")
def lineage_page(request: Request, stores: StoresDep, caller: Viewer, kind: str, node_id: str) -> Response:
    """What went into something, and what it went into, as a list that can be read."""
    hooks = lineage.hooks(request.app.state.slices)
    both = [
        lineage.walk(stores, caller.project_id, kind, node_id, direction=direction, hooks=hooks)
        for direction in lineage.DIRECTIONS
    ]
    return render(
        request,
        caller,
        "registry/lineage.html",
        kind=kind,
        title=both[0].title or both[1].title or node_id,
        back=both[0],
        forward=both[1],
        steps=views.steps(both[0]),
        address_of=views.address_of,
        kinds=lineage.KINDS,
        own=views.address(kind, node_id, both[0].title),
    )


def _messages(text: str) -> list[dict[str, str]]:
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise BadInput(
            f"The messages are not JSON: {error.msg} (line {error.lineno}).", hint="A list of role and content."
        ) from error
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise BadInput("The messages are a JSON list of objects with role and content.", hint="Nothing was saved.")
    return found
