"""Endpoints: the names that applications call, their gates, and the row that says what serves them.

Whoever changes a rollout first locks the endpoint's row (`lock`), so two reviewers at once take turns and the second one
decides on what the first one left.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Select, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from noria.core import clock, ids
from noria.core.errors import Conflict, NotFound
from noria.governance import audit
from noria.governance.tables import keys, people
from noria.registry import tables
from noria.registry.clauses import check_clauses
from noria.registry.naming import check_name
from noria.registry.records import Endpoint, RolloutEvent
from noria.stores import changes
from noria.stores.connect import Stores
from noria.web import paging


@dataclass(frozen=True, slots=True)
class Rollout:
    """What serves an endpoint, by release id."""

    endpoint_id: str
    primary_id: str | None
    canary_id: str | None
    canary_share: float
    shadow_id: str | None
    shadow_share: float
    previous: list[str]
    """Primaries before this one that one can return to, newest last."""

    @property
    def live(self) -> set[str]:
        """Releases that must stay callable: those that serve, and the one that a rollback returns to."""
        serving = {self.primary_id, self.canary_id, self.shadow_id, *self.previous[-1:]}
        return {release_id for release_id in serving if release_id}


def create_endpoint(
    connection: Connection,
    *,
    project_id: str,
    name: str,
    description: str = "",
    gate: Sequence[Mapping[str, Any]] = (),
    self_approval: bool = False,
    actor_id: str,
) -> Endpoint:
    """Make an endpoint that nothing serves yet. Raises BadInput, or Conflict when the name is taken."""
    check_name(name, "endpoint")
    endpoint_id, now = ids.new_id(), clock.now()
    row = {
        "id": endpoint_id,
        "project_id": project_id,
        "name": name,
        "description": description.strip()[:2000],
        "gate": check_clauses(gate),
        "self_approval": self_approval,
        "author_id": actor_id,
        "created_at": now,
    }
    try:
        with connection.begin_nested():
            connection.execute(insert(tables.endpoints).values(row))
    except IntegrityError as error:
        raise Conflict(f"There is an endpoint {name!r} already.", hint="Make a release for it.") from error
    start = {
        "endpoint_id": endpoint_id,
        "project_id": project_id,
        "canary_share": 0.0,
        "shadow_share": 0.0,
        "previous": [],
    }
    connection.execute(insert(tables.rollouts).values(**start, changed_at=now))
    _audit(connection, project_id, endpoint_id, "endpoint.create", actor_id=actor_id, details={"name": name})
    changes.bump(connection)
    return find_endpoint(connection, project_id, name)


def list_endpoints(
    stores: Stores, project_id: str, *, limit: int = 50, cursor: str | None = None
) -> paging.Page[Endpoint]:
    """By name."""
    query = _select(project_id)
    if after := paging.decode(cursor, str):
        query = query.where(tables.endpoints.c.name > after[0])
    with stores.database.read() as connection:
        rows = connection.execute(query.order_by(tables.endpoints.c.name).limit(limit + 1)).mappings()
        found = [Endpoint(**row) for row in rows]
    return paging.cut(found, limit, lambda endpoint: [endpoint.name])


def find_endpoint(connection: Connection, project_id: str, name: str) -> Endpoint:
    """By name. Raises NotFound."""
    row = connection.execute(_select(project_id).where(tables.endpoints.c.name == name)).mappings().first()
    if row is None:
        raise NotFound(f"There is no endpoint {name[:80]!r}.", hint="`noria endpoints` lists those that there are.")
    return Endpoint(**row)


def lock(connection: Connection, project_id: str, name: str) -> Endpoint:
    """The endpoint, for this transaction alone to change. Raises NotFound."""
    here = (tables.endpoints.c.project_id == project_id) & (tables.endpoints.c.name == name)
    connection.execute(select(tables.endpoints.c.id).where(here).with_for_update())
    return find_endpoint(connection, project_id, name)


def change_endpoint(
    connection: Connection,
    *,
    project_id: str,
    name: str,
    description: str | None = None,
    gate: Sequence[Mapping[str, Any]] | None = None,
    self_approval: bool | None = None,
    reason: str = "",
    actor_id: str,
) -> Endpoint:
    """Change what is not None. Gate results under another gate count no more."""
    before = lock(connection, project_id, name)
    given = {
        "description": None if description is None else description.strip()[:2000],
        "gate": None if gate is None else check_clauses(gate),
        "self_approval": self_approval,
    }
    changed = {key: value for key, value in given.items() if value is not None and value != getattr(before, key)}
    if changed:
        here = tables.endpoints.c.id == before.id
        connection.execute(update(tables.endpoints).where(here).values(changed))
        details = {key: {"from": getattr(before, key), "to": value} for key, value in changed.items()}
        _audit(connection, project_id, before.id, "endpoint.change", actor_id=actor_id, reason=reason, details=details)
    return find_endpoint(connection, project_id, name)


def rollout_of(connection: Connection, endpoint: Endpoint) -> Rollout:
    """What serves the endpoint."""
    table = tables.rollouts
    query = select(*(table.c[name] for name in Rollout.__slots__)).where(table.c.endpoint_id == endpoint.id)
    return Rollout(**connection.execute(query).mappings().one())


def change_rollout(
    connection: Connection,
    endpoint: Endpoint,
    *,
    event: str,
    release: int,
    share: float,
    actor_id: str,
    reason: str,
    **values: Any,
) -> None:
    """Write another rollout and its line in the history; the caller has locked the endpoint."""
    now = clock.now()
    here = tables.rollouts.c.endpoint_id == endpoint.id
    connection.execute(update(tables.rollouts).where(here).values(**values, changed_at=now))
    connection.execute(
        insert(tables.rollout_events).values(
            id=ids.new_id(),
            project_id=endpoint.project_id,
            endpoint_id=endpoint.id,
            time=now,
            event=event,
            release=release,
            share=share,
            actor_id=actor_id,
            reason=reason,
        )
    )
    changes.bump(connection)


def history(
    stores: Stores, project_id: str, name: str, *, limit: int = 50, cursor: str | None = None, newest: bool = False
) -> paging.Page[RolloutEvent]:
    """Changes of what served the endpoint, oldest first (`newest`: newest first). Raises NotFound."""
    table = tables.rollout_events
    actor = func.coalesce(people.c.name, keys.c.name, "").label("actor")
    joined = table.outerjoin(people, people.c.id == table.c.actor_id).outerjoin(keys, keys.c.id == table.c.actor_id)
    columns = [table.c[name] for name in RolloutEvent.__slots__ if name != "actor"]
    with stores.database.read() as connection:
        endpoint = find_endpoint(connection, project_id, name)
        query = select(*columns, actor).select_from(joined).where(table.c.endpoint_id == endpoint.id)
        if after := paging.decode(cursor, str):
            query = query.where(table.c.id < after[0] if newest else table.c.id > after[0])
        query = query.order_by(table.c.id.desc() if newest else table.c.id).limit(limit + 1)
        found = [RolloutEvent(**row) for row in connection.execute(query).mappings()]
    return paging.cut(found, limit, lambda one: [one.id])


def _select(project_id: str) -> Select[Any]:
    endpoint, rollout = tables.endpoints, tables.rollouts
    primary, canary, shadow = (tables.releases.alias(name) for name in ("primary_", "canary_", "shadow_"))
    joined = (
        endpoint.join(rollout, rollout.c.endpoint_id == endpoint.c.id)
        .outerjoin(primary, primary.c.id == rollout.c.primary_id)
        .outerjoin(canary, canary.c.id == rollout.c.canary_id)
        .outerjoin(shadow, shadow.c.id == rollout.c.shadow_id)
    )
    count = (
        select(func.count())
        .select_from(tables.releases)
        .where(tables.releases.c.endpoint_id == endpoint.c.id)
        .scalar_subquery()
    )
    return (
        select(
            endpoint,
            func.coalesce(primary.c.number, 0).label("primary"),
            func.coalesce(canary.c.number, 0).label("canary"),
            rollout.c.canary_share,
            func.coalesce(shadow.c.number, 0).label("shadow"),
            rollout.c.shadow_share,
            count.label("releases"),
            rollout.c.changed_at,
        )
        .select_from(joined)
        .where(endpoint.c.project_id == project_id)
    )


def _audit(connection: Connection, project_id: str, endpoint_id: str, verb: str, **values: Any) -> None:
    audit.record(connection, project_id=project_id, verb=verb, target_kind="endpoint", target_id=endpoint_id, **values)
