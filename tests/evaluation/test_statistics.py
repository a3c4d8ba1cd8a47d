"""Intervals and tests against scipy, and against what they must never do."""

import math

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats

from noria.evaluation import statistics

Floats = npt.NDArray[np.float64]
GENERATOR = np.random.default_rng(11)


def mean(sums: Floats) -> Floats:
    """Of a two-column table (value, 1)."""
    found: Floats = sums[..., 0] / sums[..., 1]
    return found


def with_ones(values: Floats) -> Floats:
    return np.stack([values, np.ones(len(values))], axis=1)


def f1(sums: Floats) -> Floats:
    """Of a three-column table (right, given, expected)."""
    found: Floats = 2 * sums[..., 0] / np.maximum(sums[..., 1] + sums[..., 2], 1)
    return found


@pytest.mark.parametrize(("right", "n"), [(0, 5), (1, 5), (5, 5), (47, 150), (199, 200), (1, 1)])
def test_wilson_is_scipys(right: int, n: int) -> None:
    ours, theirs = statistics.wilson(right, n), stats.binomtest(right, n).proportion_ci(method="wilson")
    assert ours.low == pytest.approx(theirs.low, abs=1e-9)
    assert ours.high == pytest.approx(theirs.high, abs=1e-9)


def test_wilson_of_nothing_says_nothing() -> None:
    assert statistics.wilson(0, 0) == statistics.Interval(0.0, 0.0, 1.0)


@pytest.mark.parametrize(("gained", "lost"), [(0, 1), (3, 3), (10, 2), (2, 10), (40, 11), (700, 640)])
def test_mcnemar_is_the_exact_binomial(gained: int, lost: int) -> None:
    expected = stats.binomtest(gained, gained + lost, 0.5).pvalue
    assert statistics.mcnemar(gained, lost) == pytest.approx(expected, rel=1e-9)


def test_mcnemar_is_never_zero_and_one_without_difference() -> None:
    assert 0 < statistics.mcnemar(50_000, 0) < 1e-300
    assert statistics.mcnemar(0, 0) == 1.0


def test_bootstrap_agrees_with_scipys_bca() -> None:
    values = GENERATOR.exponential(size=120)
    ours = statistics.bootstrap(with_ones(values), mean, seed=1, resamples=20_000)
    theirs = stats.bootstrap((values,), np.mean, n_resamples=20_000, method="BCa", rng=np.random.default_rng(2))
    width = theirs.confidence_interval.high - theirs.confidence_interval.low
    assert ours.low == pytest.approx(theirs.confidence_interval.low, abs=0.03 * width)
    assert ours.high == pytest.approx(theirs.confidence_interval.high, abs=0.03 * width)


def test_bootstrap_of_a_ratio_agrees_with_scipy() -> None:
    expected = GENERATOR.integers(1, 5, size=150)
    given = GENERATOR.integers(0, 5, size=150)
    right = np.minimum(np.minimum(expected, given), GENERATOR.integers(0, 4, size=150))
    table = np.stack([right, given, expected], axis=1).astype(np.float64)
    ours = statistics.bootstrap(table, f1, seed=1, resamples=20_000)
    theirs = stats.bootstrap(
        (right, given, expected),
        lambda r, g, e, axis: 2 * r.sum(axis=axis) / (g.sum(axis=axis) + e.sum(axis=axis)),
        paired=True,
        n_resamples=20_000,
        method="BCa",
        rng=np.random.default_rng(3),
    ).confidence_interval
    assert ours.low == pytest.approx(theirs.low, abs=0.004)
    assert ours.high == pytest.approx(theirs.high, abs=0.004)


def test_bootstrap_is_the_same_each_time() -> None:
    table = with_ones(GENERATOR.normal(size=50))
    assert statistics.bootstrap(table, mean, seed=4) == statistics.bootstrap(table, mean, seed=4)


def test_a_perfect_score_on_few_rows_is_not_certain() -> None:
    interval = statistics.bootstrap(with_ones(np.ones(20)), mean, seed=1)
    assert interval.value == 1.0
    assert interval.low == pytest.approx(statistics.wilson(20, 20).low)
    assert statistics.bootstrap(with_ones(np.array([0.5])), mean, seed=1).low < 0.3


def test_bootstrap_interval_covers_about_as_often_as_it_says() -> None:
    generator = np.random.default_rng(5)
    covered = 0
    for run in range(200):
        table = with_ones(generator.exponential(size=60))
        interval = statistics.bootstrap(table, mean, seed=run, resamples=500)
        covered += interval.low <= 1.0 <= interval.high
    assert 0.88 <= covered / 200 <= 0.99


def test_paired_difference_interval_agrees_with_scipy() -> None:
    first, second = GENERATOR.normal(size=80), GENERATOR.normal(0.3, size=80)
    ours = statistics.paired_bootstrap(with_ones(first), with_ones(second), mean, seed=1, resamples=20_000)
    theirs = stats.bootstrap(
        (first, second),
        lambda a, b, axis: (b - a).mean(axis=axis),
        paired=True,
        n_resamples=20_000,
        method="BCa",
        rng=np.random.default_rng(6),
    ).confidence_interval
    assert ours.value == pytest.approx((second - first).mean())
    assert ours.low == pytest.approx(theirs.low, abs=0.02)
    assert ours.high == pytest.approx(theirs.high, abs=0.02)


def test_equal_rows_leave_room_for_a_difference_unseen() -> None:
    table = with_ones(np.ones(30))
    interval = statistics.paired_bootstrap(table, table, mean, seed=1)
    assert interval.value == 0.0
    assert -0.1 < interval.low < 0 < interval.high < 0.1


def test_interval_of_paired_shares_covers_and_stays_within_bounds() -> None:
    generator, covered = np.random.default_rng(8), 0
    for _ in range(500):
        table = generator.multinomial(60, [0.2, 0.1, 0.7])
        interval = statistics.paired_shares(int(table[0]), int(table[1]), 60)
        covered += interval.low <= 0.1 <= interval.high
    assert covered / 500 >= 0.92
    assert statistics.paired_shares(3, 0, 3).high == 1.0


def test_sign_flip_agrees_with_scipys_permutation_test() -> None:
    differences = GENERATOR.normal(0.25, size=60)
    theirs = stats.permutation_test(
        (differences,), np.mean, permutation_type="samples", n_resamples=50_000, rng=np.random.default_rng(7)
    ).pvalue
    assert statistics.sign_flip(differences, seed=1) == pytest.approx(theirs, abs=0.012)


def test_randomisation_of_f1_agrees_with_all_swaps() -> None:
    first = np.array([[0, 1, 2], [1, 2, 2], [0, 2, 1], [2, 2, 3], [0, 0, 2], [1, 1, 1], [0, 1, 1], [1, 3, 2]], float)
    second = np.array([[1, 1, 2], [2, 2, 2], [1, 2, 1], [2, 2, 3], [1, 1, 2], [1, 1, 1], [1, 1, 1], [0, 3, 2]], float)
    observed = abs(f1(second.sum(axis=0)) - f1(first.sum(axis=0)))
    extreme = 0
    for swaps in range(2 ** len(first)):
        swap = np.array([[swaps >> row & 1] for row in range(len(first))])
        a, b = np.where(swap, second, first).sum(axis=0), np.where(swap, first, second).sum(axis=0)
        extreme += bool(abs(f1(b) - f1(a)) >= observed - 1e-12)
    exact = extreme / 2 ** len(first)
    assert statistics.randomisation(first, second, f1, seed=1) == pytest.approx(exact, abs=0.015)


def test_randomisation_never_gives_zero() -> None:
    none, all_right = np.zeros((400, 1)), np.ones((400, 1))
    assert statistics.randomisation(none, all_right, lambda sums: sums[..., 0], seed=1) == 1 / 10_000
    assert statistics.randomisation(none, none, lambda sums: sums[..., 0], seed=1) == 1.0


def test_randomisation_is_honest_when_there_is_no_difference() -> None:
    generator, low = np.random.default_rng(9), 0
    for run in range(300):
        first, second = generator.integers(0, 2, size=(2, 40)).astype(float)
        p = statistics.randomisation(with_ones(first), with_ones(second), mean, seed=run, shuffles=499)
        low += p < 0.05
    assert low / 300 <= 0.08


def test_quantile_stands_in_its_interval() -> None:
    values = GENERATOR.lognormal(size=300)
    interval = statistics.quantile(values, 0.95, seed=1)
    assert interval.value == pytest.approx(np.quantile(values, 0.95))
    assert interval.low < interval.value < interval.high
    assert statistics.quantile(np.array([3.0]), 0.95, seed=1) == statistics.Interval(3.0, 3.0, 3.0)


def test_needed_examples_are_those_of_the_textbook() -> None:
    # A difference of .05 whose standard error at n = 100 is .05 needs (1.96 + .84)^2 times the rows.
    interval = statistics.Interval(0.05, 0.05 - 1.959964 * 0.05, 0.05 + 1.959964 * 0.05)
    exact = 100 * (1.959964 + 0.841621) ** 2 - 100
    assert statistics.needed_n(interval, 100) == math.ceil(exact / 10) * 10
    assert statistics.needed_n(statistics.Interval(0.0, -0.1, 0.1), 100) is None


def test_large_tables_are_worked_through_in_pieces() -> None:
    table = with_ones(GENERATOR.integers(0, 2, size=30_000).astype(float))
    interval = statistics.bootstrap(table, mean, seed=1, resamples=300)
    share = statistics.wilson(float(table[:, 0].sum()), 30_000)
    assert interval.low == pytest.approx(share.low, abs=0.001)
