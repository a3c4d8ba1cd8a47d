"""A person's yes or no to a release. A yes is bound to the digest that the person saw, and to the person.

The decision to know: only people approve. A key acts as its person, and one that belongs to nobody cannot approve anything.
"""

from sqlalchemy import Connection, insert
from sqlalchemy.exc import IntegrityError

from noria.core import clock, ids
from noria.core.errors import Conflict, Forbidden, NotFound
from noria.governance import people
from noria.registry import endpoints, gates, policies, releases, tables
from noria.registry.clauses import wants_approvals, wants_evidence
from noria.registry.naming import check_reason
from noria.registry.records import Release
from noria.stores import changes


def approve(
    connection: Connection, *, project_id: str, endpoint: str, number: int, reason: str, actor_id: str
) -> Release:
    """Approve a release; it becomes approved when as many people have said yes as its endpoint's gate wants.

    Raises Forbidden for its author (unless the endpoint allows that) and for keys that belong to nobody, Conflict when it
    is in no state to be approved or is no longer what was evaluated.
    """
    why = check_reason(reason)
    into = endpoints.lock(connection, project_id, endpoint)
    release = releases.find_release(connection, project_id, endpoint, number)
    name = f"{endpoint}@{number}"
    _check_person(connection, project_id, actor_id)
    if release.author_id == actor_id and not into.self_approval:
        raise Forbidden(
            f"Who made {name} cannot approve it.", hint="Ask another reviewer of the project.", code="own_release"
        )
    if release.state == "draft" and wants_evidence(into.gate):
        raise Conflict(f"{name} has not been evaluated.", hint="Evaluate it first; then there is something to approve.")
    if release.state not in releases.CANDIDATES:
        raise Conflict(f"{name} is {release.state}; there is nothing to approve.")
    releases.check_digest(connection, release)
    try:
        with connection.begin_nested():
            connection.execute(
                insert(tables.approvals).values(
                    id=ids.new_id(),
                    project_id=project_id,
                    release_id=release.id,
                    digest=release.digest,
                    person_id=actor_id,
                    reason=why,
                    created_at=clock.now(),
                )
            )
    except IntegrityError as error:
        raise Conflict(f"You have approved {name} already.") from error
    releases.audit_release(
        connection, release, "release.approve", actor_id=actor_id, reason=why, details={"digest": release.digest}
    )
    releases.touch(connection, release)
    if release.state != "approved" and len(gates.approvals_of(connection, release)) >= wants_approvals(into.gate):
        releases.move(connection, release, "approved")
    changes.bump(connection)
    return releases.find_release(connection, project_id, endpoint, number)


def reject(
    connection: Connection, *, project_id: str, endpoint: str, number: int, reason: str, actor_id: str
) -> Release:
    """Say no for good: the release can never serve. Raises Conflict when it takes traffic or is over."""
    why = check_reason(reason)
    into = endpoints.lock(connection, project_id, endpoint)
    release = releases.find_release(connection, project_id, endpoint, number)
    if release.state not in releases.CANDIDATES:
        hint = "Roll back first." if release.state in {"canary", "primary"} else ""
        if release.state == "shadow":
            hint = "Take the shadow away first."
        raise Conflict(f"{endpoint}@{number} is {release.state}; it cannot be rejected.", hint=hint)
    policies.check_not_fallback(connection, into, number)
    releases.move(connection, release, "rejected")
    releases.audit_release(connection, release, "release.reject", actor_id=actor_id, reason=why)
    changes.bump(connection)
    return releases.find_release(connection, project_id, endpoint, number)


def _check_person(connection: Connection, project_id: str, actor_id: str) -> None:
    try:
        people.get_person(connection, project_id, actor_id)
    except NotFound as error:
        raise Forbidden("Only a person can approve.", hint="Sign in, or use a key of your own.") from error
