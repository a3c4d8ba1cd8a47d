"""Projects: what one is, and what all that is called in it may use together."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, select, update

from noria.core.errors import NotFound
from noria.governance import audit
from noria.governance.limits import Limits, check_limits, decode_limits, sparse
from noria.governance.records import Project
from noria.governance.tables import projects as table
from noria.stores import changes


def get_project(connection: Connection, project_id: str, *, lock: bool = False) -> Project:
    """`lock`: for this transaction alone to change. Raises NotFound."""
    query = select(table).where(table.c.id == project_id)
    row = connection.execute(query.with_for_update() if lock else query).mappings().first()
    if row is None:
        raise NotFound("There is no such project.")
    return Project(**{**row, "limits": decode_limits(row["limits"])})


def limit_project(
    connection: Connection, *, project_id: str, limits: Mapping[str, Any], reason: str = "", actor_id: str
) -> Project:
    """Change those of the project's limits that are named; 0 takes one away. In force at gateways within a second."""
    before = get_project(connection, project_id, lock=True)
    changed = check_limits({**sparse(before.limits), **limits})
    if changed != before.limits:
        connection.execute(update(table).where(table.c.id == project_id).values(limits=sparse(changed)))
        audit.record(
            connection,
            project_id=project_id,
            actor_id=actor_id,
            verb="project.limits",
            target_kind="project",
            target_id=project_id,
            reason=reason,
            details={"from": sparse(before.limits), "to": sparse(changed)},
        )
        changes.bump(connection)
    return get_project(connection, project_id)


def all_limits(connection: Connection) -> dict[str, Limits]:
    """Limits by project id, of those projects that have any, for the snapshot."""
    rows = connection.execute(select(table.c.id, table.c.limits))
    return {row.id: decode_limits(row.limits) for row in rows if row.limits}
