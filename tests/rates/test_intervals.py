"""Intervals: closed forms, and how often they cover the truth."""

import math

import numpy as np
import pytest

from fineq.rates import (
    linear_rate,
    mean_interval,
    median_interval,
    normal_margin,
    pooled_interval,
    power_law,
    proportion,
    proportion_ends,
    values_for,
)
from tests.rates.sequences import autoregressive, dense


def shortfall(level: float, repetitions: int) -> float:
    """Five standard deviations of a share of successes of that probability."""
    return 5 * np.sqrt(level * (1 - level) / repetitions)


def ranks(n: int, level: float = 0.95) -> tuple[int, float]:
    """The largest rank k whose interval keeps the level, and what it covers, by counting sets.

    The true median lies outside [x_(k), x_(n+1-k)] when fewer than k values lie on one side of it.
    """
    covered = [1 - 2 * sum(math.comb(n, j) for j in range(k)) / 2**n for k in range(n // 2 + 1)]
    k = max(k for k, cover in enumerate(covered) if cover >= level or k <= 1)
    return k, covered[k]


@pytest.mark.parametrize("n", [*range(2, 40), 64, 400])
def test_ends_of_a_median_are_order_statistics_of_binomial_coverage(n):
    values = np.random.default_rng(n).permutation(np.arange(1.0, n + 1))
    k, cover = ranks(n)
    found = median_interval(values)
    assert (found.value, found.low, found.high) == ((n + 1) / 2, k, n + 1 - k)
    assert found.confidence == pytest.approx(min(0.95, cover))
    assert (cover >= 0.95) == (n >= 6) == (n >= values_for(0.95))


@pytest.mark.parametrize("size", [6, 7, 8, 12, 20, 32])
def test_median_interval_covers(size):
    draws = np.random.default_rng(size).lognormal(sigma=2.0, size=(1500, size))
    found = [median_interval(row) for row in draws]
    hit = np.mean([i.low <= 1.0 <= i.high for i in found])
    assert hit > 0.95 - shortfall(0.95, len(draws))


def test_losses_count_as_larger_than_all():
    some = median_interval(np.array([3.0, np.inf, 1.0, 2.0, np.inf, 4.0, 5.0, 6.0, 7.0]))
    # n = 9: k = 2, 1 - 2 (1 + 9)/512 = 0.961.
    assert (some.value, some.low, some.high) == (5.0, 2.0, np.inf)
    most = median_interval(np.array([1.0, *[np.inf] * 5]))
    assert (most.value, most.low, most.high) == (np.inf, 1.0, np.inf)


@pytest.mark.parametrize(("level", "n"), [(0.5, 2), (0.75, 3), (0.9375, 5), (0.95, 6), (0.99, 8)])
def test_how_many_values_reach_a_level(level, n):
    assert values_for(level) == n
    assert 1 - 2.0 ** (1 - n) >= level > 1 - 2.0 ** (2 - n)


@pytest.mark.parametrize("size", [2, 3, 5])
def test_few_values_reach_only_a_lower_level(size):
    """[min, max] misses the median when all values lie on one side of it: 2 (1/2)^size."""
    values = np.random.default_rng(0).standard_normal(size)
    interval = median_interval(values)
    assert (interval.low, interval.high) == (values.min(), values.max())
    assert interval.confidence == 1 - 2 * 0.5**size < 0.95
    draws = np.random.default_rng(1).standard_normal((4000, size))
    hit = np.mean((draws.min(axis=1) <= 0) & (draws.max(axis=1) >= 0))
    assert abs(hit - interval.confidence) < shortfall(interval.confidence, 4000)


def test_one_value_and_none_have_no_interval():
    one, none = median_interval(np.array([3.0])), median_interval(np.zeros(0))
    assert one.value == 3.0
    assert np.isnan([one.low, one.high]).all()
    assert one.num_values == 1
    assert np.isnan([none.value, none.low, none.high]).all()


def test_mean_interval_is_students():
    # Four values, 3 freedoms: t = 3.182446 (tables), stderr = sqrt(5/3)/2.
    found = mean_interval(np.array([1.0, 2.0, 3.0, 4.0]))
    half = 3.182446305284263 * np.sqrt(5 / 3) / 2
    assert found.value == 2.5
    assert (found.low, found.high) == pytest.approx((2.5 - half, 2.5 + half), rel=1e-12)
    for few in ([], [1.0], [1.0, np.nan], [1.0, np.inf]):
        none = mean_interval(np.array(few))
        assert (none.confidence, np.isnan([none.low, none.high]).all()) == (0.0, True)


def test_normal_margins_and_their_pool():
    assert normal_margin(2.0) == pytest.approx(2 * 1.959963984540054, rel=1e-14)
    pooled = pooled_interval(np.array([1.0, 3.0]), np.array([0.3, 0.4]))
    assert (pooled.value, pooled.low, pooled.high) == pytest.approx((2.0, 1.75, 2.25))
    assert pooled_interval(np.zeros(0), np.zeros(0)).confidence == 0.0


def binomial_tail(k: int, n: int, p: float) -> float:
    """P(Bin(n, p) >= k) term by term."""
    return sum(math.comb(n, j) * p**j * (1 - p) ** (n - j) for j in range(k, n + 1))


@pytest.mark.parametrize(("successes", "trials"), [(0, 5), (5, 5), (3, 7), (50, 200), (1, 1)])
def test_ends_of_a_proportion_have_their_tails(successes, trials):
    found = proportion(successes, trials)
    assert found.value == successes / trials
    if successes:
        assert binomial_tail(successes, trials, found.low) == pytest.approx(0.025, rel=1e-9)
    if successes < trials:
        at_most = 1 - binomial_tail(successes + 1, trials, found.high)
        assert at_most == pytest.approx(0.025, rel=1e-9)
    assert (found.low == 0, found.high == 1) == (successes == 0, successes == trials)


def test_proportion_closed_forms():
    every, none = proportion(20, 20), proportion(0, 12, confidence=0.9)
    # All: the lower end solves p^n = 0.025; none: the upper end solves (1 - p)^n = 0.05.
    assert (every.low, every.high) == pytest.approx((0.025 ** (1 / 20), 1.0), rel=1e-12)
    assert (none.low, none.high) == pytest.approx((0.0, 1 - 0.05 ** (1 / 12)), rel=1e-12)


def test_proportions_of_nothing_are_unknown():
    low, high = proportion_ends(np.array([0, 2]), np.array([0, 2]))
    assert np.isnan([low[0], high[0]]).all()
    assert (low[1], high[1]) == pytest.approx((0.025**0.5, 1.0))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: proportion(3, 2), "got 3 of 2"),
        (lambda: proportion(0, 0), "got 0 of 0"),
        (lambda: proportion(1, 2, confidence=95), "got 95"),
        (lambda: median_interval(np.array([1.0, np.nan])), "above -inf, got 1"),
        (lambda: median_interval(np.array([1.0, -np.inf])), "above -inf, got 1"),
        (lambda: median_interval(np.ones(3), confidence=1.0), "got 1.0"),
        (lambda: median_interval(np.ones((2, 2))), r"\(2, 2\)"),
        (lambda: mean_interval(np.ones((2, 2))), r"\(2, 2\)"),
        (lambda: pooled_interval(np.ones(2), np.ones(3)), "one margin per value"),
    ],
)
def test_bad_arguments(call, words):
    with pytest.raises(ValueError, match=words):
        call()


def single_coverage(memory: float, repetitions: int) -> float:
    k, slope = dense(200), -0.05
    rngs = [np.random.default_rng([17, i]) for i in range(repetitions)]
    noise = (0.5 * autoregressive(rng, k.size, memory) for rng in rngs)
    rates = [linear_rate(k, np.exp(slope * k + n)) for n in noise]
    return float(np.mean([r.low <= slope <= r.high for r in rates]))


@pytest.mark.parametrize("memory", [0.0, 0.8])
def test_interval_of_one_seed_covers(memory):
    assert single_coverage(memory, 60) > 0.95 - shortfall(0.95, 60)


@pytest.mark.slow
@pytest.mark.parametrize("memory", [0.0, 0.8])
def test_interval_of_one_seed_covers_many(memory):
    assert single_coverage(memory, 400) > 0.95 - shortfall(0.95, 400)


def rate_coverage(repetitions: int) -> float:
    """Sixteen seeds whose true slopes scatter around -0.1 by 10%, down to a noise floor."""
    k, hits = dense(250), 0
    for i in range(repetitions):
        rng = np.random.default_rng([5, i])
        slopes = -0.1 * np.exp(0.1 * rng.standard_normal((16, 1)))
        errors = np.exp(slopes * k) + 1e-6 * np.abs(rng.standard_normal((16, k.size)))
        rate = linear_rate(k, errors)
        hits += rate.low <= -0.1 <= rate.high
    return hits / repetitions


def test_interval_over_seeds_covers():
    assert rate_coverage(6) > 0.95 - shortfall(0.95, 6)


@pytest.mark.slow
def test_interval_over_seeds_covers_many():
    assert rate_coverage(200) > 0.95 - shortfall(0.95, 200)


@pytest.mark.slow
def test_power_law_interval_over_seeds_covers():
    x, hits = np.geomspace(10, 1000, 7), 0
    for i in range(400):
        rng = np.random.default_rng([9, i])
        y = x**-0.5 * np.exp(0.3 * rng.standard_normal((12, 7)))
        law = power_law(x, y)
        hits += law.low <= -0.5 <= law.high
    assert hits / 400 > 0.95 - shortfall(0.95, 400)
