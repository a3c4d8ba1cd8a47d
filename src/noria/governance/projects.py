"""Projects: making and finding them, what all that is called in one may use together, and how long its spans stay."""

import re
from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import Connection, insert, select, update

from noria.core import checks, clock, ids
from noria.core.errors import BadInput, Conflict, NotFound
from noria.governance import audit
from noria.governance.limits import Limits, check_limits, decode_limits, sparse
from noria.governance.records import Project
from noria.governance.tables import memberships
from noria.governance.tables import projects as table
from noria.stores import changes

MOST_DAYS: Final = 36_500
_NAME: Final = re.compile(r"[^\W_](?:[\w .-]{0,78}[\w])?")
_ID: Final = re.compile(r"[0-9a-fA-F-]{32,36}")


def create_project(connection: Connection, name: str, *, actor_id: str = "") -> Project:
    """Make an empty project. Raises BadInput for a name that cannot be used and Conflict for one that is taken."""
    wanted = name.strip()
    if not _NAME.fullmatch(wanted) or _ID.fullmatch(wanted):
        raise BadInput(
            "That cannot be the name of a project; nothing was made.",
            hint="Letters, digits, spaces, dots, dashes and underscores, 80 at most; not like an id.",
        )
    if connection.execute(select(table.c.id).where(table.c.name == wanted)).first() is not None:
        raise Conflict(f"There is a project {wanted!r} already.", hint="Choose another name; see noria project list.")
    made = ids.new_id()
    connection.execute(insert(table).values(id=made, name=wanted, limits={}, created_at=clock.now()))
    audit.record(
        connection,
        project_id=made,
        actor_id=actor_id,
        verb="project.create",
        target_kind="project",
        target_id=made,
        details={"name": wanted},
    )
    return get_project(connection, made)


def find_project(connection: Connection, named: str) -> Project:
    """By id or name. Raises NotFound."""
    query = select(table.c.id).where((table.c.id == named) | (table.c.name == named))
    if (found := connection.execute(query).scalar()) is None:
        raise NotFound(f"There is no project {named[:80]!r}.", hint="See noria project list.")
    return get_project(connection, found)


def list_projects(connection: Connection) -> list[Project]:
    """All of the installation, oldest first."""
    rows = connection.execute(select(table).order_by(table.c.id)).mappings()
    return [Project(**{**row, "limits": decode_limits(row["limits"])}) for row in rows]


def projects_of(connection: Connection, person_id: str) -> list[tuple[str, str, str]]:
    """The projects in which a person has a role: id, name and role, by name."""
    query = (
        select(table.c.id, table.c.name, memberships.c.role)
        .join(memberships, memberships.c.project_id == table.c.id)
        .where(memberships.c.person_id == person_id)
        .order_by(table.c.name)
    )
    return [(row.id, row.name, row.role) for row in connection.execute(query)]


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


def keep_project_spans(
    connection: Connection, *, project_id: str, days: int | None, reason: str = "", actor_id: str
) -> Project:
    """Keep the project's spans and scores for `days`; None: as long as the installation's setting says. Raises BadInput.

    Fewer days take effect within the hour, and what is gone does not come back.
    """
    if days is not None:
        checks.whole(days, "keep_span_days", 1, MOST_DAYS, "Leave it empty for the installation's setting.")
    before = get_project(connection, project_id, lock=True)
    if days != before.keep_span_days:
        connection.execute(update(table).where(table.c.id == project_id).values(keep_span_days=days))
        audit.record(
            connection,
            project_id=project_id,
            actor_id=actor_id,
            verb="project.keep_spans",
            target_kind="project",
            target_id=project_id,
            reason=reason,
            details={"from": before.keep_span_days, "to": days},
        )
    return get_project(connection, project_id)


def days(text: str) -> int | None:
    """The days in what a person typed; empty: None. Raises BadInput."""
    typed = text.strip()
    if not typed:
        return None
    if not typed.isdecimal():
        raise BadInput("Days are a whole number.", hint=f"1 to {MOST_DAYS:,}, or empty for the installation's setting.")
    return int(typed)


def keep_span_days(connection: Connection) -> dict[str, int]:
    """Days by project id, of those projects that have their own."""
    rows = connection.execute(select(table.c.id, table.c.keep_span_days).where(table.c.keep_span_days.is_not(None)))
    return {row.id: row.keep_span_days for row in rows}


def all_limits(connection: Connection) -> dict[str, Limits]:
    """Limits by project id, of those projects that have any, for the snapshot."""
    rows = connection.execute(select(table.c.id, table.c.limits))
    return {row.id: decode_limits(row.limits) for row in rows if row.limits}
