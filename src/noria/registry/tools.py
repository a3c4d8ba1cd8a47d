"""Tools of registry for assistants: prompts and their versions."""

from typing import Any

from pydantic import Field

from noria.registry import prompts
from noria.stores.connect import Stores
from noria.web.auth import Caller
from noria.web.tools import Arguments, Tool


class Page(Arguments):
    limit: int = Field(50, ge=1, le=200)
    cursor: str = Field("", description="next of an earlier answer, to go on from there.")


class OnePrompt(Arguments):
    name: str = Field(max_length=200)
    version: str = Field("", max_length=80, description="A number or a label; the latest when it is left out.")


def tools() -> tuple[Tool, ...]:
    """All of them."""
    return (
        Tool("list_prompts", "List prompts", "Prompts by name, with their labels and latest version.", Page, _list),
        Tool("get_prompt", "Read a prompt", "One version of a prompt with its template.", OnePrompt, _get),
    )


def _list(stores: Stores, caller: Caller, given: Page) -> Any:
    page = prompts.list_prompts(stores, caller.project_id, limit=given.limit, cursor=given.cursor or None)
    return {"prompts": page.items, "next": page.next}


def _get(stores: Stores, caller: Caller, given: OnePrompt) -> Any:
    with stores.database.read() as connection:
        prompt = prompts.find_prompt(connection, caller.project_id, given.name)
        wanted = given.version or str(prompt.latest)
        version = prompts.find_prompt_version(connection, caller.project_id, f"{prompt.name}@{wanted}")
    return {"name": prompt.name, "version": version.number, "labels": prompt.labels, "text": prompts.as_text(version)}
