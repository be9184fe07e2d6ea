"""A rate does not depend on the unit of the error, or of time."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fineq.rates import linear_rate
from tests.rates.sequences import dense, geometric


@st.composite
def sequences(draw) -> tuple[np.ndarray, np.ndarray]:
    """A descent of random speed and noise, perhaps with a floor or of another shape."""
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    k = draw(st.sampled_from([dense(60), dense(300), geometric(1000), dense(40) + 10]))
    slope = -draw(st.floats(1, 60)) / k[-1]
    noise = draw(st.sampled_from([0.0, 0.03, 0.3])) * rng.standard_normal(k.size)
    shape = draw(st.sampled_from([slope * k, -2 * np.log(k + k[1]), np.maximum(slope * k, -9)]))
    return k, np.exp(shape + noise)


@pytest.mark.slow
@settings(max_examples=60, deadline=None, derandomize=True)
@given(sequences(), st.floats(1e-12, 1e12))
def test_scale_of_the_error_does_not_matter(sequence, scale):
    k, errors = sequence
    rate, scaled = linear_rate(k, errors), linear_rate(k, scale * errors)
    assert scaled.verdict == rate.verdict
    np.testing.assert_allclose(scaled.slope, rate.slope, rtol=1e-9)
    np.testing.assert_allclose(scaled.floor, scale * rate.floor, rtol=1e-9)


@pytest.mark.slow
@settings(max_examples=60, deadline=None, derandomize=True)
@given(sequences(), st.sampled_from([0.25, 3, 10, 1000]))
def test_unit_of_time_scales_the_slope(sequence, factor):
    k, errors = sequence
    rate, scaled = linear_rate(k, errors), linear_rate(factor * k, errors)
    assert scaled.verdict == rate.verdict
    np.testing.assert_allclose(factor * scaled.slope, rate.slope, rtol=1e-9)
    np.testing.assert_allclose(scaled.burn_in, factor * rate.burn_in, rtol=1e-12)
    np.testing.assert_allclose(scaled.bend, rate.bend, rtol=1e-6, atol=1e-9)


@pytest.mark.slow
@settings(max_examples=30, deadline=None, derandomize=True)
@given(sequences(), st.integers(1, 12))
def test_repeated_seeds_change_nothing(sequence, copies):
    k, errors = sequence
    rate = linear_rate(k, np.tile(errors, (copies, 1)))
    alone = linear_rate(k, errors)
    assert rate.verdict == alone.verdict
    assert rate.seeds == copies
    np.testing.assert_equal(rate.slope, alone.slope)
