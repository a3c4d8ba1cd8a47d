"""Gate clauses against evidence: which hold, by which test, with what interval.

In: an endpoint's clauses, the candidate's evaluation and the incumbent's on the same split of the same version. Out: one result a
clause. Loaded in jobs only; registry keeps the results and checks approvals when a release is rolled out.

What a clause of kind "score" demands:
- `at_least`: the metric's value on all of the candidate's rows (its 95 % interval stands beside it, but the value decides).
- `require` "better" `versus` "primary": on the rows that both answered, the difference is positive and its two-sided
  p-value is below `alpha` (default .05).
- `require` "not_worse": the difference is not significantly negative at `alpha`; with a `margin`, the whole interval of the
  difference must also lie above -margin, so that a small test cannot pass by showing nothing.
Kind "latency" bounds the 95th percentile; kind "approvals" waits for people. `passed` None means: cannot be decided
here (an approval) or evidence is missing; the gate passes when every clause but approvals is True.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from noria.evaluation.compare import Rows, compare_metric, p_text, score, signed
from noria.evaluation.counts import matrix
from noria.evaluation.records import METRICS
from noria.evaluation.report import rounded
from noria.evaluation.scorers import SCORERS

Clause = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Evidence:
    """One finished evaluation: its report, and the counts of its rows by row id."""

    report: Mapping[str, Any]
    rows: Rows


@dataclass(slots=True)
class ClauseResult:
    """What became of one clause. Numbers are those of the candidate, or of the difference where `test` names one."""

    clause: dict[str, Any]
    passed: bool | None
    text: str
    value: float | None = None
    low: float | None = None
    high: float | None = None
    p_value: float | None = None
    n: int | None = None
    test: str = ""


def check(
    clauses: Sequence[Clause], candidate: Evidence | None, incumbent: Evidence | None, *, serving: bool
) -> list[ClauseResult]:
    """`serving` says whether a primary release exists: without one there is nothing to be better than."""
    return [_check(dict(clause), candidate, incumbent, serving=serving) for clause in clauses]


def passed(results: Sequence[ClauseResult]) -> bool:
    """Whether everything holds that evidence can show."""
    return all(one.passed for one in results if one.clause.get("kind") != "approvals")


def p_value(results: Sequence[ClauseResult]) -> float | None:
    """The p-value of the first clause that has one."""
    return next((one.p_value for one in results if one.p_value is not None), None)


def _check(
    clause: dict[str, Any], candidate: Evidence | None, incumbent: Evidence | None, *, serving: bool
) -> ClauseResult:
    kind = clause.get("kind")
    if kind == "approvals":
        count = int(clause.get("count", 1))
        return ClauseResult(clause, None, f"Waits for {count} approval{'s' if count > 1 else ''} by another person.")
    if candidate is None:
        return ClauseResult(clause, None, "Missing: this release has no finished evaluation. Evaluate it first.")
    if kind == "latency":
        return _latency(clause, candidate)
    if kind == "score":
        return _score(clause, candidate, incumbent, serving=serving)
    return ClauseResult(clause, False, f"There is no clause of kind {kind!r}.")


def _latency(clause: dict[str, Any], candidate: Evidence) -> ClauseResult:
    latency, most = candidate.report["latency"], float(clause["p95_ms"])
    if latency.get("p95_ms") is None:
        return ClauseResult(clause, False, "Latency cannot be judged: no row was answered.", n=0)
    value, low, high = latency["p95_ms"], latency["p95_low"], latency["p95_high"]
    within = value <= most
    text = f"Latency p95 {value:,.0f} ms ({low:,.0f} to {high:,.0f}), {'within' if within else 'above'} {most:,.0f} ms."
    return ClauseResult(clause, within, text, value, low, high, n=latency["n"])


def _score(clause: dict[str, Any], candidate: Evidence, incumbent: Evidence | None, *, serving: bool) -> ClauseResult:
    name = str(clause.get("metric"))
    metric = candidate.report["metrics"].get(name)
    if metric is None:
        known = ", ".join(candidate.report["metrics"])
        return ClauseResult(clause, False, f"The evaluation does not measure {name!r}; it measures {known}.")
    result = ClauseResult(clause, True, "", metric["value"], metric["low"], metric["high"], n=metric["n"])
    texts = []
    if clause.get("at_least") is not None:
        texts.append(_at_least(result, name, metric, float(clause["at_least"])))
    if clause.get("require"):
        texts.append(_versus(result, name, candidate, incumbent, serving=serving))
    result.text = " ".join(texts) or f"{METRICS[name].title} {score(metric['value'])}; the clause demands nothing."
    return result


def _at_least(result: ClauseResult, name: str, metric: Mapping[str, Any], least: float) -> str:
    enough = metric["value"] >= least
    result.passed = enough
    return (
        f"{METRICS[name].title} {score(metric['value'])} ({score(metric['low'])} to {score(metric['high'])}, "
        f"n = {metric['n']}), {'at least' if enough else 'below'} {least:g}."
    )


def _versus(result: ClauseResult, name: str, candidate: Evidence, incumbent: Evidence | None, *, serving: bool) -> str:
    """Judge against the incumbent; narrows `result.passed` and puts in the test's numbers."""
    if not serving:
        return "No release serves yet, so there is none to compare with."
    if incumbent is None:
        result.passed = None if result.passed else False
        return "Missing: the primary release has no finished evaluation on the same rows. Evaluate it too."
    shared = sorted(candidate.rows.keys() & incumbent.rows.keys())
    if not shared:
        result.passed = None if result.passed else False
        return "Missing: candidate and primary were evaluated on different rows."
    clause = result.clause
    alpha = float(clause.get("alpha", 0.05))
    names, (a, b) = matrix([incumbent.rows[row] for row in shared], [candidate.rows[row] for row in shared])
    found = compare_metric(SCORERS[name], names, a, b, alpha=alpha)
    result.p_value, result.test, result.n = found["p_value"], found["test"], found["n"]
    held, words = _judge(clause, found)
    result.passed = bool(result.passed) and held
    return (
        f"{words}: {METRICS[name].title} {score(found['b'])} against {score(found['a'])} of the primary on the same "
        f"{found['n']} rows (difference {signed(found['difference'])}, 95 % interval {signed(found['low'])} to "
        f"{signed(found['high'])}, {p_text(found['p_value'])}, {found['test']})."
    )


def _judge(clause: Clause, found: Mapping[str, Any]) -> tuple[bool, str]:
    verdict, needed = found["verdict"], found["needed"]
    more = f"; about {needed:,} more examples would decide" if needed else ""
    if clause["require"] == "better":
        words = {"better": "Better than the primary", "worse": "Worse than the primary"}
        return verdict == "better", words.get(verdict, f"Not shown to be better{more}")
    if verdict == "worse":
        return False, "Worse than the primary"
    margin = clause.get("margin")
    if margin is not None and found["low"] < -float(margin):
        return False, f"Not shown to be within {float(margin):g} of the primary{more}"
    return True, "Not worse than the primary" if verdict == "undecided" else "Better than the primary"


def as_json(results: Sequence[ClauseResult]) -> list[dict[str, Any]]:
    """Results as JSON documents, numbers rounded."""
    documents = []
    for one in results:
        document = {name: getattr(one, name) for name in ClauseResult.__slots__}
        for name in ("value", "low", "high"):
            document[name] = None if document[name] is None else rounded(document[name])
        documents.append(document)
    return documents
