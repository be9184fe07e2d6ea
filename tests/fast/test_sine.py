"""The fast sine against long double: documented accuracy, derivatives, ends of the range."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fineq.fast.sine import cosine, sine

RANGE = {"float64": 2.7e13, "float32": 1e8}
DRIFT = {"float64": 1e-35, "float32": 2e-14}  # documented: error of π times |x|
PAIRS = [(sine, np.sin), (cosine, np.cos)]


def ulps(got, x, truth, dtype):
    """Error in units in the last place of the result, beyond the documented drift."""
    want = truth(x.astype(np.longdouble))
    excess = np.abs(got.astype(np.longdouble) - want) - DRIFT[dtype] * np.abs(x)
    return float(np.max(np.maximum(excess, 0) / np.spacing(np.abs(want).astype(dtype))))


@pytest.mark.skipif(np.finfo(np.longdouble).nmant < 63, reason="needs an extended long double")
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(("ours", "truth"), PAIRS)
def test_documented_accuracy(ours, truth, dtype):
    rng = np.random.default_rng(0)
    sizes = [s for s in (1e-8, 1.0, 10.0, 1e4, 1e6, 1e9, 1e13) if s <= RANGE[dtype]]
    function = jax.jit(ours)
    for size in [*sizes, RANGE[dtype]]:
        x = rng.uniform(-size, size, 40_000)
        # The multiples of π/2 are where a careless reduction loses every digit.
        near = np.round(x[::2] / (np.pi / 2)) * (np.pi / 2)
        both = np.concatenate([x, near[np.abs(near) <= size]]).astype(dtype)
        assert ulps(np.asarray(function(jnp.asarray(both))), both, truth, dtype) <= 2.5


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("ours", [sine, cosine])
def test_every_finite_argument_stays_within_one(ours, dtype):
    rng = np.random.default_rng(1)
    exponents = rng.uniform(-10, np.finfo(dtype).maxexp * np.log10(2), 20_000)
    x = np.minimum(10.0**exponents, float(np.finfo(dtype).max)).astype(dtype)
    values = np.asarray(
        ours(jnp.asarray(np.concatenate([x, -x, [np.finfo(dtype).max]], dtype=dtype)))
    )
    assert values.dtype == dtype
    # One rounding unit: the polynomial may end one step above 1.
    assert np.all(np.abs(values) <= 1 + np.finfo(dtype).eps)


@pytest.mark.parametrize("ours", [sine, cosine])
def test_infinities_and_nan_give_nan(ours):
    assert np.all(np.isnan(ours(jnp.array([np.inf, -np.inf, np.nan]))))


def test_exact_values():
    assert sine(0.0) == 0.0
    assert cosine(0.0) == 1.0
    assert sine(1) == sine(1.0)  # an integer counts as a float


def test_derivatives_to_third_order():
    x = jnp.linspace(-7.0, 7.0, 57)
    f = sine
    for truth in (np.cos, lambda x: -np.sin(x), lambda x: -np.cos(x)):
        f = jax.grad(f)
        np.testing.assert_allclose(jax.vmap(f)(x), truth(x), rtol=0, atol=4e-16)
    _, forward = jax.jvp(sine, (x,), (jnp.ones_like(x),))
    np.testing.assert_allclose(forward, np.cos(x), rtol=0, atol=4e-16)


def test_other_dtypes_fall_back():
    x = jnp.asarray(0.5 + 0.25j)
    np.testing.assert_allclose(sine(x), np.sin(complex(x)), rtol=1e-15)
    assert cosine(jnp.asarray(0.5, jnp.bfloat16)).dtype == jnp.bfloat16
