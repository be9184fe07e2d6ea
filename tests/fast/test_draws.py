"""Normal draws against the normal law, and their bits against JAX's generator."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
import scipy.stats

from fineq.fast import draws as random

NUM = 1_000_000


@pytest.fixture(scope="module", params=["float32", "float64"])
def draws(request):
    draw = jax.jit(lambda key: random.normal(key, (4, NUM // 4), request.param))
    return np.asarray(draw(jax.random.key(7)))


def test_bits_are_those_of_the_default_generator():
    """`fold_in(key, c)` is one block at counter (0, c); it goes through JAX's own rounds."""
    key = jax.random.key(3)
    counter = jnp.array([0, 1, 2, 77, 2**31, 2**32 - 1], jnp.uint32)
    ours = jnp.stack(random.threefry(jax.random.key_data(key), counter), axis=-1)
    theirs = jax.vmap(lambda c: jax.random.key_data(jax.random.fold_in(key, c)))(counter)
    np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_words_become_points_of_the_plane(dtype):
    """Radius and angle against NumPy, at the ends of both ranges and in between."""
    ends = [0, 1, 2**30 - 1, 2**30, 2**31 - 1, 2**31, 2**32 - 2, 2**32 - 1]
    words = np.concatenate([ends, np.random.default_rng(0).integers(0, 2**32, 2000)])
    given, eps = jnp.asarray(words, jnp.uint32), np.finfo(dtype).eps
    u = (words + 0.5) / 2**32
    radius = np.asarray(random._radius(given, jnp.dtype(dtype)), float)
    assert np.all(np.isfinite(radius))
    truth = np.sqrt(-2 * np.log(u))
    # u is rounded to eps/2; d(-2 log u) = 2 du/u, a root halves it and divides by the radius.
    assert np.all(np.abs(radius - truth) <= 4 * eps * truth + np.minimum(eps / truth, eps**0.5))
    angle = 2 * np.pi * (words.astype(np.uint32).view(np.int32) + 0.5) / 2**32
    # Words of 32 bits are rounded to floats: half a rounding of a half turn, and the polynomial.
    np.testing.assert_allclose(random._cosine(given, jnp.dtype(dtype)), np.cos(angle), atol=4 * eps)
    ahead = random._cosine(given + jnp.uint32(2**30), jnp.dtype(dtype))
    np.testing.assert_allclose(ahead, -np.sin(angle), atol=4 * eps)


def test_moments(draws):
    """Six moments within five standard errors, Var X^k = E X^2k - (E X^k)²."""
    moments = {k: 0.0 if k % 2 else float(scipy.special.factorial2(k - 1)) for k in range(1, 13)}
    for k in range(1, 7):
        error = np.sqrt((moments[2 * k] - moments[k] ** 2) / NUM)
        assert abs(np.mean(draws.astype(float) ** k) - moments[k]) < 5 * error


def test_distribution_and_tails(draws):
    flat = draws.ravel().astype(float)
    assert scipy.stats.kstest(flat, "norm").pvalue > 1e-4
    for level in (1.0, 3.0, 4.0, 4.5):
        expected = NUM * scipy.stats.norm.sf(level)
        for count in (np.sum(flat > level), np.sum(flat < -level)):
            assert abs(count - expected) < 5 * np.sqrt(expected) + 1


def test_draws_are_independent_of_each_other(draws):
    """Neighbours, the two of a pair, rows, other keys; squares too, for pairs share a radius."""
    flat = draws.ravel().astype(float)
    key = jax.random.fold_in(jax.random.key(7), 1)
    other = np.asarray(jax.jit(lambda key: random.normal(key, draws.shape, draws.dtype))(key))
    for shifted in (np.roll(flat, 1), np.roll(flat, NUM // 4), np.roll(flat, NUM // 2), other):
        shifted = shifted.ravel().astype(float)
        assert abs(np.mean(flat * shifted)) < 5 / np.sqrt(NUM)
        squares = np.mean((flat**2 - 1) * (shifted**2 - 1))
        assert abs(squares) < 5 * 2 / np.sqrt(NUM)
        # Phases of both must fill the plane evenly.
        angle = np.arctan2(flat, shifted) / (2 * np.pi) + 0.5
        assert scipy.stats.kstest(angle[:200_000], "uniform").pvalue > 1e-4


@pytest.mark.parametrize("shape", [pytest.param((), marks=pytest.mark.slow), (1,), (3, 5), (2, 0)])
def test_shapes_dtypes_and_vmap(shape):
    key = jax.random.key(0)
    for dtype in ("float32", "float64"):
        x = random.normal(key, shape, dtype)
        assert x.shape == shape
        assert x.dtype == dtype
    keys = jax.random.split(key, 3)
    many = jax.vmap(lambda k: random.normal(k, shape))(keys)
    np.testing.assert_array_equal(many[1], random.normal(keys[1], shape))


def test_other_generators_and_dtypes_get_the_draws_of_jax():
    for key, dtype in ((jax.random.key(0, impl="rbg"), "float64"), (jax.random.key(0), "float16")):
        ours, theirs = (f(key, (4,), dtype) for f in (random.normal, jax.random.normal))
        np.testing.assert_array_equal(ours, theirs)
