"""Tools of datasets for assistants."""

from typing import Any

from pydantic import Field

from noria.datasets import service
from noria.stores.connect import Stores
from noria.web.auth import Caller
from noria.web.tools import Arguments, Tool


class Page(Arguments):
    limit: int = Field(50, ge=1, le=200)
    cursor: str = Field("", description="next of an earlier answer, to go on from there.")


def tools() -> tuple[Tool, ...]:
    """All of them."""
    return (
        Tool("list_datasets", "List datasets", "Datasets by name, with the rows of their latest version.", Page, _list),
    )


def _list(stores: Stores, caller: Caller, given: Page) -> Any:
    page = service.list_datasets(stores, caller.project_id, limit=given.limit, cursor=given.cursor or None)
    return {"datasets": page.items, "next": page.next}
