"""Power laws with known exponents."""

import json
from typing import Any

import numpy as np
import pytest
import scipy.stats

from fineq.rates import paired_exponents, power_law

X = np.geomspace(16, 8192, 10)


@pytest.mark.parametrize("slope", [-2.0, -0.5, 0.0, 1.0, 3.5])
def test_exact(slope):
    law = power_law(X, 7 * X**slope)
    assert law.slope == pytest.approx(slope, abs=1e-13)
    assert np.exp(law.intercept) == pytest.approx(7, rel=1e-12)
    np.testing.assert_allclose(law.local_slopes, slope, atol=1e-12)
    np.testing.assert_allclose(law.predict(X), 7 * X**slope, rtol=1e-11)


@pytest.mark.parametrize("seed", range(5))
def test_one_curve_has_the_interval_of_the_regression(seed):
    y = X**-0.5 * np.exp(0.1 * np.random.default_rng(seed).standard_normal(10))
    truth: Any = scipy.stats.linregress(np.log(X[:7]), np.log(y[:7]))
    law = power_law(X[:7], y[:7])
    half = 2.5705818356363146 * truth.stderr  # Student's t, 5 degrees of freedom, 97.5%
    assert law.slope == pytest.approx(truth.slope, rel=1e-12)
    assert law.low == pytest.approx(truth.slope - half, rel=1e-9)
    assert law.high == pytest.approx(truth.slope + half, rel=1e-9)
    assert law.r_squared == pytest.approx(truth.rvalue**2, rel=1e-12)


def test_two_points_have_no_interval():
    law = power_law(X[:2], X[:2] ** -1.5)
    assert law.slope == pytest.approx(-1.5)
    assert np.isnan([law.low, law.high]).all()


@pytest.mark.parametrize("seed", range(5))
def test_median_over_seeds(seed):
    noise = np.random.default_rng(seed).standard_normal((25, X.size))
    law = power_law(X, X**-0.7 * np.exp(0.2 * noise))
    # The standard error of one seed's slope, of the median of 25 (sqrt(pi/2) wider), five of them.
    one = 0.2 / np.sqrt(np.sum((np.log(X) - np.log(X).mean()) ** 2))
    assert abs(law.slope + 0.7) < 5 * one * np.sqrt(np.pi / 2 / 25)
    assert law.low < law.slope < law.high
    assert law.seeds_used == 25
    assert law.slope == np.median(law.seed_slopes)


def test_what_cannot_be_used_is_counted_not_averaged():
    y = np.tile(X**-1.0, (4, 1))
    y[0, 2], y[1, 3], y[2, :] = np.nan, 0.0, np.inf
    law = power_law(X, y, valid=np.arange(10) != np.full((4, 1), 9))
    assert law.slope == pytest.approx(-1.0)
    assert law.seeds == 4
    assert law.seeds_used == 3
    np.testing.assert_array_equal(law.points_used, [3, 3, 2, 2, 3, 3, 3, 3, 3, 0])
    assert np.isnan(law.seed_slopes[2])
    assert np.isnan(law.local_slopes[-1])
    assert np.isfinite(law.local_slopes[:-1]).all()
    nothing = power_law(X, np.full((2, 10), np.nan))
    assert np.isnan([nothing.slope, nothing.low, nothing.r_squared]).all()


def test_weights_and_local_slopes_show_a_change_of_exponent():
    y = np.where(X < 400, X**-1.0, 400**-0.5 * X**-0.5)
    assert power_law(X, y, weights=(X < 400).astype(float)).slope == pytest.approx(-1.0)
    law = power_law(X, y)
    assert law.local_slopes[0] == pytest.approx(-1.0)
    assert law.local_slopes[-1] == pytest.approx(-0.5)
    assert -1.0 < law.slope < -0.5


def test_as_plain_data():
    law = power_law(X, np.tile(X**-0.5, (3, 1)), quantity="risk against N")
    data = json.loads(json.dumps(law.to_dict(), allow_nan=False))
    assert {"quantity", "method", "value", "low", "high", "seeds", "verdict"} <= set(data)
    assert data["value"] == pytest.approx(-0.5)
    assert data["verdict"] is None
    empty = power_law(X, np.full(10, np.nan)).to_dict()
    assert empty["value"] is None
    assert empty["local_slopes"] == [None] * 9


@pytest.mark.parametrize(
    ("x", "y", "options", "words"),
    [
        (X, X[:-1], {}, r"\(10,\) and \(9,\)"),
        (X[:1], X[:1], {}, "X >= 2"),
        (-X, X, {}, "x must be positive"),
        (X - X[0], X, {}, "x must be positive"),
        (X[::-1], X, {}, "increasing"),
        (np.repeat(X[:5], 2), X, {}, "increasing"),
        (X, X, {"weights": X - X[1]}, "non-negative"),
        (X, X, {"valid": X[:3] > 0}, r"valid \(3,\)"),
        (X, np.ones((2, 10)), {"confidence": 0.0}, "confidence must lie in"),
    ],
)
def test_bad_arguments(x, y, options, words):
    with pytest.raises(ValueError, match=words):
        power_law(x, y, **options)


def test_extrapolated_exponent():
    x = np.array([40.0, 80.0, 160.0, 320.0])
    law = power_law(x, x**-2 * (1 + 8 / x))
    # Its own error is of second order in 8/x, not of first as the last local exponent's.
    assert law.extrapolated == pytest.approx(-2, abs=5e-3)
    assert abs(law.local_slopes[-1] + 2) > 2e-2


def test_three_sizes_are_enough_to_extrapolate_an_exponent_and_two_are_not():
    x = np.array([1.0, 2.0, 4.0])
    # Between neighbours y falls by 2³ and 2²: exponents -3, -2, and -1 beyond.
    assert power_law(x, np.array([32.0, 4.0, 1.0])).extrapolated == pytest.approx(-1)
    assert np.isnan(power_law(x[:2], np.array([4.0, 1.0])).extrapolated)


def test_points_that_are_measured_themselves_have_exponents_of_their_own():
    rng = np.random.default_rng(0)
    x = rng.uniform(0.1, 10, size=(3, 5))
    slopes = np.array([-1.0, 0.5, 2.0])
    y = np.array([[3.0], [0.1], [7.0]]) * x ** slopes[:, None]
    np.testing.assert_allclose(paired_exponents(x, y), slopes, rtol=1e-12)
    y = y * np.exp(rng.normal(size=y.shape))
    lines = [np.polyfit(np.log(a), np.log(b), 1)[0] for a, b in zip(x, y, strict=True)]
    np.testing.assert_allclose(paired_exponents(x, y), lines, rtol=1e-10)
    y[1, 2] = np.nan
    assert np.isnan(paired_exponents(x, y)).tolist() == [False, True, False]
