"""Kernels of the dynamics: values, φ(0) = 0, and ℓ, ℓ' against suprema known in closed form."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fineq.errors import InputError
from fineq.nlqr.features import Custom, Products, Sine, Tanh, Zero, random_products
from fineq.nlqr.lipschitz import estimate_lipschitz

RAGGED = Products([[[1, -1]], [[1, 1], [-1, 1], [1, 1]]], [0.5, 2.0], radius=1.5)
KERNELS = [Sine(), Tanh(), Zero(3), RAGGED, Custom(lambda x: x**2, 2)]


@pytest.mark.parametrize("phi", KERNELS, ids=lambda phi: type(phi).__name__)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_kernels_vanish_at_zero_and_keep_the_dtype(phi, dtype):
    out = phi(jnp.zeros(2, dtype), jnp.asarray(1.7, dtype))
    assert out.dtype == dtype
    assert out.shape == (phi.num_features(2),)
    assert np.all(out == 0)
    assert hash(phi) is not None


def value(phi, x, scale):
    return phi(jnp.asarray(x), jnp.asarray(scale))


def test_values_against_numpy():
    x = np.array([0.4, -1.1])
    np.testing.assert_allclose(value(Sine(), x, 3.0), 3 * np.sin(x), rtol=1e-15)
    np.testing.assert_allclose(value(Tanh(), x, 3.0), 3 * np.tanh(x), rtol=1e-15)
    expected = 3 * np.array([0.5 * (0.4 + 1.1), 2.0 * (0.4 - 1.1) * (-0.4 - 1.1) * (0.4 - 1.1)])
    np.testing.assert_allclose(value(RAGGED, x, 3.0), expected, rtol=1e-14)
    np.testing.assert_allclose(value(Custom(jnp.square, 2), x, 3.0), 3 * x**2, rtol=1e-15)


def test_batch_last_evaluation():
    x = jax.random.normal(jax.random.key(0), (2, 5))
    batched = jax.vmap(RAGGED, in_axes=(-1, None), out_axes=-1)(x, jnp.asarray(0.3))
    one_by_one = np.stack([value(RAGGED, x[:, j], 0.3) for j in range(5)], axis=-1)
    np.testing.assert_allclose(batched, one_by_one, rtol=1e-14)


@pytest.mark.slow
@pytest.mark.parametrize(("n", "N"), [(2, 1), (2, 2), (3, 3), (2, 4)])
def test_product_constants_are_reached_by_a_power(n, N):
    # φ = a (w·x)^N: on |x| <= M0 the largest |∇φ| is a N |w| (|w| M0)^(N-1), |w| = √n.
    amplitude, radius, scale = 0.8, 1.3, 0.5
    phi = Products([[[1] * n] * N], [amplitude], radius=radius)
    w = np.sqrt(n)
    slope = scale * amplitude * N * w * (w * radius) ** (N - 1)
    curve = scale * amplitude * N * (N - 1) * w**2 * (w * radius) ** (N - 2)
    assert float(phi.lipschitz(scale)) == pytest.approx(slope, rel=1e-14)
    assert float(phi.gradient_lipschitz(scale)) == pytest.approx(curve, rel=1e-14, abs=1e-300)
    found = estimate_lipschitz(phi, scale, n, radius, jax.random.key(1))
    # Ascent ends within 1e-4 of the maximum on the boundary, from below (up to rounding).
    assert 1 - 1e-4 < float(found.lipschitz) / slope < 1 + 1e-12
    assert abs(float(found.gradient_lipschitz) - curve) <= 1e-4 * curve + 1e-9


@pytest.mark.parametrize(("phi", "slope", "curve"), [(Sine(), 1.0, 1.0), (Tanh(), 1.0, 0.76980036)])
def test_elementwise_constants(phi: Sine | Tanh, slope, curve):
    # max |tanh''| = 4/(3√3) = 0.76980036.
    scale = 2.5
    assert float(phi.lipschitz(scale)) == pytest.approx(scale * slope, rel=1e-8)
    assert float(phi.gradient_lipschitz(scale)) == pytest.approx(scale * curve, rel=1e-8)
    found = estimate_lipschitz(phi, scale, 3, 2.0, jax.random.key(5))
    # The search flattens out quadratically at the maximum; 1e-4 is far above its resolution.
    assert 1 - 1e-4 < float(found.lipschitz) / (scale * slope) <= 1 + 1e-12
    assert 1 - 1e-4 < float(found.gradient_lipschitz) / (scale * curve) <= 1 + 1e-8


@pytest.mark.slow
def test_search_stays_below_the_root_sum_of_squares():
    phi = random_products(jax.random.key(2), 3, [2, 3, 1], radius=0.7)
    assert phi == random_products(jax.random.key(2), 3, [2, 3, 1], radius=0.7)
    assert [len(f) for f in phi.signs] == [2, 3, 1]
    found = estimate_lipschitz(phi, 1.0, 3, 0.7, jax.random.key(3))
    upper = float(phi.lipschitz(1.0)), float(phi.gradient_lipschitz(1.0))
    # The upper bounds are loose by at most √d per feature and by misaligned factors: not by 20.
    assert upper[0] / 20 < float(found.lipschitz) <= upper[0]
    assert upper[1] / 20 < float(found.gradient_lipschitz) <= upper[1]


def test_search_sees_a_kink_that_derivatives_miss():
    found = estimate_lipschitz(Custom(jnp.abs, 2), 1.0, 2, 1.0, jax.random.key(0))
    assert float(found.lipschitz) == pytest.approx(1.0, rel=1e-12)
    # |x| has second derivative 0 almost everywhere and an unbounded ℓ'.
    assert float(found.gradient_lipschitz) > 10


def test_custom_bounds():
    phi = Custom(jnp.sin, 3, bounds=(1.0, 2.0))
    assert phi.lipschitz(3.0) == 3.0
    assert phi.gradient_lipschitz(3.0) == 6.0
    assert Custom(jnp.sin, 3).lipschitz(1.0) is None
    assert Custom(jnp.sin, 3).gradient_lipschitz(1.0) is None


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Products([]), "at least one factor"),
        (lambda: Products([[[1, 1]], []]), "at least one factor"),
        (lambda: Products([[[1, 1], [1]]]), "must all have n entries"),
        (lambda: Products([[[1, 2]]]), "must be -1 or 1"),
        (lambda: Products([[[1, 1]]], [1.0, 2.0]), "amplitudes has 2 entries"),
        (lambda: Products([[[1, 1]]], [float("nan")]), "amplitudes must be finite"),
        (lambda: Products([[[1, 1]]], radius=0.0), "radius must be positive"),
        (lambda: Products([[[1, 1]]]).num_features(3), "length 2, but the state has 3"),
        (lambda: Zero(-1), "at least 0"),
        (lambda: random_products(jax.random.key(0), 3, [2, 0]), "degrees >= 1"),
    ],
)
def test_malformed_kernels_are_refused(build, message):
    with pytest.raises(InputError, match=message):
        build()
