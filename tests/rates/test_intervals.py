"""Intervals: closed forms, and how often they cover the truth."""

import numpy as np
import pytest

from fineq.rates import bootstrap_interval, linear_rate, median_interval, power_law, proportion
from tests.rates.sequences import autoregressive, dense


def shortfall(level: float, repetitions: int) -> float:
    """Five standard deviations of a share of successes of that probability."""
    return 5 * np.sqrt(level * (1 - level) / repetitions)


def median_coverage(size: int, repetitions: int) -> float:
    rng = np.random.default_rng(size)
    found = [median_interval(rng.lognormal(sigma=2.0, size=size)) for _ in range(repetitions)]
    return float(np.mean([i.low <= 1.0 <= i.high for i in found]))


def test_median_interval_covers():
    # The percentile bootstrap of a median is known to fall short of its level by 1 or 2 percent.
    assert median_coverage(30, 60) > 0.93 - shortfall(0.93, 60)


@pytest.mark.slow
@pytest.mark.parametrize("size", [8, 20, 64])
def test_median_interval_covers_many(size):
    assert median_coverage(size, 800) > 0.93 - shortfall(0.93, 800)


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


def test_bootstrap_of_a_mean_is_close_to_student():
    values = np.random.default_rng(0).standard_normal(200)
    interval = bootstrap_interval(values)
    half = 1.972 * values.std(ddof=1) / np.sqrt(200)
    # 4999 resamples know each quantile to a few percent of the half-width.
    assert interval.value == values.mean()
    assert interval.low == pytest.approx(values.mean() - half, abs=0.15 * half)
    assert interval.high == pytest.approx(values.mean() + half, abs=0.15 * half)
    assert bootstrap_interval(values) == interval


def test_bootstrap_of_equal_values_is_a_point():
    interval = bootstrap_interval(np.full(9, 2.5))
    assert (interval.value, interval.low, interval.high) == (2.5, 2.5, 2.5)


def test_proportion_closed_forms():
    z2 = 1.959963984540054**2
    wilson = proportion(20, 20)
    # All successes: the lower end solves (1 - p)^2 = z^2 p (1 - p) / n.
    assert wilson.value == 1.0
    assert wilson.high == pytest.approx(1.0)
    assert wilson.low == pytest.approx(20 / (20 + z2), rel=1e-9)
    exact = proportion(0, 12, confidence=0.9, method="exact")
    # None: the upper end solves (1 - p)^n = 0.05.
    assert exact.low == 0.0
    assert exact.high == pytest.approx(1 - 0.05 ** (1 / 12), rel=1e-9)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: proportion(3, 2), "got 3 of 2"),
        (lambda: proportion(0, 0), "got 0 of 0"),
        (lambda: proportion(1, 2, confidence=95), "got 95"),
        (lambda: median_interval(np.array([1.0, np.nan])), "finite, got 1"),
        (lambda: median_interval(np.ones((2, 2))), r"\(2, 2\)"),
        (lambda: bootstrap_interval(np.ones(1)), "at least 2 values, got 1"),
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
    assert rate_coverage(6) > 0.93 - shortfall(0.93, 6)


@pytest.mark.slow
def test_interval_over_seeds_covers_many():
    assert rate_coverage(200) > 0.93 - shortfall(0.93, 200)


@pytest.mark.slow
def test_power_law_interval_over_seeds_covers():
    x, hits = np.geomspace(10, 1000, 7), 0
    for i in range(400):
        rng = np.random.default_rng([9, i])
        y = x**-0.5 * np.exp(0.3 * rng.standard_normal((12, 7)))
        law = power_law(x, y)
        hits += law.low <= -0.5 <= law.high
    assert hits / 400 > 0.93 - shortfall(0.93, 400)
