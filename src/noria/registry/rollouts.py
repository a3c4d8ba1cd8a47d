"""Rollouts: what serves an endpoint. Each verb is one transaction and one swap of the snapshot, on disk when it returns.

A verb locks the endpoint, looks at what serves now, checks state, approvals, gate and digest, and writes the new rollout
with its line in the history and its audit entry. The decision to know: the first release of an endpoint has no incumbent
to be compared with, so a reviewer may promote it with a reason; whatever its own evidence says of it still counts.
"""

from collections.abc import Callable

from sqlalchemy import Connection

from noria.core.errors import BadInput, Conflict
from noria.registry import endpoints, gates, policies, publish, readiness, releases
from noria.registry.clauses import wants_approvals
from noria.registry.endpoints import Rollout
from noria.registry.naming import check_reason
from noria.registry.records import Endpoint, Release
from noria.stores.connect import Stores

_KEPT = 5
"""Primaries that one can return to, one rollback after the other."""

Change = Callable[[Connection, Endpoint, Rollout], None]


def canary(
    stores: Stores,
    *,
    project_id: str,
    endpoint: str,
    number: int,
    share: float,
    reason: str,
    actor_id: str,
    wait: float = 0.0,
) -> Endpoint:
    """Give `share` (above 0, below 1) of the sessions to an approved release; for the canary itself, change its share.

    Raises Conflict (state, approvals, gate, digest, another canary) or Unavailable while its engine starts.
    """
    why = check_reason(reason)
    if not 0 < share < 1:
        raise BadInput("A canary's share is above 0 and below 1.", hint="0.25 is a quarter of the sessions.")
    target = releases.get_release(stores, project_id, endpoint, number)
    readiness.ensure_ready(stores, target, wait=wait)

    def change(connection: Connection, into: Endpoint, now: Rollout) -> None:
        release = releases.find_release(connection, project_id, endpoint, number)
        event = "share" if now.canary_id == release.id else "canary"
        if event == "canary":
            _check_no_canary(into)
            if now.primary_id is None:
                raise Conflict(
                    f"Nothing serves {endpoint} yet, so there is nothing to stand beside.", hint="Promote it."
                )
            _check_approved(connection, into, now, release)
            releases.move(connection, release, "canary")
        silent = {"shadow_id": None, "shadow_share": 0.0} if now.shadow_id == release.id else {}
        endpoints.change_rollout(
            connection,
            into,
            event=event,
            release=number,
            share=share,
            actor_id=actor_id,
            reason=why,
            canary_id=release.id,
            canary_share=share,
            **silent,
        )
        details = {"share": share, "from": into.canary_share}
        releases.audit_release(connection, release, f"release.{event}", actor_id=actor_id, reason=why, details=details)

    return _swap(stores, project_id, endpoint, change)


def set_share(stores: Stores, *, project_id: str, endpoint: str, share: float, reason: str, actor_id: str) -> Endpoint:
    """Change the share of the canary that there is. Raises Conflict when there is none."""
    with stores.database.read() as connection:
        current = endpoints.find_endpoint(connection, project_id, endpoint).canary
    if not current:
        raise Conflict(f"{endpoint} has no canary.", hint="Start one with an approved release.")
    return canary(
        stores,
        project_id=project_id,
        endpoint=endpoint,
        number=current,
        share=share,
        reason=reason,
        actor_id=actor_id,
    )


def promote(
    stores: Stores,
    *,
    project_id: str,
    endpoint: str,
    number: int,
    reason: str,
    actor_id: str,
    wait: float = 0.0,
) -> Endpoint:
    """Let a release serve everybody; the primary until now retires but stays ready for a rollback.

    Raises Conflict (state, approvals, gate, digest, another canary) or Unavailable while its engine starts.
    """
    why = check_reason(reason)
    target = releases.get_release(stores, project_id, endpoint, number)
    readiness.ensure_ready(stores, target, wait=wait)

    def change(connection: Connection, into: Endpoint, now: Rollout) -> None:
        release = releases.find_release(connection, project_id, endpoint, number)
        if now.primary_id == release.id:
            raise Conflict(f"{endpoint}@{number} serves already.")
        if now.canary_id != release.id:
            _check_no_canary(into)
        first = now.primary_id is None and not now.previous
        if first:
            _check_first(connection, release)
        else:
            _check_approved(connection, into, now, release)
        before = now.primary_id
        silent = {"shadow_id": None, "shadow_share": 0.0} if now.shadow_id == release.id else {}
        releases.move(connection, release, "primary")
        if before is not None:
            releases.move(connection, releases.get_release_by_id(connection, project_id, before), "retired")
        endpoints.change_rollout(
            connection,
            into,
            event="promote",
            release=number,
            share=1.0,
            actor_id=actor_id,
            reason=why,
            primary_id=release.id,
            canary_id=None,
            canary_share=0.0,
            previous=[*now.previous, *([before] if before else [])][-_KEPT:],
            **silent,
        )
        details = {"before": into.primary, "first": first}
        releases.audit_release(connection, release, "release.promote", actor_id=actor_id, reason=why, details=details)

    return _swap(stores, project_id, endpoint, change)


def rollback(stores: Stores, *, project_id: str, endpoint: str, reason: str, actor_id: str) -> Endpoint:
    """Take the canary away if there is one, else return to the primary before this one. Never waits for an engine: what
    it returns to is running. Raises Conflict when there is nothing to return to."""
    why = check_reason(reason)

    def change(connection: Connection, into: Endpoint, now: Rollout) -> None:
        if now.canary_id is None and not now.previous:
            raise Conflict(f"{endpoint} has no canary and no primary before this one.", hint="Promote another release.")
        left = releases.get_release_by_id(connection, project_id, now.canary_id or str(now.primary_id))
        releases.move(connection, left, "approved")
        primary, previous = now.primary_id, now.previous
        if now.canary_id is None:
            primary, previous = previous[-1], previous[:-1]
            releases.move(connection, releases.get_release_by_id(connection, project_id, primary), "primary")
        endpoints.change_rollout(
            connection,
            into,
            event="rollback",
            release=left.number,
            share=0.0,
            actor_id=actor_id,
            reason=why,
            primary_id=primary,
            canary_id=None,
            canary_share=0.0,
            previous=previous,
        )
        releases.audit_release(connection, left, "release.rollback", actor_id=actor_id, reason=why)

    return _swap(stores, project_id, endpoint, change)


def shadow(
    stores: Stores,
    *,
    project_id: str,
    endpoint: str,
    number: int,
    share: float = 1.0,
    reason: str,
    actor_id: str,
    wait: float = 0.0,
) -> Endpoint:
    """Let an approved release hear `share` (above 0, at most 1) of the sessions; what it says is recorded and thrown away.
    For the shadow itself, change its share.

    It wants approvals, since it is sent what people wrote, but no gate: it changes no answer, and what one learns from it
    is evidence. Raises Conflict (state, approvals, digest, another shadow) or Unavailable while its engine starts.
    """
    why = check_reason(reason)
    if not 0 < share <= 1:
        raise BadInput("A shadow's share is above 0 and at most 1.", hint="1 lets it hear every session.")
    target = releases.get_release(stores, project_id, endpoint, number)
    readiness.ensure_ready(stores, target, wait=wait)

    def change(connection: Connection, into: Endpoint, now: Rollout) -> None:
        release = releases.find_release(connection, project_id, endpoint, number)
        if now.shadow_id != release.id:
            _check_shadow(connection, into, now, release)
            releases.move(connection, release, "shadow")
        endpoints.change_rollout(
            connection,
            into,
            event="shadow",
            release=number,
            share=share,
            actor_id=actor_id,
            reason=why,
            shadow_id=release.id,
            shadow_share=share,
        )
        details = {"share": share, "from": into.shadow_share}
        releases.audit_release(connection, release, "release.shadow", actor_id=actor_id, reason=why, details=details)

    return _swap(stores, project_id, endpoint, change)


def unshadow(stores: Stores, *, project_id: str, endpoint: str, reason: str, actor_id: str) -> Endpoint:
    """Take the shadow away; its release is approved again. Raises Conflict when there is none."""
    why = check_reason(reason)

    def change(connection: Connection, into: Endpoint, now: Rollout) -> None:
        if now.shadow_id is None:
            raise Conflict(f"{endpoint} has no shadow.", hint="Start one with an approved release.")
        release = releases.get_release_by_id(connection, project_id, now.shadow_id)
        releases.move(connection, release, "approved")
        endpoints.change_rollout(
            connection,
            into,
            event="unshadow",
            release=release.number,
            share=0.0,
            actor_id=actor_id,
            reason=why,
            shadow_id=None,
            shadow_share=0.0,
        )
        releases.audit_release(connection, release, "release.unshadow", actor_id=actor_id, reason=why)

    return _swap(stores, project_id, endpoint, change)


def retire(stores: Stores, *, project_id: str, endpoint: str, number: int, reason: str, actor_id: str) -> Endpoint:
    """End a release for good: it can no longer be called, and its engine may stop. Raises Conflict while it serves."""
    why = check_reason(reason)

    def change(connection: Connection, into: Endpoint, now: Rollout) -> None:
        release = releases.find_release(connection, project_id, endpoint, number)
        name = f"{endpoint}@{number}"
        if release.id in {now.primary_id, now.canary_id}:
            raise Conflict(f"{name} takes traffic.", hint="Roll back, or promote another release first.")
        if release.id == now.shadow_id:
            raise Conflict(f"{name} is the shadow.", hint="Take the shadow away first.")
        policies.check_not_fallback(connection, into, number)
        if release.state == "rejected" or (release.state == "retired" and release.id not in now.previous):
            raise Conflict(f"{name} is {release.state} already.")
        releases.move(connection, release, "retired")
        endpoints.change_rollout(
            connection,
            into,
            event="retire",
            release=number,
            share=0.0,
            actor_id=actor_id,
            reason=why,
            previous=[one for one in now.previous if one != release.id],
        )
        releases.audit_release(connection, release, "release.retire", actor_id=actor_id, reason=why)

    return _swap(stores, project_id, endpoint, change)


def _swap(stores: Stores, project_id: str, endpoint: str, change: Change) -> Endpoint:
    """Run `change` alone on the endpoint, then put the new snapshot in place."""
    with stores.database.begin() as connection:
        into = endpoints.lock(connection, project_id, endpoint)
        change(connection, into, endpoints.rollout_of(connection, into))
        after = endpoints.find_endpoint(connection, project_id, endpoint)
    publish.publish(stores)
    return after


def _check_no_canary(into: Endpoint) -> None:
    if into.canary:
        raise Conflict(
            f"{into.name}@{into.canary} is the canary.", hint="Promote it or roll back; one canary at a time."
        )


def _check_shadow(connection: Connection, into: Endpoint, now: Rollout, release: Release) -> None:
    name = f"{into.name}@{release.number}"
    if release.id in {now.primary_id, now.canary_id}:
        raise Conflict(f"{name} takes traffic, so it cannot be its own shadow.")
    if now.shadow_id is not None:
        raise Conflict(f"{into.name}@{into.shadow} is the shadow.", hint="Take it away first; one shadow at a time.")
    if now.primary_id is None:
        raise Conflict(f"Nothing serves {into.name} yet, so there is nothing to hear.", hint="Promote it.")
    _check_said_yes(connection, into, release)


def _check_first(connection: Connection, release: Release) -> None:
    if release.state not in releases.CANDIDATES:
        raise Conflict(f"{release.endpoint}@{release.number} is {release.state}; it cannot serve.")
    releases.check_digest(connection, release)
    gates.check_without_incumbent(release, gates.latest_result(connection, release))


def _check_approved(connection: Connection, into: Endpoint, now: Rollout, release: Release) -> None:
    """Raise Conflict unless the release may take traffic."""
    _check_said_yes(connection, into, release)
    gates.check_result(into, release, gates.latest_result(connection, release), now.primary_id)


def _check_said_yes(connection: Connection, into: Endpoint, release: Release) -> None:
    """Raise Conflict unless people have approved exactly what the release is now."""
    name = f"{into.name}@{release.number}"
    if release.state not in {"approved", "canary", "shadow"}:
        if release.state in {"retired", "rejected"}:
            raise Conflict(f"{name} is {release.state}; it cannot serve.", hint="Make a new release of the same.")
        raise Conflict(
            f"{name} is not approved.", hint="Another person than its author approves it.", code="no_approval"
        )
    releases.check_digest(connection, release)
    have, want = len(gates.approvals_of(connection, release)), wants_approvals(into.gate)
    if have < want:
        raise Conflict(f"{name} has {have} of {want} approvals.", hint="Ask another reviewer.", code="no_approval")
