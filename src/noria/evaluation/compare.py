"""Two evaluations on the same rows: is the second better? Paired tests, intervals of the difference, and words.

In: the counts of both, by row id. Out: a JSON document. Run as a program it reads {"task", "a", "b"} from stdin and writes the
document to stdout: the server starts it so, to stay without numpy. All differences are second minus first.

Tests: exact McNemar for shares of rows, paired approximate randomisation for the rest; two-sided at .05. "better" and
"worse" mean p < .05; otherwise it is not decided, and `needed` says about how many more examples would decide a
difference of the size seen (80 % power).
"""

import json
import sys
from collections.abc import Mapping
from typing import Any

from noria.evaluation import statistics
from noria.evaluation.counts import Floats, Names, matrix
from noria.evaluation.records import MAIN_METRIC, METRICS, SEED, Task
from noria.evaluation.report import rounded, statistic
from noria.evaluation.scorers import Scorer, scorers_for

Rows = Mapping[str, Mapping[str, float]]
"""Counts by row id."""
ALPHA = 0.05


def compare(task: Task, first: Rows, second: Rows) -> dict[str, Any]:
    """All metrics of a task on the rows that both have; n = 0 when they share none."""
    shared = sorted(first.keys() & second.keys())
    document: dict[str, Any] = {"n": len(shared), "task": task, "main_metric": MAIN_METRIC[task], "metrics": {}}
    if not shared:
        return document | {"verdict": "undecided", "text": "They share no rows, so they cannot be compared."}
    names, (a, b) = matrix([first[row] for row in shared], [second[row] for row in shared])
    for name, scorer in scorers_for(task).items():
        document["metrics"][name] = compare_metric(scorer, names, a, b)
    main = document["metrics"][MAIN_METRIC[task]]
    return document | {"verdict": main["verdict"], "text": main["text"]}


def compare_metric(scorer: Scorer, names: Names, a: Floats, b: Floats, *, alpha: float = ALPHA) -> dict[str, Any]:
    """One metric on rows that are in the same order in both."""
    value_of, n = statistic(scorer, names), len(a)
    values = [float(value_of(counts.sum(axis=0))) for counts in (a, b)]
    if scorer.share:
        column = names.column.get(scorer.metric)
        gained = lost = 0
        if column is not None:
            gained = int(((b[:, column] > 0) & (a[:, column] == 0)).sum())
            lost = int(((a[:, column] > 0) & (b[:, column] == 0)).sum())
        difference = statistics.paired_shares(gained, lost, n)
        p_value, test = statistics.mcnemar(gained, lost), "exact McNemar"
        evidence: dict[str, Any] = {"gained": gained, "lost": lost}
    else:
        difference = statistics.paired_bootstrap(a, b, value_of, seed=SEED)
        p_value, test = statistics.randomisation(a, b, value_of, seed=SEED), "paired randomisation"
        evidence = {}
    verdict = _verdict(difference.value, p_value, alpha)
    found = {
        "a": rounded(values[0]),
        "b": rounded(values[1]),
        "difference": rounded(difference.value),
        "low": rounded(difference.low),
        "high": rounded(difference.high),
        "p_value": float(f"{p_value:.3g}"),
        "test": test,
        "n": n,
        "verdict": verdict,
        "needed": statistics.needed_n(difference, n, alpha=alpha) if verdict == "undecided" else None,
        **evidence,
    }
    return found | {"text": describe(METRICS[scorer.metric].title, found)}


def describe(title: str, found: Mapping[str, Any]) -> str:
    """The comparison of one metric as a sentence."""
    numbers = (
        f"{title} {score(found['b'])} against {score(found['a'])} on the same {found['n']} rows "
        f"(difference {signed(found['difference'])}, 95 % interval {signed(found['low'])} to {signed(found['high'])}, "
        f"{p_text(found['p_value'])}, {found['test']})."
    )
    if found["verdict"] != "undecided":
        return f"{'Better' if found['verdict'] == 'better' else 'Worse'}: {numbers}"
    if found["needed"] is None:
        return f"Not decided, no difference seen: {numbers}"
    if found["needed"] == 0:
        return f"Not decided, though close: {numbers}"
    return f"Not decided; about {found['needed']:,} more examples would decide a difference of this size: {numbers}"


def score(value: float) -> str:
    return f"{value:.3f}"


def signed(value: float) -> str:
    return f"{value:+.3f}".replace("-", "\N{MINUS SIGN}")


def p_text(p_value: float) -> str:
    return f"p = {p_value:.4f}" if p_value >= 0.0001 else "p < .0001"


def _verdict(difference: float, p_value: float, alpha: float) -> str:
    if p_value >= alpha or difference == 0:
        return "undecided"
    return "better" if difference > 0 else "worse"


def main() -> None:
    """Compare what stdin holds."""
    asked = json.load(sys.stdin)
    json.dump(compare(asked["task"], asked["a"], asked["b"]), sys.stdout, allow_nan=False)


if __name__ == "__main__":
    main()
