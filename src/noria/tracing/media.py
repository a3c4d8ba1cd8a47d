"""Images, sound and documents that Langfuse's clients take out of what they trace, and name there by a reference.

A client tells the hash of a file, gets an address, puts the bytes there and says so. The bytes lie in a content-addressed store of their own;
what is kept here binds a file to a project, and to the traces that it was announced for, so that it goes when they are erased.
An address is its own permission for a while: a keyed hash over project, file and end.
"""

import base64
import binascii
import hashlib
import hmac
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import insert, select, update

from noria.core import clock
from noria.core.errors import BadInput, Conflict, Forbidden, NotFound, TooLarge
from noria.governance import audit, sealing
from noria.stores.connect import Stores
from noria.stores.lock import Gate
from noria.tracing import erasure, tables
from noria.web.langfuse import PREFIX

SHOWN: Final = frozenset({"image/png", "image/jpeg", "image/jpg", "image/gif", "image/webp"})
"""Kinds that a browser may draw: pictures of dots, which run no script."""
_KIND: Final = re.compile(r"[a-z]{1,20}/[a-z0-9.+-]{1,100}")
_PURPOSE: Final = "media links"
_SECONDS: Final = 3600
_TOKEN: Final = re.compile(r"([rw])([0-9a-f]{8})([0-9a-f]{32})")


@dataclass(frozen=True, slots=True)
class Media:
    """One file of a project. `id` is the first 22 characters of its sha256 in URL-safe base64, as the clients make it."""

    id: str
    project_id: str
    digest: str
    """sha256, 64 hex digits."""
    content_type: str
    size: int
    created_at: datetime
    uploaded_at: datetime | None
    """None until the bytes are here."""


def announce(
    stores: Stores, *, project_id: str, actor_id: str, content_type: str, size: int, sha256: str, trace_id: str
) -> tuple[Media, str]:
    """The file that will come, and the address to put it to; "" when it is here already or belongs to an erased trace.

    `trace_id` is empty when the file is for something else. Raises BadInput, TooLarge, Conflict, Unavailable.
    """
    try:
        digest = base64.b64decode(sha256, validate=True)
    except (binascii.Error, ValueError):
        digest = b""
    if len(digest) != 32:
        raise BadInput("sha256Hash is the base64 of a SHA-256.")
    if not _KIND.fullmatch(content_type):
        raise BadInput(f"{content_type[:60]!r} is no media type.")
    if size > stores.settings.max_body_mb << 20:
        raise TooLarge(f"Media may have at most {stores.settings.max_body_mb} MB.", hint="The setting is max_body_mb.")
    media_id = base64.urlsafe_b64encode(digest).decode()[:22]
    row: dict[str, Any] = {
        "id": media_id,
        "project_id": project_id,
        "digest": digest.hex(),
        "content_type": content_type,
    }
    row |= {"size": size, "created_at": clock.now(), "uploaded_at": None}
    trace_id = trace_id.lower().replace("-", "")
    with Gate(stores.settings.folder.media_gate):
        if trace_id and erasure.is_erased(stores, project_id, trace_id):
            return Media(**row), ""
        found = _note(stores, row, actor_id, trace_id)
    if found.uploaded_at is not None:
        return found, ""
    return found, link(stores, project_id, media_id, "w")


def _note(stores: Stores, row: Mapping[str, Any], actor_id: str, trace_id: str) -> Media:
    """Keep that the file was announced, and for what; the file as it is known. Raises Conflict."""
    table, uses = tables.media, tables.media_uses
    use = {"project_id": row["project_id"], "media_id": row["id"], "trace_id": trace_id}
    with stores.database.begin() as connection:
        here = (table.c.project_id == row["project_id"]) & (table.c.id == row["id"])
        known = connection.execute(select(table).where(here)).mappings().first()
        if known is None:
            connection.execute(insert(table).values(row))
            audit.record(
                connection,
                project_id=row["project_id"],
                actor_id=actor_id,
                verb="media.add",
                target_kind="trace" if trace_id else "media",
                target_id=trace_id or row["id"],
                details={"media": row["id"], "content_type": row["content_type"], "bytes": row["size"]},
            )
        used = connection.execute(select(uses).where(*(uses.c[name] == value for name, value in use.items()))).first()
        if used is None:
            connection.execute(insert(uses).values(use))
        found = Media(**(known or row))
        if found.digest != row["digest"]:
            raise Conflict("Another file of this project has the same id; this one was not kept.")
    return found


def receive(stores: Stores, project_id: str, media_id: str, content: bytes) -> Media:
    """Keep the bytes of a file that was announced. Raises BadInput when they are not those that were announced, NotFound."""
    found = find(stores, project_id, media_id)
    if len(content) != found.size or hashlib.sha256(content).hexdigest() != found.digest:
        raise BadInput(
            "These are not the bytes that were announced; nothing was kept.", hint="Announce the file again."
        )
    with Gate(stores.settings.folder.media_gate):
        if find(stores, project_id, media_id).uploaded_at is None:  # it may have been erased meanwhile
            stores.media.put(content)
            table = tables.media
            here = (table.c.project_id == project_id) & (table.c.id == media_id)
            with stores.database.begin() as connection:
                connection.execute(update(table).where(here).values(uploaded_at=clock.now()))
    return find(stores, project_id, media_id)


def find(stores: Stores, project_id: str, media_id: str) -> Media:
    """Raises NotFound."""
    known = find_all(stores, project_id, [media_id])
    if media_id not in known:
        raise NotFound("There is no such media file.")
    return known[media_id]


def find_all(stores: Stores, project_id: str, media_ids: list[str]) -> dict[str, Media]:
    """Those of them that there are, by id."""
    table = tables.media
    if not media_ids:
        return {}
    query = select(table).where(table.c.project_id == project_id, table.c.id.in_(media_ids))
    with stores.database.read() as connection:
        return {row["id"]: Media(**row) for row in connection.execute(query).mappings()}


def link(stores: Stores, project_id: str, media_id: str, way: str) -> str:
    """An address for an hour by which anybody may read ("r") or put ("w") these bytes, and nothing else."""
    ends = f"{int(time.time()) + _SECONDS:08x}"
    base = (stores.settings.public_url or stores.settings.server_url).rstrip("/")
    token = f"{way}{ends}{_mark(stores, project_id, media_id, way, ends)}"
    return f"{base}{PREFIX}/media/{media_id}/content/{project_id}/{token}"


def link_ends(url: str) -> datetime:
    """When an address of ours ends."""
    return datetime.fromtimestamp(int(url.rpartition("/")[2][1:9], 16), UTC)


def check_link(stores: Stores, project_id: str, media_id: str, token: str, way: str) -> None:
    """Raise Forbidden unless the token is ours, for this file and this way, and has not ended."""
    found = _TOKEN.fullmatch(token)
    good = found is not None and found[1] == way
    if (
        not good
        or found is None
        or not hmac.compare_digest(_mark(stores, project_id, media_id, way, found[2]), found[3])
    ):
        raise Forbidden("This address is not one of ours.", hint="Ask for the media file again.")
    if int(found[2], 16) <= time.time():
        raise Forbidden("This address has expired.", hint="Ask for the media file again.")


def _mark(stores: Stores, project_id: str, media_id: str, way: str, ends: str) -> str:
    key = sealing.derived(stores.settings.folder.secret, _PURPOSE)
    text = "\x00".join((project_id, media_id, way, ends))
    return hashlib.blake2b(text.encode(), key=key, digest_size=16).hexdigest()
