"""What the routes below /api/public share: paging, times, names and media references as Langfuse's clients know them.

Those clients are used unchanged, so these shapes are theirs: camelCase, pages by number beside pages by cursor. What lies behind
each route is the slice's own; nothing here knows of one.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Final

from fastapi import Query

from noria.core.errors import BadInput

PREFIX: Final = "/api/public"
PageNumber = Annotated[int, Query(ge=1, le=1_000_000, description="From 1.")]
PageSize = Annotated[int, Query(ge=1, le=1000, description="Items on a page.")]
Names = Annotated[list[str] | None, Query(description="Any of them; may be given several times.")]

_SLUG: Final = re.compile(r"[^a-z0-9._-]+")
_REFERENCE: Final = re.compile(r"@@@langfuseMedia:type=([\w.+/-]{1,100})\|id=([\w-]{22})\|source=(\w{1,40})@@@")
_DEEPEST: Final = 20


@dataclass(frozen=True, slots=True)
class Reference:
    """A place in a value that stands for a media file."""

    text: str
    content_type: str
    media_id: str
    path: str
    """JSONPath, like $['messages'][0]."""


def paged(items: Sequence[Any], page: int, limit: int, total: int) -> dict[str, Any]:
    """A page by number; `total` counts the items of all pages."""
    meta = {"page": page, "limit": limit, "totalItems": total, "totalPages": -(-total // limit)}
    return {"data": list(items), "meta": meta}


def time_text(time: datetime) -> str:
    """ISO 8601, UTC, milliseconds, "Z"; a time without a zone is UTC."""
    aware = time if time.tzinfo else time.replace(tzinfo=UTC)
    return aware.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def words(text: str | None) -> list[str]:
    """What a comma-separated parameter lists."""
    return [word.strip() for word in (text or "").split(",") if word.strip()]


def check_known_as(name: str, what: str) -> str:
    """`name`, which another platform gave. Raises BadInput for one that cannot be kept."""
    if not name.strip() or len(name) > 200 or not name.isprintable():
        raise BadInput(f"The name of a {what} has 1 to 200 characters that can be read.")
    return name


def slug(name: str) -> str:
    """A name of ours for `name`: itself where it is one, else like it and with eight digits that tell it from others like it.

    "support" stays; "Team A/Support" becomes "team-a-support-1f0c2d3e".
    """
    plain = _SLUG.sub("-", name.lower()).strip("-._")[:50] or "unnamed"
    return name if plain == name else f"{plain}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def references(value: Any, path: str = "$", depth: int = 0) -> Iterator[Reference]:
    """The media references in a JSON value, in reading order; text that only holds one among words counts as well."""
    if isinstance(value, str):
        for found in _REFERENCE.finditer(value):
            yield Reference(found[0], found[1], found[2], path)
    elif depth < _DEEPEST and isinstance(value, Mapping):
        for key, inner in value.items():
            escaped = str(key).replace("\\", "\\\\").replace("'", "\\'")
            yield from references(inner, f"{path}['{escaped}']", depth + 1)
    elif depth < _DEEPEST and isinstance(value, list):
        for number, inner in enumerate(value):
            yield from references(inner, f"{path}[{number}]", depth + 1)
