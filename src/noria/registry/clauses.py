"""Clauses of a gate: what an endpoint demands of a release before it may take traffic. Checked when they are saved.

    {"kind": "score", "metric": "field_f1", "versus": "primary", "require": "better", "alpha": 0.05, "at_least": 0.65}
    {"kind": "score", "metric": "valid", "at_least": 0.97}
    {"kind": "latency", "p95_ms": 5000}
    {"kind": "approvals", "count": 1}

`require` is "better" or "not_worse" (with an optional `margin`); what each demands of the evidence is said in
noria.evaluation.gates, which judges them.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from noria.core.errors import BadInput

METRICS: Final[frozenset[str]] = frozenset(
    {
        "field_f1",
        "field_precision",
        "field_recall",
        "exact_match",
        "valid",
        "name_accuracy",
        "accuracy",
        "text_f1",
        "macro_f1",
    }
)
_FIELDS: Final[dict[str, frozenset[str]]] = {
    "score": frozenset({"kind", "metric", "versus", "require", "alpha", "margin", "at_least"}),
    "latency": frozenset({"kind", "p95_ms"}),
    "approvals": frozenset({"kind", "count"}),
}


def check_clauses(clauses: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The clauses as they are kept. Raises BadInput that names the clause that cannot be used."""
    if len(clauses) > 20:
        raise BadInput("A gate has at most 20 clauses.")
    return [_checked(number, dict(clause)) for number, clause in enumerate(clauses, 1)]


def _checked(number: int, clause: dict[str, Any]) -> dict[str, Any]:
    kind = clause.get("kind")
    if kind not in _FIELDS:
        raise BadInput(f"Clause {number} has no kind that is known.", hint=f"One of {', '.join(_FIELDS)}.")
    if unknown := clause.keys() - _FIELDS[kind]:
        known = ", ".join(sorted(_FIELDS[kind] - {"kind"}))
        raise BadInput(f"Clause {number} says {min(unknown)[:40]!r}, which a {kind} clause does not.", hint=known)
    if kind == "latency":
        _bound(number, clause, "p95_ms", least=1, most=3_600_000)
    elif kind == "approvals":
        count = clause.setdefault("count", 1)
        if type(count) is not int or not 1 <= count <= 20:
            raise BadInput(f"Clause {number}: count is a whole number from 1 to 20.")
    else:
        _check_score(number, clause)
    return clause


def _check_score(number: int, clause: dict[str, Any]) -> None:
    if clause.get("metric") not in METRICS:
        raise BadInput(f"Clause {number} names no metric that is known.", hint=f"One of {', '.join(sorted(METRICS))}.")
    if "require" not in clause and "at_least" not in clause:
        raise BadInput(f"Clause {number} demands nothing.", hint="Give at_least, or require with versus.")
    if clause.get("require", "better") not in {"better", "not_worse"}:
        raise BadInput(f"Clause {number}: require is better or not_worse.")
    if ("versus" in clause) != ("require" in clause) or clause.get("versus", "primary") != "primary":
        raise BadInput(f'Clause {number}: require goes together with "versus": "primary".')
    for name in ("alpha", "margin"):
        if name in clause and "require" not in clause:
            raise BadInput(f"Clause {number}: {name} belongs to a comparison.", hint="Give require and versus.")
    for name, least, most in (("at_least", 0, 1), ("alpha", 1e-9, 0.5), ("margin", 0, 1)):
        if name in clause:
            _bound(number, clause, name, least=least, most=most)


def _bound(number: int, clause: Mapping[str, Any], name: str, *, least: float, most: float) -> None:
    value = clause.get(name)
    numeric = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if not numeric or not least <= value <= most:  # type: ignore[operator]
        raise BadInput(f"Clause {number}: {name} is a number from {least:g} to {most:g}.")


def wants_evidence(gate: Sequence[Mapping[str, Any]]) -> bool:
    """Whether any clause asks for more than people."""
    return any(clause["kind"] != "approvals" for clause in gate)


def wants_approvals(gate: Sequence[Mapping[str, Any]]) -> int:
    """How many people must approve: what the gate says, and never fewer than one."""
    return max([1, *(int(clause["count"]) for clause in gate if clause["kind"] == "approvals")])
