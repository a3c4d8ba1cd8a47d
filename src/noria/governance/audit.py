"""What happened: one row for each change, written in the transaction that makes it, so that neither is without the other.

`details` is for facts that explain the change (numbers, names of things); never a key, a password or a person's data.
"""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, func, insert, select

from noria.core import clock, ids
from noria.governance.records import AuditEntry
from noria.governance.tables import audit, keys, people
from noria.web import paging


def record(
    connection: Connection,
    *,
    project_id: str,
    actor_id: str,
    verb: str,
    target_kind: str,
    target_id: str,
    reason: str = "",
    details: Mapping[str, Any] | None = None,
) -> str:
    """Write one entry and return its id. `verb` is "noun.verb" ("release.promote"); `actor_id` is empty for Noria itself."""
    entry_id = ids.new_id()
    connection.execute(
        insert(audit).values(
            id=entry_id,
            project_id=project_id,
            time=clock.now(),
            actor_id=actor_id,
            verb=verb,
            target_kind=target_kind,
            target_id=target_id,
            reason=reason,
            details=dict(details or {}),
        )
    )
    return entry_id


def entries(
    connection: Connection,
    project_id: str,
    *,
    verb: str | None = None,
    target_kind: str | None = None,
    target_id: str | None = None,
    limit: int = 50,
    cursor: str | None = None,
) -> paging.Page[AuditEntry]:
    """Entries of a project, newest first; `verb` may be a whole verb or its noun ("release")."""
    name = func.coalesce(people.c.name, keys.c.name, "").label("actor")
    joined = audit.outerjoin(people, people.c.id == audit.c.actor_id).outerjoin(keys, keys.c.id == audit.c.actor_id)
    query = select(audit, name).select_from(joined).where(audit.c.project_id == project_id)
    if verb:
        query = query.where((audit.c.verb == verb) | audit.c.verb.startswith(f"{verb}.", autoescape=True))
    if target_kind:
        query = query.where(audit.c.target_kind == target_kind)
    if target_id:
        query = query.where(audit.c.target_id == target_id)
    if after := paging.decode(cursor, str):
        query = query.where(audit.c.id < after[0])
    rows = connection.execute(query.order_by(audit.c.id.desc()).limit(limit + 1)).mappings()
    return paging.cut([AuditEntry(**row) for row in rows], limit, lambda entry: [entry.id])
