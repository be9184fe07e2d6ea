"""Random systems: their norms after normalising, and the spectral radius against NumPy."""

from operator import itemgetter

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from chex import assert_trees_all_close

from fineq.errors import InputError
from fineq.nlqr.features import Sine, Zero
from fineq.nlqr.random_systems import normalise, random_system, spectral_norm, spectral_radius


@pytest.mark.parametrize("n", [1, 2, 3, 8, 32])
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-13), (np.float32, 1e-4)])
def test_spectral_radius_of_gaussian_matrices(n, dtype, tolerance):
    M = np.random.default_rng(n).normal(size=(50, n, n)).astype(dtype)
    truth = np.abs(np.linalg.eigvals(M.astype(float))).max(axis=-1)
    # About 1000 rounding units: the eigenvalues' condition numbers are below 100 here.
    np.testing.assert_allclose(jax.vmap(spectral_radius)(jnp.asarray(M)), truth, rtol=tolerance)


@pytest.mark.parametrize(
    ("M", "radius"),
    [
        (np.diag([0.5, -0.9]), 0.9),
        (np.array([[0.0, 1.0], [0.0, 0.0]]), 0.0),
        (np.zeros((3, 3)), 0.0),
        (0.7 * np.array([[0.6, -0.8], [0.8, 0.6]]), 0.7),
        (np.array([[0.5, 1e6], [0.0, 0.4]]), 0.5),
        (np.array([[1.0, 1.0], [0.0, 1.0]]), 1.0),
        (1e-200 * np.eye(2), 1e-200),
        (1e200 * np.eye(2), 1e200),
        (np.array([[0.0, 4.0], [1.0, 0.0]]), 2.0),
    ],
)
def test_spectral_radius_in_closed_form(M, radius):
    # 1e200: logarithms near 460 carry an absolute error of 460 rounding units of 1.
    assert float(spectral_radius(jnp.asarray(M))) == pytest.approx(radius, rel=1e-12, abs=0)


def test_spectral_radius_of_bad_numbers_is_not_a_number():
    assert np.isnan(spectral_radius(jnp.array([[jnp.nan, 0], [0, 1.0]])))
    assert np.isnan(spectral_radius(jnp.array([[jnp.inf, 0], [0, 1.0]])))


def numpy_norm(M):
    return np.linalg.norm(np.asarray(M), 2)


@pytest.mark.parametrize("size", [1.0, 0.6])
def test_normalisations(size):
    key = jax.random.key(11)
    draw = lambda how: random_system(key, Zero(4), n=3, p=2, normalisation=how, size=size)  # noqa: E731
    own, joint, radius = draw("own"), draw("joint"), draw("radius")
    assert [M.shape for M in (own.A, own.B, own.C)] == [(3, 3), (3, 2), (3, 4)]
    for M in (own.A, own.B, own.C):
        assert numpy_norm(M) == pytest.approx(size, rel=1e-14)
    whole = np.concatenate([joint.A, joint.B, joint.C], axis=1)
    assert numpy_norm(whole) == pytest.approx(size, rel=1e-14)
    assert np.abs(np.linalg.eigvals(radius.A)).max() == pytest.approx(size, rel=1e-12)
    # The three readings scale the same draws; `radius` leaves B and C alone.
    for name in ("A", "B", "C"):
        a, b, c = (np.asarray(getattr(s, name)) for s in (own, joint, radius))
        np.testing.assert_allclose(a / numpy_norm(a), b / numpy_norm(b), rtol=1e-12)
        np.testing.assert_allclose(a / numpy_norm(a), c / numpy_norm(c), rtol=1e-12)
    assert numpy_norm(radius.B) == pytest.approx(
        numpy_norm(jax.random.normal(jax.random.split(key, 3)[1], (3, 2)))
    )


def test_entries_are_standard_normal_before_normalising():
    keys = jax.random.split(jax.random.key(0), 2000)
    draw = lambda k: random_system(k, Sine(), n=2, p=2, normalisation="radius").C  # noqa: E731
    C = np.asarray(jax.vmap(draw)(keys))
    # 8000 entries: mean within 5/√8000, variance within 5√(2/8000).
    assert abs(C.mean()) < 0.056
    assert abs(C.var() - 1) < 0.08


def test_pure_in_the_key_under_jit_and_vmap():
    draw = lambda k, s: random_system(k, Sine(), n=3, p=3, normalisation="radius", size=s, scale=s)  # noqa: E731
    keys, sizes = jax.random.split(jax.random.key(5), 3), jnp.array([0.5, 0.8, 0.9])
    batch = jax.jit(jax.vmap(draw))(keys, sizes)
    for i in range(3):
        member = jax.tree.map(itemgetter(i), batch)
        assert_trees_all_close(member, draw(keys[i], sizes[i]), rtol=1e-13)
    np.testing.assert_array_equal(batch.scale, sizes)


def test_dtype_costs_and_empty_features():
    small = random_system(
        jax.random.key(0), Sine(), n=2, p=1, normalisation="own", scale=jnp.float32(1.0)
    )
    assert {leaf.dtype for leaf in jax.tree.leaves(small)} == {jnp.dtype(jnp.float32)}
    plain = random_system(
        jax.random.key(0), Zero(0), n=2, p=1, normalisation="own", Q=jnp.ones((2, 2))
    )
    assert plain.C.shape == (2, 0)
    np.testing.assert_array_equal(plain.Q, np.ones((2, 2)))
    np.testing.assert_array_equal(plain.R, np.eye(1))
    assert spectral_norm(jnp.zeros((2, 0))) == 0


def test_bad_options_are_refused():
    with pytest.raises(InputError, match="one of radius, own, joint, got 'frobenius'"):
        normalise(jnp.eye(2), jnp.eye(2), jnp.eye(2), "frobenius")  # pyright: ignore
    with pytest.raises(InputError, match="n = 0"):
        random_system(jax.random.key(0), Sine(), n=0, p=1, normalisation="own")
