"""The verbs of access that other slices call: the first start, people, keys, and who is asking.

`authenticate` is what the application injects into the web guard. A manage key acts as the person who made it, with the
lesser of both roles, so that a key can never approve what its owner may not, and "another person" means another person.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy import ColumnElement, Connection, Select, insert, or_, select, update

from noria.core import clock, ids
from noria.core.errors import BadInput, Conflict, NotFound
from noria.governance import audit, keys, roles, writing
from noria.governance import projects as shared
from noria.governance.limits import NO_LIMITS, Limits, check_limits, decode_limits, sparse
from noria.governance.people import add_person
from noria.governance.records import FirstLogin, GatewayKey, KeyRow
from noria.governance.sessions import authenticate
from noria.governance.tables import keys as key_table
from noria.governance.tables import memberships
from noria.governance.tables import projects as project_table
from noria.stores import changes
from noria.stores.connect import Stores

__all__ = [
    "add_person",
    "authenticate",
    "bootstrap",
    "gateway_keys",
    "limit_key",
    "list_keys",
    "mint_key",
    "revoke_key",
]

_CALLING = ("call", "candidate")
"""Scopes of keys that may call endpoints."""
_FIRST_ADMIN = "admin@localhost"


def bootstrap(stores: Stores) -> FirstLogin | None:
    """Make the project "default", its admin and a manage key; None when there is a project already."""
    with stores.database.begin() as connection:
        if connection.execute(select(project_table.c.id).limit(1)).first() is not None:
            return None
        project_id = ids.new_id()
        connection.execute(
            insert(project_table).values(id=project_id, name="default", limits={}, created_at=clock.now())
        )
        person, password = add_person(
            connection, project_id=project_id, email=_FIRST_ADMIN, name="admin", role="admin", actor_id=""
        )
        _, key = mint_key(
            connection, project_id=project_id, name="first key", scope="manage", role="admin", actor_id=person.id
        )
        return FirstLogin(project_id, person.email, password, key)


def default_project(connection: Connection, named: str = "") -> str:
    """The id of the project `named` (by name or id), or of the first one. Raises NotFound: no such project, or no start yet."""
    if named:
        return shared.find_project(connection, named).id
    project_id = connection.execute(select(project_table.c.id).order_by(project_table.c.id).limit(1)).scalar()
    if project_id is None:
        raise NotFound("There is no project yet.", hint="Start Noria once: noria up.")
    return str(project_id)


def projects(connection: Connection) -> list[str]:
    """Ids of all projects, oldest first; empty before the first start."""
    return list(connection.execute(select(project_table.c.id).order_by(project_table.c.id)).scalars())


def mint_key(
    connection: Connection,
    *,
    project_id: str,
    name: str,
    scope: str,
    role: str = "",
    release: str = "",
    live: bool = True,
    ttl_hours: float | None = None,
    limits: Mapping[str, Any] | None = None,
    projects: Sequence[str] = (),
    actor_id: str,
) -> tuple[KeyRow, str]:
    """Make a key; returns its row and the key itself, which is not kept.

    Scope "manage" wants a role and acts as `actor_id` when that is a person of the project; "candidate" wants the one
    release it may call ("assistant@2"). `live=False` keeps its traffic out of live figures. `limits` are for keys that
    call endpoints. `projects` are ids that noria.governance.writing.granted gave: other projects that a key of scope "write_traces"
    may write to.
    """
    _check_kind(scope, role, release)
    if ttl_hours is not None and not 0 < ttl_hours <= 24 * 3650:
        raise BadInput("A key lives for more than 0 and at most 87,600 hours.", hint="Leave it out for no end.")
    if not name.strip():
        raise BadInput("A key needs a name, so that you know later what it is for.")
    allowed = check_limits(limits or {})
    _check_calls(scope, allowed)
    if projects and scope != "write_traces":
        raise BadInput(
            f"A key of scope {scope!r} stays in its project.", hint="Only write_traces keys write to others."
        )
    key, now = keys.new_key(), clock.now()
    row = KeyRow(
        id=ids.new_id(),
        project_id=project_id,
        name=name.strip()[:120],
        scope=scope,
        role=role,
        release=release,
        live=live,
        hint=keys.hint(key),
        person_id=_person(connection, project_id, actor_id) if scope == "manage" else None,
        created_at=now,
        expires_at=now + timedelta(hours=ttl_hours) if ttl_hours is not None else None,
        revoked_at=None,
        limits=allowed,
    )
    values = {field: getattr(row, field) for field in KeyRow.__slots__ if field != "projects"}
    connection.execute(insert(key_table).values(**values | {"limits": sparse(allowed)}, digest=keys.digest(key)))
    details: dict[str, Any] = {"scope": scope, "role": role, "release": release, "name": row.name}
    details |= {"limits": sparse(allowed), "projects": list(projects)}
    _audit(connection, project_id, actor_id, "key.create", row.id, details={k: v for k, v in details.items() if v})
    writing.admit(connection, key_id=row.id, name=row.name, home=project_id, project_ids=projects, actor_id=actor_id)
    changes.bump(connection)
    return get_key(connection, project_id, row.id), key


def revoke_key(connection: Connection, *, project_id: str, key_id: str, actor_id: str, reason: str = "") -> KeyRow:
    """Stop a key for good: within a second at the gateway, at once elsewhere. Revoking twice is fine. Raises NotFound."""
    row = get_key(connection, project_id, key_id)
    if row.revoked_at is not None:
        return row
    connection.execute(update(key_table).where(key_table.c.id == key_id).values(revoked_at=clock.now()))
    _audit(connection, project_id, actor_id, "key.revoke", key_id, reason=reason, details={"name": row.name})
    changes.bump(connection)
    return get_key(connection, project_id, key_id)


def limit_key(
    connection: Connection,
    *,
    project_id: str,
    key_id: str,
    limits: Mapping[str, Any],
    reason: str = "",
    actor_id: str,
) -> KeyRow:
    """Change those of a key's limits that are named; 0 takes one away. In force at gateways within a second.

    Raises NotFound, BadInput, or Conflict when the key works no more.
    """
    row = get_key(connection, project_id, key_id, lock=True)
    changed = check_limits({**sparse(row.limits), **limits})
    _check_calls(row.scope, changed)
    if key_state(row) != "active":
        raise Conflict(f"The key {row.name!r} works no more, so it has nothing to limit.", hint="Make another one.")
    if changed != row.limits:
        connection.execute(update(key_table).where(key_table.c.id == key_id).values(limits=sparse(changed)))
        details = {"name": row.name, "from": sparse(row.limits), "to": sparse(changed)}
        _audit(connection, project_id, actor_id, "key.limits", key_id, reason=reason, details=details)
        changes.bump(connection)
    return get_key(connection, project_id, key_id)


def revoke_own_key(connection: Connection, *, project_id: str, key_id: str, person_id: str, reason: str = "") -> KeyRow:
    """Stop a key that acts as `person_id`. Raises NotFound for anybody else's."""
    if get_key(connection, project_id, key_id).person_id != person_id:
        raise NotFound("There is no such key of yours.")
    return revoke_key(connection, project_id=project_id, key_id=key_id, actor_id=person_id, reason=reason)


def key_state(row: KeyRow) -> Literal["active", "expired", "revoked"]:
    """Whether a key works."""
    if row.revoked_at is not None:
        return "revoked"
    return "expired" if row.expires_at is not None and row.expires_at <= clock.now() else "active"


def hours(text: str) -> float:
    """A number of hours as somebody typed it. Raises BadInput."""
    try:
        return float(text)
    except ValueError as error:
        raise BadInput("The number of hours is not a number; nothing was made.", hint="Like 24, or empty.") from error


def get_key(connection: Connection, project_id: str, key_id: str, *, lock: bool = False) -> KeyRow:
    """`lock`: for this transaction alone to change. Raises NotFound."""
    query = _select_keys().where(key_table.c.project_id == project_id, key_table.c.id == key_id)
    row = connection.execute(query.with_for_update() if lock else query).mappings().first()
    if row is None:
        raise NotFound("There is no such key in this project.")
    return _key_row(row, writing.others(connection, project_id))


def list_keys(connection: Connection, project_id: str, *, revoked: bool = True) -> list[KeyRow]:
    """Keys of the project, newest first; `revoked=False` leaves out those that work no more."""
    query = _select_keys().where(key_table.c.project_id == project_id).order_by(key_table.c.id.desc())
    if not revoked:
        query = query.where(key_table.c.revoked_at.is_(None), _not_expired(clock.now()))
    others = writing.others(connection, project_id)
    return [_key_row(row, others) for row in connection.execute(query).mappings()]


def gateway_keys(connection: Connection) -> list[GatewayKey]:
    """Valid keys of all projects that may call endpoints, for the snapshot."""
    query = select(key_table).where(
        key_table.c.scope.in_(_CALLING), key_table.c.revoked_at.is_(None), _not_expired(clock.now())
    )
    return [
        GatewayKey(
            id=row.id,
            project_id=row.project_id,
            digest=row.digest,
            scope=row.scope,
            release=row.release,
            live=row.live,
            expires_at=row.expires_at.timestamp() if row.expires_at else 0.0,
            limits=decode_limits(row.limits),
        )
        for row in connection.execute(query)
    ]


def _check_kind(scope: str, role: str, release: str) -> None:
    roles.check_scope(scope)
    if scope == "manage":
        roles.check_role(role)
    elif role:
        raise BadInput(f"A key of scope {scope!r} has no role.", hint="Only manage keys do.")
    if (scope == "candidate") != bool(release):
        raise BadInput("A candidate key names one release, and only it does.", hint='Like "assistant@2".')


def _check_calls(scope: str, limits: Limits) -> None:
    if limits != NO_LIMITS and scope not in _CALLING:
        raise BadInput(f"A key of scope {scope!r} calls no model, so it has no limits.", hint="Leave them out.")


def _key_row(row: Any, others: Mapping[str, tuple[str, ...]]) -> KeyRow:
    return KeyRow(**{**row, "limits": decode_limits(row["limits"]), "projects": others.get(row["id"], ())})


def _select_keys() -> Select[Any]:
    return select(*(column for column in key_table.c if column.name != "digest"))


def _not_expired(now: datetime) -> ColumnElement[bool]:
    return or_(key_table.c.expires_at.is_(None), key_table.c.expires_at > now)


def _person(connection: Connection, project_id: str, actor_id: str) -> str | None:
    here = (memberships.c.project_id == project_id) & (memberships.c.person_id == actor_id)
    return connection.execute(select(memberships.c.person_id).where(here)).scalar()


def _audit(connection: Connection, project_id: str, actor_id: str, verb: str, key_id: str, **extra: Any) -> None:
    audit.record(
        connection,
        project_id=project_id,
        actor_id=actor_id,
        verb=verb,
        target_kind="key",
        target_id=key_id,
        **extra,
    )
