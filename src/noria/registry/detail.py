"""One release with all that decides about it: its engine, its gate, who approved it, and what still stands in its way."""

from dataclasses import dataclass, replace

from noria.core.errors import Conflict
from noria.registry import endpoints, engines, gates, releases
from noria.registry.clauses import wants_approvals, wants_evidence
from noria.registry.records import Approval, Endpoint, Evidence, GateResult, Release
from noria.stores.connect import Stores


@dataclass(frozen=True, slots=True)
class ReleaseDetail:
    """What the API and the pages show of one release."""

    release: Release
    endpoint: Endpoint
    serving: str
    """ready, starting, failed or n/a (no local engine is needed)."""
    serving_error: str
    gate: GateResult | None
    """The newest result about the release as it is."""
    gate_state: str
    """"not needed", "missing", "stale", "passed" or "failed"."""
    gate_note: str
    """Why a stale result counts no more."""
    approvals: list[Approval]
    approvals_wanted: int
    evidence: Evidence | None
    first: bool
    """Whether this would be the first release to serve, which wants no incumbent, gate or approval."""
    blocked: str
    """Why it cannot take traffic now, as a sentence; empty when it may (or does)."""


def release_detail(stores: Stores, project_id: str, endpoint: str, number: int) -> ReleaseDetail:
    """Raises NotFound."""
    with stores.database.read() as connection:
        release = releases.find_release(connection, project_id, endpoint, number)
        into = endpoints.find_endpoint(connection, project_id, endpoint)
        now = endpoints.rollout_of(connection, into)
        result = gates.latest_result(connection, release)
        approvals = gates.approvals_of(connection, release)
        found = gates.evidence_of(connection, [release.id]).get(release.id)
        files = engines.files_of_release(connection, release)
        changed = releases.current_digest(connection, release) != release.digest
    serving, error = engines.state_of(stores.settings.folder, files)
    note = gates.stale(into, result, now.primary_id) if result else ""
    if release.id in now.live and release.id != now.shadow_id:
        note = ""  # it serves or has served: what it was tested against then stays the answer
    detail = ReleaseDetail(
        release=release,
        endpoint=into,
        serving=serving,
        serving_error=error,
        gate=result,
        gate_state=_gate_state(into, result, note),
        gate_note=note,
        approvals=approvals,
        approvals_wanted=wants_approvals(into.gate),
        evidence=found,
        first=now.primary_id is None and not now.previous,
        blocked="",
    )
    return replace(detail, blocked=_blocked(detail, changed=changed))


def _gate_state(into: Endpoint, result: GateResult | None, note: str) -> str:
    if not wants_evidence(into.gate):
        return "not needed"
    if result is None:
        return "missing"
    if note:
        return "stale"
    return "passed" if result.passed else "failed"


_GATE_WORDS = {
    "missing": "It has not been through its gate.",
    "stale": "It must go through its gate again.",
    "failed": "It did not pass its gate.",
}
_WAITS = "It waits for an approval by another person than its author."
BLOCKED = (
    *_GATE_WORDS.values(),
    _WAITS,
    "It is retired.",
    "It is rejected.",
    "Its provider has another address now; make a new release.",
    "Its local engine could not be started.",
)
"""All that `blocked` can say, for translation."""


def _blocked(detail: ReleaseDetail, *, changed: bool) -> str:
    state = detail.release.state
    if state in {"primary", "canary"}:
        return ""
    if state in {"retired", "rejected"}:
        return f"It is {state}."
    if changed:
        return "Its provider has another address now; make a new release."
    if detail.serving == "failed":
        return "Its local engine could not be started."
    return _unproven(detail)


def _unproven(detail: ReleaseDetail) -> str:
    if detail.first:
        try:
            gates.check_without_incumbent(detail.release, detail.gate)
        except Conflict:
            return _GATE_WORDS["failed"]
        return ""
    if detail.gate_state in _GATE_WORDS:
        return _GATE_WORDS[detail.gate_state]
    approved = detail.release.state in {"approved", "shadow"} and len(detail.approvals) >= detail.approvals_wanted
    return "" if approved else _WAITS
