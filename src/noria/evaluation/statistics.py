"""Intervals and tests, as pure functions of numpy arrays. Loaded in jobs only.

What is random is seeded: the same rows give the same numbers again. Statistics are functions of summed counts (see
noria.evaluation.counts): `statistic(sums)` maps an array (..., counts) to an array (...). P-values are two-sided and never 0.

Sources: Wilson (1927) for shares; Efron (1987) for the BCa bootstrap; McNemar (1947), in its exact binomial form, for paired
shares; Noreen (1989) for paired approximate randomisation with its add-one p-value; Agresti and Min (2005) for the difference of
paired shares.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from noria.evaluation.counts import Floats

Statistic = Callable[[Floats], Floats]

RESAMPLES = 2_000
"""Of a bootstrap: the ends of a 95 % interval then move by about a tenth of its width between seeds."""
SHUFFLES = 9_999
"""Of a randomisation test: the smallest p-value it can give is 1/10,000."""
LEVEL = 0.95
POWER = 0.8

_NORMAL = NormalDist()
_CELLS = 4_000_000
_SAME = 1e-12


@dataclass(frozen=True, slots=True)
class Interval:
    """A value with the ends of its interval."""

    value: float
    low: float
    high: float


def wilson(successes: float, n: int, *, level: float = LEVEL) -> Interval:
    """Wilson's score interval of a share. n = 0 gives 0 to 1."""
    if n == 0:
        return Interval(0.0, 0.0, 1.0)
    z = _z(level)
    share = successes / n
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return Interval(share, max(0.0, min(share, centre - half)), min(1.0, max(share, centre + half)))


def bootstrap(
    counts: Floats, statistic: Statistic, *, seed: int, level: float = LEVEL, resamples: int = RESAMPLES
) -> Interval:
    """BCa interval of `statistic` by resampling rows of `counts` (n x counts).

    Where resampling cannot move the value (every row alike, or a single row), the interval is Wilson's for that value
    as a share of n rows: a perfect score on 20 rows is not a certain one.
    """
    n = len(counts)
    value = float(statistic(counts.sum(axis=0)))
    if n == 0:
        return Interval(value, 0.0, 1.0)
    values = np.concatenate([statistic(weights @ counts) for weights in _weights(n, resamples, seed)])
    if n == 1 or np.ptp(values) < _SAME:
        share = wilson(value * n, n, level=level)
        return Interval(value, share.low, share.high)
    low, high = _bca(values, value, statistic(counts.sum(axis=0) - counts), level)
    return Interval(value, min(low, value), max(high, value))


def paired_bootstrap(
    first: Floats, second: Floats, statistic: Statistic, *, seed: int, level: float = LEVEL, resamples: int = RESAMPLES
) -> Interval:
    """BCa interval of statistic(second) - statistic(first), resampling rows that both answered together.

    Where no row differs, it is Agresti and Min's interval for no discordant pair in n.
    """
    n = len(first)
    both = np.concatenate([first, second], axis=1)
    width = first.shape[1]

    def difference(sums: Floats) -> Floats:
        return statistic(sums[..., width:]) - statistic(sums[..., :width])

    value = float(difference(both.sum(axis=0)))
    spread = paired_shares(0, 0, n, level=level)
    unmoved = Interval(value, value + spread.low, value + spread.high)
    if n < 2:
        return unmoved
    values = np.concatenate([difference(weights @ both) for weights in _weights(n, resamples, seed)])
    if np.ptp(values) < _SAME:
        return unmoved
    low, high = _bca(values, value, difference(both.sum(axis=0) - both), level)
    return Interval(value, min(low, value), max(high, value))


def paired_shares(gained: int, lost: int, n: int, *, level: float = LEVEL) -> Interval:
    """Agresti and Min's interval of a difference of paired shares: half a row is added to each cell of the 2 x 2 table.

    `gained` rows are right only in the second, `lost` only in the first.
    """
    value = (gained - lost) / n if n else 0.0
    total = n + 2
    plus, minus = gained + 0.5, lost + 0.5
    centre = (plus - minus) / total
    half = _z(level) * math.sqrt(plus + minus - (plus - minus) ** 2 / total) / total
    return Interval(value, max(-1.0, centre - half), min(1.0, centre + half))


def mcnemar(gained: int, lost: int) -> float:
    """Exact two-sided p-value that a row which only one of two got right is as likely to be either's."""
    n = gained + lost
    if n == 0:
        return 1.0
    logs = [math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1) for k in range(min(gained, lost) + 1)]
    largest = max(logs)
    tail = largest + math.log(math.fsum(math.exp(one - largest) for one in logs)) - n * math.log(2)
    return min(1.0, max(2 * math.exp(tail), math.ulp(0.0)))


def randomisation(first: Floats, second: Floats, statistic: Statistic, *, seed: int, shuffles: int = SHUFFLES) -> float:
    """p-value of paired approximate randomisation: in each shuffle, every row's two counts swap sides with chance 1/2.

    Rows that are equal in both cannot move anything and are left out of the shuffles. The add-one rule counts what was
    observed as one of the shuffles.
    """
    sums, others = first.sum(axis=0), second.sum(axis=0)
    observed = abs(float(statistic(others) - statistic(sums)))
    apart = (second - first)[np.any(second != first, axis=1)]
    if not len(apart):
        return 1.0
    generator = np.random.default_rng(seed)
    extreme = 0
    for size in _chunks(shuffles, len(apart)):
        swapped = generator.integers(0, 2, size=(size, len(apart)), dtype=np.int8).astype(np.float64) @ apart
        moved = np.abs(statistic(others - swapped) - statistic(sums + swapped))
        extreme += int(np.count_nonzero(moved >= observed - _SAME))
    return (extreme + 1) / (shuffles + 1)


def sign_flip(differences: Floats, *, seed: int, shuffles: int = SHUFFLES) -> float:
    """p-value that paired differences (one a row) are as likely above as below zero: their signs flip at random."""
    column = differences.reshape(-1, 1)
    return randomisation(np.zeros_like(column), column, lambda sums: sums[..., 0], seed=seed, shuffles=shuffles)


def quantile(values: Floats, share: float, *, seed: int, level: float = LEVEL, resamples: int = RESAMPLES) -> Interval:
    """A quantile (linear between order statistics) with its percentile bootstrap interval. Values must not be empty."""
    generator = np.random.default_rng(seed)
    drawn = [
        np.quantile(values[generator.integers(0, len(values), size=(size, len(values)))], share, axis=1)
        for size in _chunks(resamples, len(values))
    ]
    low, high = np.quantile(np.concatenate(drawn), [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(np.quantile(values, share)), float(low), float(high))


def needed_n(difference: Interval, n: int, *, alpha: float = 0.05, power: float = POWER) -> int | None:
    """About how many more rows would decide a difference of this size, if it is real; None when there is none to decide.

    Two digits, rounded up: the estimate knows no more.
    From the normal approximation: total = n ((z of alpha + z of power) SE / difference)^2, with the standard error read
    off the 95 % interval's width.
    """
    if abs(difference.value) < _SAME:
        return None
    error = (difference.high - difference.low) / (2 * _z(LEVEL))
    total = n * ((_z(1 - alpha) + _NORMAL.inv_cdf(power)) * error / difference.value) ** 2
    return _two_digits(max(0, math.ceil(total) - n))


def _two_digits(count: int) -> int:
    unit: int = 10 ** max(0, len(str(count)) - 2)
    return math.ceil(count / unit) * unit


def _z(level: float) -> float:
    return _NORMAL.inv_cdf((1 + level) / 2)


def _chunks(total: int, width: int) -> list[int]:
    """Sizes that add up to `total`, each with at most _CELLS cells of `width`."""
    size = max(1, min(total, _CELLS // max(width, 1)))
    return [min(size, total - start) for start in range(0, total, size)]


def _weights(n: int, resamples: int, seed: int) -> Iterator[Floats]:
    """How often each of n rows is drawn in each resample, in chunks (resamples x n)."""
    generator = np.random.default_rng(seed)
    for size in _chunks(resamples, n):
        drawn = generator.integers(0, n, size=(size, n))
        drawn += np.arange(size)[:, None] * n
        yield np.bincount(drawn.ravel(), minlength=size * n).reshape(size, n).astype(np.float64)


def _bca(values: Floats, value: float, without_one: Floats, level: float) -> tuple[float, float]:
    """Ends of the bias-corrected and accelerated interval; of the plain percentile one where the correction is undefined."""
    tails = np.array([(1 - level) / 2, (1 + level) / 2])
    below = (np.count_nonzero(values < value - _SAME) + np.count_nonzero(values <= value + _SAME)) / (2 * len(values))
    centred = without_one.mean() - without_one
    spread = float(np.sum(centred**2))
    if 0 < below < 1 and spread > 0:
        bias = _NORMAL.inv_cdf(below)
        acceleration = float(np.sum(centred**3)) / (6 * spread**1.5)
        corrected = []
        for tail in tails:
            shifted = bias + _NORMAL.inv_cdf(float(tail))
            corrected.append(_NORMAL.cdf(bias + shifted / (1 - acceleration * shifted)))
        tails = np.array(corrected)
    low, high = np.quantile(values, np.clip(tails, 0, 1))
    return float(low), float(high)
