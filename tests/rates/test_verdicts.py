"""What is not linear: sublinear, superlinear, stalled, diverged; and what has no verdict."""

import json

import numpy as np
import pytest

from fineq.rates import Rate, linear_rate
from tests.rates.common import EPS, SEEDS, rng_of
from tests.rates.sequences import autoregressive, dense, geometric


@pytest.mark.parametrize("order", [0.5, 1.0, 2.0])
@pytest.mark.parametrize(
    "k", [dense(20)[1:], dense(1000)[1:], geometric(1e5)[1:], 50 + dense(1000), dense(30) + 3]
)
def test_power_laws_are_sublinear(order, k):
    rate = linear_rate(k, k**-order)
    assert rate.verdict == "sublinear"
    assert np.isnan(rate.floor)
    assert rate.bend > 0


@pytest.mark.slow
@SEEDS
@pytest.mark.parametrize("order", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("k", [dense(1000)[1:], geometric(1e5)[1:]])
def test_noisy_power_laws_are_sublinear(seed, order, k):
    noise = np.exp(0.03 * rng_of(seed).standard_normal((9, k.size)))
    rate = linear_rate(k, k**-order * noise)
    assert rate.verdict == "sublinear"
    assert rate.verdicts["sublinear"] == 9


@pytest.mark.parametrize("start", [0.3, 0.5, 0.9, 0.99])
@pytest.mark.parametrize("floor", [0.0, 1e-16])
def test_quadratic_convergence_is_superlinear(start, floor):
    k = dense(12)
    noise = floor * np.abs(rng_of(0).standard_normal(k.size))
    rate = linear_rate(k, start ** (2**k) + noise)
    assert rate.verdict == "superlinear"
    assert rate.bend < 0


def test_quadratic_convergence_to_a_noisy_floor_of_three_records():
    """A descent so late and steep that no line through it is significant."""
    log_errors = np.append(-0.0528 * 2.0 ** dense(9), [-39.67, -36.89, -39.33])
    assert linear_rate(dense(12), np.exp(log_errors)).verdict == "superlinear"


def test_order_between_one_and_two_is_superlinear():
    k = dense(14)
    assert linear_rate(k, 0.5 ** (1.3**k)).verdict == "superlinear"


@pytest.mark.parametrize("value", [1.0, 1e-12, 3e8])
def test_constant_is_stalled(value):
    rate = linear_rate(dense(50), np.full(51, value))
    assert rate.verdict == "stalled"
    assert np.isnan(rate.slope)
    assert rate.floor == pytest.approx(value, rel=4 * EPS)
    assert rate.floor_at == 0


def test_drift_within_rounding_is_stalled():
    assert linear_rate(dense(50), 1 - 2 * EPS * dense(50)).verdict == "stalled"


@pytest.mark.parametrize("memory", [0.0, 0.98])
def test_fluctuation_about_a_level_is_stalled(memory):
    """At the floor from the start: white noise, and noise that wanders."""
    noise = np.array([autoregressive(rng_of(seed), 1000, memory) for seed in range(20)])
    rate = linear_rate(dense(999), 1e-3 * np.exp(noise))
    assert rate.verdict == "stalled"
    # A trend is called at 3 standard errors in either of two fits.
    assert rate.verdicts["stalled"] >= 18
    assert abs(np.log(rate.floor / 1e-3)) < 0.5


def test_a_floor_reached_at_once_leaves_nothing_to_fit():
    k = dense(100)
    errors = np.where(k < 2, 0.01**k, 1e-6 * np.exp(rng_of(0).standard_normal(k.size)))
    rate = linear_rate(k, errors)
    assert rate.verdict is None
    assert np.isnan(rate.slope)
    assert rate.floor == pytest.approx(1e-6, rel=0.6)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("since", [1, 50, 100])
def test_not_finite_from_some_point_on_is_diverged(bad, since):
    errors = 0.9 ** dense(100)
    errors[since:] = bad
    rate = linear_rate(dense(100), errors)
    assert rate.verdict == "diverged"
    assert rate.seeds_diverged == 1
    assert np.isnan([rate.slope, rate.low, rate.high]).all()


def test_growth_is_diverged_and_a_higher_floor_is_not():
    k = dense(300)
    assert linear_rate(k, 1.1**k).verdict == "diverged"
    up = 1e-4 + 1e-2 * (1 - 0.97**k) * np.exp(0.3 * rng_of(0).standard_normal(k.size))
    assert linear_rate(k, up).verdict == "stalled"


def test_a_member_frozen_after_divergence_is_judged_by_what_the_caller_knows():
    k = dense(100)
    errors = np.where(k < 30, 0.9**k, 0.9**30)
    assert linear_rate(k, errors, diverged=np.array(True)).verdict == "diverged"
    stopped = linear_rate(k, errors, valid=k < 30)
    assert stopped.verdict == "linear"
    assert np.isnan(stopped.floor)


@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_too_few_records_have_no_verdict(count):
    rate = linear_rate(dense(9)[:count], 0.5 ** dense(9)[:count])
    assert rate.verdict is None
    assert np.isnan(rate.slope)


def spread_out() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Seven rates over three orders of magnitude, two diverged seeds, a stalled one."""
    k = dense(3000)
    slopes = -np.logspace(-4, -1, 7)
    errors = np.exp(slopes[:, None] * k)
    errors = np.concatenate([errors, errors[:2], np.ones((1, k.size))])
    errors[7:9, 100:] = np.nan
    return k, errors, slopes


def test_median_over_the_seeds_that_have_a_rate():
    k, errors, slopes = spread_out()
    rate = linear_rate(k, errors)
    assert rate.verdict == "linear"
    assert rate.seeds == 10
    assert rate.seeds_used == 7
    assert rate.verdicts == {"linear": 7, "diverged": 2, "stalled": 1}
    assert rate.slope == pytest.approx(np.median(slopes), rel=1e-10)
    # Of 7 values the second smallest and largest cover with 87.5% only: the range, 98%, is left.
    assert (rate.low, rate.high) == pytest.approx((slopes.min(), slopes.max()), rel=1e-10)
    assert rate.exponent.low == -rate.high
    assert rate.ratio.high == np.exp(rate.high)
    shuffled = linear_rate(k, errors[np.random.default_rng(0).permutation(10)])
    assert shuffled.slope == rate.slope
    assert shuffled.verdicts == rate.verdicts


def test_ties_go_to_the_worse_news():
    k, errors, _ = spread_out()
    assert linear_rate(k, errors[[0, 1, 7, 8]]).verdict == "diverged"
    assert linear_rate(k, errors[[0, 9]]).verdict == "stalled"


def strict(rate: Rate) -> dict:
    return json.loads(json.dumps(rate.to_dict(), allow_nan=False))


def test_as_plain_data():
    k, errors, _ = spread_out()
    data = strict(linear_rate(k, errors, quantity="cost gap"))
    assert {"quantity", "method", "value", "low", "high", "seeds", "verdict"} <= set(data)
    assert data["quantity"] == "cost gap"
    assert data["seeds"] == 10
    assert data["verdict"] == "linear"
    assert data["ratio"]["value"] == pytest.approx(np.exp(data["value"]))
    assert data["floor"] is None
    lost = strict(linear_rate(k, errors[7:9]))
    assert lost["verdict"] == "diverged"
    assert lost["value"] is None
    assert lost["low"] is None
    assert lost["verdicts"] == {"diverged": 2}


@pytest.mark.parametrize(
    ("k", "errors", "options", "words"),
    [
        (dense(3), np.ones((2, 5)), {}, r"\(4,\) and \(2, 5\)"),
        (dense(3), np.ones((1, 2, 4)), {}, "must agree on R"),
        (np.array([0.0, 2.0, 2.0]), np.ones(3), {}, "must increase"),
        (np.array([-1.0, 2.0, 3.0]), np.ones(3), {}, "must increase"),
        (np.array([0.0, np.nan, 3.0]), np.ones(3), {}, "must increase"),
        (dense(3), np.ones(4), {"valid": np.ones(3)}, r"valid \(3,\)"),
        (dense(3), np.ones((2, 4)), {"diverged": np.zeros(3)}, r"diverged must have shape \(2,\)"),
        (dense(3), np.ones(4), {"confidence": 1.0}, "confidence must lie in"),
    ],
)
def test_bad_arguments(k, errors, options, words):
    with pytest.raises(ValueError, match=words):
        linear_rate(k, errors, **options)
