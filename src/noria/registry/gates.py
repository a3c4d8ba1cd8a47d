"""Gates: what evaluation found about a release, and whether that is enough to let it take traffic.

A result counts for exactly one digest, one list of clauses and one incumbent: when any of the three has changed since, the
release must be tested again. Registry never computes evidence; it only refuses to go on without it.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, insert, select

from noria.core import clock, ids
from noria.core.errors import Conflict
from noria.governance import audit
from noria.governance.tables import people
from noria.registry import endpoints, releases, tables
from noria.registry.clauses import wants_evidence
from noria.registry.records import Approval, Endpoint, Evidence, GateResult, Release
from noria.stores import changes


def record_gate(
    connection: Connection,
    *,
    project_id: str,
    release_id: str,
    digest: str,
    passed: bool,
    clauses: Sequence[Mapping[str, Any]],
    evaluation_id: str = "",
    incumbent_evaluation_id: str = "",
    incumbent_id: str | None = None,
    p_value: float | None = None,
    actor_id: str,
) -> GateResult:
    """Keep what evaluation found about exactly `digest`; a draft with an evaluation becomes evaluated.

    `clauses` are {"clause", "passed", "text", …}, in the gate's order; `incumbent_id` is the primary release that was
    tested against (default: the one that serves now). Raises Conflict when the release is not what was tested.
    """
    named = releases.get_release_by_id(connection, project_id, release_id)
    endpoint = endpoints.lock(connection, project_id, named.endpoint)
    release = releases.get_release_by_id(connection, project_id, release_id)
    if release.digest != digest:
        raise Conflict(
            f"The gate tested something else than {release.endpoint}@{release.number}.", hint="Run the gate again."
        )
    primary = endpoints.rollout_of(connection, endpoint).primary_id
    row: dict[str, Any] = {
        "id": ids.new_id(),
        "project_id": project_id,
        "release_id": release_id,
        "digest": digest,
        "passed": passed,
        "clauses": [dict(clause) for clause in clauses],
        "p_value": p_value,
        "evaluation_id": evaluation_id,
        "incumbent_evaluation_id": incumbent_evaluation_id,
        "incumbent_id": incumbent_id or primary,
        "created_at": clock.now(),
    }
    connection.execute(insert(tables.gate_results).values(row))
    audit.record(
        connection,
        project_id=project_id,
        actor_id=actor_id,
        verb="release.gate",
        target_kind="release",
        target_id=release_id,
        details={"name": f"{release.endpoint}@{release.number}", "passed": passed, "digest": digest},
    )
    if evaluation_id and release.state == "draft":
        releases.move(connection, release, "evaluated")
        changes.bump(connection)
    return GateResult(**{name: row[name] for name in GateResult.__slots__})


def latest_result(connection: Connection, release: Release) -> GateResult | None:
    """The newest result about the release as it is."""
    table = tables.gate_results
    query = select(*(table.c[name] for name in GateResult.__slots__)).where(
        table.c.release_id == release.id, table.c.digest == release.digest
    )
    row = connection.execute(query.order_by(table.c.id.desc()).limit(1)).mappings().first()
    return None if row is None else GateResult(**row)


def evidence_of(connection: Connection, release_ids: Sequence[str]) -> dict[str, Evidence]:
    """The newest evidence of each release."""
    table = tables.evidence
    query = select(*(table.c[name] for name in Evidence.__slots__)).where(table.c.release_id.in_(release_ids))
    rows = connection.execute(query.order_by(table.c.created_at)).mappings()
    return {row["release_id"]: Evidence(**row) for row in rows}


def approvals_of(connection: Connection, release: Release) -> list[Approval]:
    """Who has approved the release as it is, first one first."""
    table = tables.approvals
    columns = [table.c[name] for name in Approval.__slots__ if name != "person"]
    query = (
        select(*columns, people.c.name.label("person"))
        .select_from(table.join(people, people.c.id == table.c.person_id))
        .where(table.c.release_id == release.id, table.c.digest == release.digest)
    )
    return [Approval(**row) for row in connection.execute(query.order_by(table.c.id)).mappings()]


def stale(endpoint: Endpoint, result: GateResult, primary_id: str | None) -> str:
    """Why a result counts no more, as a sentence; empty while it does."""
    if [one.get("clause") for one in result.clauses] != endpoint.gate:
        return "The endpoint's gate has changed since."
    compares = any(clause.get("versus") for clause in endpoint.gate)
    if compares and primary_id is not None and result.incumbent_id != primary_id:
        return "Another release serves now than the one it was tested against."
    return ""


def check_result(endpoint: Endpoint, release: Release, result: GateResult | None, primary_id: str | None) -> None:
    """Raise Conflict unless the release has passed the endpoint's gate as it is now."""
    if not wants_evidence(endpoint.gate):
        return
    name = f"{release.endpoint}@{release.number}"
    if result is None:
        raise Conflict(f"{name} has not been through its gate.", hint="Evaluate it, then run its gate.", code="no_gate")
    if reason := stale(endpoint, result, primary_id):
        raise Conflict(f"{name} must go through its gate again. {reason}", hint="Run its gate.", code="stale_gate")
    if not result.passed:
        missing = [one for one in result.clauses if one.get("passed") is not True]
        failed = next((one.get("text", "") for one in missing if one["clause"].get("kind") != "approvals"), "")
        raise Conflict(
            f"{name} did not pass its gate. {failed}".strip(), hint="See its evaluation.", code="gate_failed"
        )


def check_without_incumbent(release: Release, result: GateResult | None) -> None:
    """For the first release of an endpoint: raise Conflict when a clause that needs no incumbent has failed."""
    for one in result.clauses if result else ():
        if one.get("passed") is False and not (one.get("clause") or {}).get("versus"):
            name = f"{release.endpoint}@{release.number}"
            raise Conflict(f"{name} did not pass its gate. {one.get('text', '')}", hint="See its evaluation.")
