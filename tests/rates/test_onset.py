"""Runs that end while they reach their floor."""

import numpy as np
import pytest

from fineq.rates import linear_rate
from fineq.rates.offset import approached_level, fit_offset
from tests.rates.sequences import dense

SEEDS = 8
SLOPE = -0.05


def noise_of(k: np.ndarray) -> np.ndarray:
    return np.random.default_rng(13).standard_normal((SEEDS, k.size))


def run_length(floor: float, beyond: float) -> np.ndarray:
    """Iterations until the exponential is at its floor, times `beyond`."""
    return dense(int(beyond * np.log(floor) / SLOPE))


@pytest.mark.parametrize(("level", "knee", "speed"), [(-9.0, 140.0, 0.07), (2.0, 30.0, 1.5)])
def test_the_shape_is_recovered(level, knee, speed):
    k = dense(200)
    y = level + np.log1p(np.exp(-speed * (k - knee)))
    fit = fit_offset(k, y)
    assert (fit.level, fit.knee, fit.speed) == pytest.approx((level, knee, speed), rel=1e-6)


@pytest.mark.parametrize(
    "y",
    [
        -0.05 * dense(200),
        -2 * np.log(dense(200) + 1),
        np.where(dense(200) < 100, -0.1 * dense(200), -10 - 0.02 * (dense(200) - 100)),
        -0.001 * dense(200) ** 2,
    ],
)
def test_other_shapes_are_not_taken_for_it(y):
    assert approached_level(dense(200), y) is None
    assert approached_level(dense(200), y + 0.05 * noise_of(dense(200))[0]) is None


@pytest.mark.parametrize("floor", [1e-4, 1e-8])
@pytest.mark.parametrize("beyond", [1.0, 1.1, 1.3])
def test_a_bias_barely_reached(floor, beyond):
    k = run_length(floor, beyond)
    rate = linear_rate(k, (np.exp(SLOPE * k) + floor) * np.exp(0.01 * noise_of(k)))
    assert rate.verdict == "linear"
    assert rate.verdicts["linear"] == SEEDS
    assert rate.low < SLOPE < rate.high
    assert rate.high - rate.low < 0.5 * abs(SLOPE)
    # At the knee itself the floor is not yet seen by every seed; a tenth of the run later it is.
    if beyond > 1:
        assert rate.floor == pytest.approx(floor, rel=0.2)


@pytest.mark.parametrize("floor", [1e-4, 1e-8])
@pytest.mark.parametrize("beyond", [0.9, 1.0, 1.1])
def test_additive_noise_barely_reached(floor, beyond):
    k = run_length(floor, beyond)
    rate = linear_rate(k, np.abs(np.exp(SLOPE * k) + floor * noise_of(k)))
    assert rate.verdict == "linear"
    assert rate.low < SLOPE < rate.high


def test_a_bias_far_below_the_start_but_not_deep():
    """After a fall of 100 the floor bends every record; the interval says so."""
    k = run_length(1e-2, 1.3)
    rate = linear_rate(k, np.exp(SLOPE * k) + 1e-2)
    assert rate.verdict == "linear"
    assert rate.low < SLOPE < rate.slope < rate.high
    assert rate.floor == pytest.approx(1e-2, rel=0.01)
    assert 0 < rate.per_seed[0].flattening < 1


def test_interval_of_one_seed_allows_for_the_floor():
    """With little noise only the bound on the flattening reaches the truth, on every seed."""
    k = run_length(1e-2, 1.3)
    for noise in noise_of(k):
        rate = linear_rate(k, (np.exp(SLOPE * k) + 1e-2) * np.exp(0.01 * noise))
        assert rate.verdict == "linear"
        assert rate.low < SLOPE < rate.slope


def test_rates_that_differ_by_seed_and_end_at_a_floor():
    """A tenth of the seeds' scatter: some reach the floor, some do not."""
    k = dense(200)
    slopes = SLOPE * np.exp(0.1 * noise_of(k)[:, :1])
    errors = np.exp(slopes * k) + 1e-4 * np.abs(noise_of(k))
    rate = linear_rate(k, errors)
    assert rate.verdict == "linear"
    assert rate.slope == pytest.approx(np.median(slopes), rel=0.05)


def test_the_flattening_is_that_of_the_last_record_over_the_length_of_the_window():
    k = np.arange(100, 400)  # a window that begins away from 0 tells its length from its end
    fit = linear_rate(k, np.exp(-0.05 * (k - 100)) + 1e-4).per_seed[0]
    lift = fit.floor / np.exp(fit.intercept + fit.slope * fit.end)
    length = fit.slope * (fit.end - fit.burn_in)
    assert 0 < fit.flattening < 1
    assert fit.flattening == pytest.approx(6 * lift / length**2, rel=1e-12)
