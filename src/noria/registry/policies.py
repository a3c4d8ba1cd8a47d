"""Policies of endpoints: immutable versions, the newest in force. Each change is one transaction: it locks the endpoint,
checks the whole policy, writes the next version with its author and reason, and puts the new snapshot in place.

The decision to know: one changes parts or the whole, but a version always holds all of it, so that restoring and comparing
need nothing else. Releases that a policy in force falls back to stay callable and cannot be retired.
"""

from collections.abc import Callable, Iterator, Mapping
from itertools import zip_longest
from typing import Any

from sqlalchemy import Connection, Select, func, insert, select

from noria.core import checks, clock
from noria.core.errors import BadInput, Conflict, NotFound
from noria.governance import audit
from noria.governance.tables import keys, people
from noria.registry import endpoints, publish, releases, tables
from noria.registry.endpoints import Rollout
from noria.registry.naming import check_reason
from noria.registry.policy import Policy, sparse
from noria.registry.policy_check import PARTS, check_policy
from noria.registry.records import Endpoint, EndpointPolicy, PolicyChange
from noria.stores import changes
from noria.stores.connect import Stores
from noria.web import paging

__all__ = [
    "change_policy",
    "check_policy",
    "diff_policies",
    "get_policy",
    "policy_history",
    "put_policy",
    "restore_policy",
]

_MAY_STAND_IN = frozenset({"approved", "canary", "shadow", "primary"})


def get_policy(stores: Stores, project_id: str, endpoint: str, version: int | None = None) -> EndpointPolicy:
    """The policy in force, or an earlier version. Raises NotFound."""
    with stores.database.read() as connection:
        return find_policy(connection, endpoints.find_endpoint(connection, project_id, endpoint), version)


def find_policy(connection: Connection, into: Endpoint, version: int | None = None) -> EndpointPolicy:
    """The same within a transaction. Raises NotFound when there is no such version."""
    table = tables.endpoint_policies
    query = _select(into).order_by(table.c.version.desc()).limit(1)
    if version is not None:
        query = query.where(table.c.version == version)
    row = connection.execute(query).mappings().first()
    if row is not None:
        return EndpointPolicy(endpoint=into.name, **row)
    if version:
        raise NotFound(f"{into.name} has no policy {version}.", hint="Its history says which there are.")
    return EndpointPolicy(endpoint=into.name, version=0, policy={})


def policy_history(
    stores: Stores, project_id: str, endpoint: str, *, limit: int = 50, cursor: str | None = None
) -> paging.Page[EndpointPolicy]:
    """All versions, newest first; empty while the endpoint has the policy that it was born with. Raises NotFound."""
    table = tables.endpoint_policies
    with stores.database.read() as connection:
        into = endpoints.find_endpoint(connection, project_id, endpoint)
        query = _select(into)
        if after := paging.decode(cursor, int):
            query = query.where(table.c.version < after[0])
        rows = connection.execute(query.order_by(table.c.version.desc()).limit(limit + 1)).mappings()
        found = [EndpointPolicy(endpoint=into.name, **row) for row in rows]
    return paging.cut(found, limit, lambda one: [one.version])


def put_policy(
    stores: Stores,
    *,
    project_id: str,
    endpoint: str,
    policy: Mapping[str, Any],
    reason: str,
    actor_id: str,
    base: int | None = None,
) -> EndpointPolicy:
    """Replace the whole policy. `base` (or a field `version` in it) is the version that `policy` was made from: Conflict
    when another is in force.

    Raises NotFound, or BadInput that names the field. A policy that changes nothing makes no version.
    """
    if base is None and "version" in policy:
        base = checks.whole(policy["version"], "version", 0, 10**9, "The version that it was made from.")
    return _save(stores, project_id, endpoint, lambda _: policy, reason=reason, actor_id=actor_id, base=base)


def change_policy(
    stores: Stores,
    *,
    project_id: str,
    endpoint: str,
    parts: Mapping[str, Any],
    reason: str,
    actor_id: str,
    base: int | None = None,
) -> EndpointPolicy:
    """Replace only the named parts ("limits", "cache", …). The rest stays as it is; None takes a part away."""

    def changed(before: EndpointPolicy) -> Mapping[str, Any]:
        return {name: value for name, value in {**before.policy, **parts}.items() if value is not None}

    return _save(stores, project_id, endpoint, changed, reason=reason, actor_id=actor_id, base=base)


def restore_policy(
    stores: Stores, *, project_id: str, endpoint: str, version: int, reason: str, actor_id: str
) -> EndpointPolicy:
    """Make an earlier version (0: the empty one) the newest again. It is checked as if it were new: a release that it
    falls back to may be gone since. Raises NotFound, BadInput."""
    earlier = get_policy(stores, project_id, endpoint, version).policy
    return _save(stores, project_id, endpoint, lambda _: earlier, reason=reason, actor_id=actor_id, restores=version)


def diff_policies(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[PolicyChange]:
    """Field by field what differs between two policies as they are kept, in the order of their parts; a guardrail that is
    only in one of them is one change."""
    return [change for part in PARTS for change in _differences(before.get(part), after.get(part), part)]


def check_not_fallback(connection: Connection, into: Endpoint, number: int) -> None:
    """Raise Conflict when the policy in force falls back to the release, which then must stay callable."""
    if number in find_policy(connection, into).policy.get("fallbacks", ()):
        raise Conflict(
            f"{into.name}@{number} is a fallback in the endpoint's policy.", hint="Take it out of the policy first."
        )


def _save(
    stores: Stores,
    project_id: str,
    endpoint: str,
    make: Callable[[EndpointPolicy], Mapping[str, Any]],
    *,
    reason: str,
    actor_id: str,
    base: int | None = None,
    restores: int | None = None,
) -> EndpointPolicy:
    why = check_reason(reason)
    with stores.database.begin() as connection:
        into = endpoints.lock(connection, project_id, endpoint)
        before = find_policy(connection, into)
        if base is not None and base != before.version:
            raise Conflict(
                f"Policy {before.version} of {endpoint} is in force, and this was made from {base}; nothing was changed.",
                hint="Look at what changed, and make the change again.",
            )
        checked = check_policy(make(before), allow_private=stores.settings.allow_private_providers)
        kept = sparse(checked)
        if kept == before.policy:
            return before
        _check_fallbacks(connection, into, before, checked)
        _insert(connection, into, before, kept, reason=why, actor_id=actor_id, restores=restores)
        after = find_policy(connection, into)
    publish.publish(stores)
    return after


def _insert(
    connection: Connection,
    into: Endpoint,
    before: EndpointPolicy,
    policy: dict[str, Any],
    *,
    reason: str,
    actor_id: str,
    restores: int | None,
) -> None:
    version = before.version + 1
    connection.execute(
        insert(tables.endpoint_policies).values(
            endpoint_id=into.id,
            version=version,
            project_id=into.project_id,
            policy=policy,
            author_id=actor_id,
            reason=reason,
            created_at=clock.now(),
        )
    )
    # Which fields, not what is in them: a pattern may hold what it is there to keep away.
    details: dict[str, Any] = {"name": into.name, "version": version}
    details["fields"] = [change.path for change in diff_policies(before.policy, policy)][:50]
    if restores is not None:
        details["restores"] = restores
    audit.record(
        connection,
        project_id=into.project_id,
        actor_id=actor_id,
        verb="endpoint.policy",
        target_kind="endpoint",
        target_id=into.id,
        reason=reason,
        details=details,
    )
    changes.bump(connection)


def _check_fallbacks(connection: Connection, into: Endpoint, before: EndpointPolicy, policy: Policy) -> None:
    """Raise BadInput unless each is a release of the endpoint that somebody has approved, or that has served."""
    now = endpoints.rollout_of(connection, into)
    for at, number in enumerate(policy.fallbacks):
        where = f"fallbacks[{at}]"
        if number > into.releases:
            known = f"Its latest is {into.releases}." if into.releases else "It has none yet."
            raise BadInput(f"{where}: {into.name} has no release {number}.", hint=known)
        release = releases.find_release(connection, into.project_id, into.name, number)
        known_good = release.state in _MAY_STAND_IN or _stands_in(now, release.id, before, number)
        if not known_good:
            hint = "A fallback is approved, or has been the primary and was not retired."
            raise BadInput(f"{where}: {into.name}@{number} is {release.state}.", hint=hint)
        releases.check_digest(connection, release)


def _stands_in(now: Rollout, release_id: str, before: EndpointPolicy, number: int) -> bool:
    """Whether a retired release may still answer: a rollback could return to it, or it is a fallback already."""
    return release_id in now.previous or number in before.policy.get("fallbacks", ())


def _differences(a: Any, b: Any, path: str) -> Iterator[PolicyChange]:
    kinds = {type(one) for one in (a, b) if one is not None}
    if kinds == {dict} and not (None in (a, b) and path.endswith("]")):
        a, b = a or {}, b or {}
        for name in sorted(a.keys() | b.keys()):
            yield from _differences(a.get(name), b.get(name), f"{path}.{name}")
    elif kinds == {list} and any(isinstance(one, dict) for one in [*(a or ()), *(b or ())]):
        for at, (one, other) in enumerate(zip_longest(a or (), b or ())):
            yield from _differences(one, other, f"{path}[{at}]")
    elif a != b:
        yield PolicyChange(path, a, b)


def _select(into: Endpoint) -> Select[Any]:
    table = tables.endpoint_policies
    joined = table.outerjoin(people, people.c.id == table.c.author_id).outerjoin(keys, keys.c.id == table.c.author_id)
    names = [name for name in EndpointPolicy.__slots__ if name not in {"endpoint", "author"}]
    author = func.coalesce(people.c.name, keys.c.name, "").label("author")
    columns = [table.c[name] for name in names]
    return select(*columns, author).select_from(joined).where(table.c.endpoint_id == into.id)
