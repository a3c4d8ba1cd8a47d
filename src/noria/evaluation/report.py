"""The report of an evaluation: metrics with 95 % intervals, latency, tokens. Loaded in jobs only.

Shares of rows get Wilson's interval, everything else a BCa bootstrap over rows. A row that failed or was cut stays in n: it
is an invalid answer, not a missing one. Latency is over rows that were answered.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from noria.evaluation import statistics
from noria.evaluation.counts import Floats, Names, Sums, matrix
from noria.evaluation.records import MAIN_METRIC, SEED, Evaluation, Result, Task
from noria.evaluation.scorers import Scorer, scorers_for


def statistic(scorer: Scorer, names: Names) -> statistics.Statistic:
    """The scorer's metric as a function of arrays of sums."""
    return lambda sums: scorer.value(Sums(names, sums))


def rounded(value: float) -> float:
    """Six digits: what resampling can tell, and short to read."""
    return float(f"{value:.6g}")


def build(evaluation: Evaluation, task: Task, results: Sequence[Result], *, cpu_seconds: float) -> dict[str, Any]:
    """The report's JSON document. `results` must not be empty."""
    names, (counts,) = matrix([result.scores for result in results])
    metrics = {name: _metric(scorer, names, counts) for name, scorer in scorers_for(task).items()}
    return {
        "target": evaluation.target,
        "dataset": evaluation.dataset,
        "split": evaluation.split,
        "n": len(results),
        "task": task,
        "metrics": metrics,
        "main_metric": MAIN_METRIC[task],
        "latency": _latency(results),
        "tokens": {
            "prompt_mean": _mean([result.prompt_tokens for result in results]),
            "completion_mean": _mean([result.completion_tokens for result in results]),
        },
        "invalid": sum(not result.valid for result in results),
        "failed": sum(bool(result.error) for result in results),
        "cut": sum(result.finish_reason == "length" for result in results),
        "cpu_seconds": rounded(cpu_seconds),
        "options": evaluation.options,
        "method": {"level": statistics.LEVEL, "resamples": statistics.RESAMPLES, "seed": SEED},
    }


def _metric(scorer: Scorer, names: Names, counts: Floats) -> dict[str, Any]:
    n, value_of = len(counts), statistic(scorer, names)
    if scorer.share:
        interval = statistics.wilson(round(float(value_of(counts.sum(axis=0))) * n), n)
    else:
        interval = statistics.bootstrap(counts, value_of, seed=SEED)
    return {
        "value": rounded(interval.value),
        "low": rounded(interval.low),
        "high": rounded(interval.high),
        "n": n,
        "interval": "wilson" if scorer.share else "bootstrap",
    }


def _latency(results: Sequence[Result]) -> dict[str, Any]:
    measured = np.array([r.latency_ms for r in results if r.latency_ms is not None and not r.error])
    if not len(measured):
        return {"p50_ms": None, "p95_ms": None, "p95_low": None, "p95_high": None, "n": 0}
    half, most = (statistics.quantile(measured, share, seed=SEED) for share in (0.5, 0.95))
    return {
        "p50_ms": rounded(half.value),
        "p95_ms": rounded(most.value),
        "p95_low": rounded(most.low),
        "p95_high": rounded(most.high),
        "n": len(measured),
    }


def _mean(values: Sequence[int | None]) -> float | None:
    known = [value for value in values if value is not None]
    return rounded(sum(known) / len(known)) if known else None
