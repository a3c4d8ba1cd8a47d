"""Keyset paging: a page goes on after the last row's sort key, so that it stays right while rows are added.

A service fetches `limit + 1` rows ordered by its key, gives them to `cut`, and returns the `Page`; the cursor is opaque to
callers (base64 of a JSON list of the last key's values).
"""

import base64
import binascii
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Generic, TypeVar

from fastapi import Query

from noria.core.errors import BadInput

Item = TypeVar("Item")

Limit = Annotated[int, Query(ge=1, le=500, description="At most this many items.")]
Cursor = Annotated[str | None, Query(max_length=2000, description="`next` of the page before; empty: from the start.")]


@dataclass(frozen=True, slots=True)
class Page(Generic[Item]):
    """One page of a list. `next` is the cursor of the page after it, None on the last."""

    items: list[Item]
    next: str | None = None


def encode(values: Sequence[str | int | float]) -> str:
    """The cursor that goes on after the row with these key values."""
    return base64.urlsafe_b64encode(json.dumps(list(values)).encode()).decode().rstrip("=")


def decode(cursor: str | None, *types: type) -> list[Any] | None:
    """The key values in `cursor`, checked against `types` (one a value); None when there is no cursor.

    Raises BadInput for a cursor that was not made by `encode`.
    """
    if not cursor:
        return None
    try:
        values = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (binascii.Error, ValueError) as error:
        raise _bad() from error
    if not isinstance(values, list) or (types and [type(v) for v in values] != list(types)):
        raise _bad()
    return values


def cut(rows: Sequence[Item], limit: int, key: Callable[[Item], Sequence[str | int | float]]) -> Page[Item]:
    """The first `limit` of up to `limit + 1` fetched rows; the extra one only says that there is a next page."""
    items = list(rows[:limit])
    return Page(items, encode(key(items[-1])) if len(rows) > limit else None)


def _bad() -> BadInput:
    return BadInput("The cursor is not one of ours.", hint="Send `next` of the page before, or leave it out.")
