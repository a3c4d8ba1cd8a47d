"""Keys that write traces to several projects: which ones, who lets them, and who ends it.

A key is of one project and works there and nowhere else. A key of scope "write_traces" may be let into other projects by somebody
who is an admin in each of them, in person: a manage key stays in its project and can let nothing into another. What a client names
(an attribute of its resource) only chooses among the projects that its key may write to; noria.tracing.otlp.places asks here.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Select, delete, insert, or_, select

from noria.core import clock
from noria.core.errors import BadInput, Forbidden, NotFound
from noria.governance import audit
from noria.governance.records import GuestKey
from noria.governance.tables import key_projects, keys, memberships, projects
from noria.web.auth import Caller

MOST: Final = 50
"""Other projects that one key may write to."""


def granted(connection: Connection, caller: Caller, named: Iterable[str]) -> list[str]:
    """Ids of the projects `named` (by name or id), which `caller` may let a key write to. Raises Forbidden, naming the first they may not."""
    wanted = _wanted(named)
    if wanted and caller.kind != "person":
        raise Forbidden(
            "A key stays in its project, so it cannot let another one into more; nothing was made.",
            hint="Sign in and make the key on the page of keys, or use `noria keys create --writes-to`.",
        )
    mine = _names(connection, select(memberships.c.project_id).where(_admin(caller.id)))
    lacking = [name for name in wanted if name not in mine]
    if lacking:
        raise Forbidden(
            f"You are not an admin of a project {lacking[0][:80]!r}; nothing was made.",
            hint="Ask an admin of that project, who must be one of this project too.",
        )
    return _without(caller.project_id, (mine[name] for name in wanted))


def found(connection: Connection, project_id: str, named: Iterable[str]) -> list[str]:
    """The same for the owner of the installation, who may everything. Raises NotFound."""
    wanted = _wanted(named)
    known = _names(connection, select(projects.c.id))
    lacking = [name for name in wanted if name not in known]
    if lacking:
        raise NotFound(f"There is no project {lacking[0][:80]!r}; nothing was made.", hint="See noria project list.")
    return _without(project_id, (known[name] for name in wanted))


def admit(
    connection: Connection, *, key_id: str, name: str, home: str, project_ids: Sequence[str], actor_id: str
) -> None:
    """Let a key of the project `home` write to these projects, each of which has it in its audit. `granted` says which may be named."""
    now = clock.now()
    for project_id in project_ids:
        connection.execute(insert(key_projects).values(key_id=key_id, project_id=project_id, created_at=now))
        _audit(connection, project_id, "key.admit", key_id, actor_id=actor_id, details={"name": name, "of": home})


def withdraw(connection: Connection, *, project_id: str, key_id: str, actor_id: str, reason: str = "") -> None:
    """End that a key of another project writes to this one, at once; what it wrote stays. Raises NotFound."""
    row = connection.execute(_guests(project_id).where(keys.c.id == key_id)).first()
    if row is None:
        raise NotFound("No such key of another project may write here.")
    here = (key_projects.c.key_id == key_id) & (key_projects.c.project_id == project_id)
    connection.execute(delete(key_projects).where(here))
    details = {"name": row.name, "from": project_id}
    for place in (project_id, row.project_id):
        _audit(connection, place, "key.withdraw", key_id, actor_id=actor_id, reason=reason, details=details)


def guests(connection: Connection, project_id: str) -> list[GuestKey]:
    """Keys of other projects that may write to this one and still work, newest first."""
    now = clock.now()
    query = _guests(project_id).where(
        keys.c.revoked_at.is_(None), or_(keys.c.expires_at.is_(None), keys.c.expires_at > now)
    )
    rows = connection.execute(query.order_by(keys.c.id.desc()))
    return [GuestKey(row.id, row.name, row.hint, row.project, row.created_at) for row in rows]


def others(connection: Connection, project_id: str) -> dict[str, tuple[str, ...]]:
    """Names of the other projects that the keys of this one may write to, by key id; keys without any are left out."""
    query = (
        select(key_projects.c.key_id, projects.c.name)
        .join(keys, keys.c.id == key_projects.c.key_id)
        .join(projects, projects.c.id == key_projects.c.project_id)
        .where(keys.c.project_id == project_id)
        .order_by(projects.c.name)
    )
    told: dict[str, tuple[str, ...]] = {}
    for row in connection.execute(query):
        told[row.key_id] = (*told.get(row.key_id, ()), row.name)
    return told


def writable(connection: Connection, caller: Caller) -> dict[str, str]:
    """Ids of the projects that `caller` may write traces to, by their names and by their ids: its own, and those its key was let into."""
    let = select(key_projects.c.project_id).where(key_projects.c.key_id == caller.id)
    own = select(projects.c.id).where(projects.c.id == caller.project_id)
    return _names(connection, own.union(let) if caller.kind == "key" else own)


def admin_of(connection: Connection, person_id: str) -> list[tuple[str, str]]:
    """Projects (id, name) in which a person is an admin, by name."""
    query = select(projects.c.id, projects.c.name).where(
        projects.c.id.in_(select(memberships.c.project_id).where(_admin(person_id)))
    )
    return [(row.id, row.name) for row in connection.execute(query.order_by(projects.c.name))]


def _admin(person_id: str) -> ColumnElement[bool]:
    return (memberships.c.person_id == person_id) & (memberships.c.role == "admin")


def _names(connection: Connection, ids: Any) -> dict[str, str]:
    rows = connection.execute(select(projects.c.id, projects.c.name).where(projects.c.id.in_(ids))).all()
    return {row.name: row.id for row in rows} | {row.id: row.id for row in rows}


def _wanted(named: Iterable[str]) -> list[str]:
    wanted = list(dict.fromkeys(name.strip() for name in named if name.strip()))
    if len(wanted) > MOST:
        raise BadInput(f"A key writes to at most {MOST} other projects; nothing was made.", hint="Make several keys.")
    return wanted


def _without(project_id: str, ids: Iterable[str]) -> list[str]:
    return [one for one in dict.fromkeys(ids) if one != project_id]


def _guests(project_id: str) -> Select[Any]:
    home = projects.c.name.label("project")
    return (
        select(keys.c.id, keys.c.name, keys.c.hint, keys.c.project_id, home, key_projects.c.created_at)
        .join(key_projects, key_projects.c.key_id == keys.c.id)
        .join(projects, projects.c.id == keys.c.project_id)
        .where(key_projects.c.project_id == project_id)
    )


def _audit(connection: Connection, project_id: str, verb: str, key_id: str, **extra: Any) -> None:
    audit.record(connection, project_id=project_id, verb=verb, target_kind="key", target_id=key_id, **extra)
