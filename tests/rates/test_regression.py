"""The line fits against SciPy and NumPy, and their errors against repeated noise."""

from typing import Any

import numpy as np
import pytest
import scipy.stats

from fineq.rates.regression import fit_bend, fit_line, power_misfit, slope_of
from tests.rates.sequences import autoregressive

RNG = np.random.default_rng(11)
T = np.sort(RNG.uniform(0, 50, 7))
Y = 3 - 0.2 * T + RNG.standard_normal(7)


def regress(t: np.ndarray, y: np.ndarray) -> Any:
    return scipy.stats.linregress(t, y)


def test_line_matches_scipy():
    line, truth = fit_line(T, Y), regress(T, Y)
    assert line.slope == pytest.approx(truth.slope, rel=1e-12)
    assert slope_of(T, Y) == pytest.approx(truth.slope, rel=1e-12)
    assert line.intercept == pytest.approx(truth.intercept, rel=1e-12)
    assert line.stderr == pytest.approx(truth.stderr, rel=1e-12)
    assert line.r_squared == pytest.approx(truth.rvalue**2, rel=1e-12)


def test_weights_are_repetitions():
    counts = np.array([1, 3, 2, 1, 1, 4, 2])
    line = fit_line(T, Y, counts.astype(float))
    truth = regress(np.repeat(T, counts), np.repeat(Y, counts))
    assert line.slope == pytest.approx(truth.slope, rel=1e-12)
    assert line.r_squared == pytest.approx(truth.rvalue**2, rel=1e-12)


def test_bend_is_the_change_of_slope_of_the_parabola():
    c, _, _ = np.polyfit(T, Y, 2)
    line = fit_line(T, Y)
    change = 2 * c * (T[-1] - T[0]) / abs(line.slope)
    assert fit_bend(T, Y, line).value == pytest.approx(change, rel=1e-10)


def test_bend_error_matches_numpy():
    (_, _, _), covariance = np.polyfit(T, Y, 2, cov=True)
    line = fit_line(T, Y)
    stderr = 2 * np.sqrt(covariance[0, 0]) * (T[-1] - T[0]) / abs(line.slope)
    assert fit_bend(T, Y, line).stderr == pytest.approx(stderr, rel=1e-10)


def test_few_points_have_unknown_errors():
    line = fit_line(T[:2], Y[:2])
    assert line.slope == pytest.approx((Y[1] - Y[0]) / (T[1] - T[0]))
    assert line.stderr == np.inf
    line = fit_line(T[:3], Y[:3])
    assert np.isfinite(line.stderr)
    assert fit_bend(T[:3], Y[:3], line).stderr == np.inf


@pytest.mark.parametrize("memory", [0.0, 0.5, 0.9])
def test_standard_error_allows_for_correlated_noise(memory):
    """Over 300 repetitions the slopes scatter as much as their errors say."""
    rng, t = np.random.default_rng(3), np.arange(400.0)
    lines = [fit_line(t, autoregressive(rng, t.size, memory)) for _ in range(300)]
    scatter = np.std([line.slope for line in lines])
    expected = np.sqrt(np.mean([line.stderr**2 for line in lines]))
    # The scatter of 300 is known to 1 / sqrt(600); the estimated correlation adds a few percent.
    assert expected / scatter == pytest.approx(1.0, abs=5 / np.sqrt(600))


@pytest.mark.parametrize(("shift", "first"), [(0.0, 1.0), (1.0, 0.0), (37.0, 0.0)])
def test_power_misfit_finds_the_shift(shift, first):
    k = np.arange(first, 500.0)
    y = 2 - 1.5 * np.log(k + shift)
    # The grid of shifts has ratio 1e4^(1/23) = 1.5.
    misfit = power_misfit(k, y) / k.size
    assert misfit < 1e-3 * np.var(y)
    assert misfit < 0.05 * fit_line(k, y).rms ** 2
