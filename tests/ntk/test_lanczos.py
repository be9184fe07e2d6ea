"""The Krylov path against the spectral one, which other tests compare with loops and SciPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fineq.errors import InputError, ResourceError
from fineq.ntk import lanczos, spectral
from fineq.ntk.accuracy import error_bounds
from fineq.ntk.tangent import gram
from tests.ntk.small import D, N, make_problem


@pytest.fixture(scope="module")
def problem():
    return make_problem()


@pytest.fixture(scope="module")
def exact(problem):
    return spectral.spectrum_at(problem[0])


@pytest.fixture(scope="module")
def space(problem):
    probes = lanczos.draw_probes(jax.random.key(2), N, 2)
    return lanczos.krylov(gram(problem[0]), problem[1], 20, probes)


def rms(x):
    return np.sqrt(np.mean(np.square(x), axis=1))


@pytest.mark.slow
def test_every_way_to_hold_the_matrix_agrees(problem, space):
    z, labels = problem
    probes = lanczos.draw_probes(jax.random.key(2), N, 2)
    eta = 0.3
    stored = spectral.descend(space.spectrum, labels, eta, 300.0).fitted
    blocked = lanczos.krylov_at(z, labels, 20, probes, storage="blocked", block=37)
    np.testing.assert_allclose(
        spectral.descend(blocked.spectrum, labels, eta, 300.0).fitted, stored, atol=1e-11
    )
    np.testing.assert_allclose(blocked.trace, space.trace, rtol=1e-13)
    halved = lanczos.krylov_at(z, labels, 20, probes, storage="float32")
    assert halved.spectrum.vectors.dtype == jnp.float64
    change = spectral.descend(halved.spectrum, labels, eta, 300.0).fitted - stored
    bound = error_bounds(halved, eta, 300.0).fitted
    assert np.all(rms(change) <= bound)
    assert np.all(bound < 1e-4)


def test_stored_gram_and_products_in_mixed_precision(problem):
    z, labels = problem
    K = np.asarray(gram(z))
    np.testing.assert_allclose(lanczos.stored_gram(z), K, atol=1e-14)
    half = lanczos.stored_gram(z, "float32")
    # Sums in float32 would lose 1e-6 here.
    expected = np.asarray(half, np.float64) @ np.asarray(labels)
    np.testing.assert_allclose(lanczos.multiply(half, labels), expected, rtol=1e-12, atol=1e-12)


def test_ritz_values_are_eigenvalues_within_their_residuals(exact, space):
    values, vectors = space.spectrum
    np.testing.assert_allclose(vectors.T @ vectors, np.eye(len(values)), atol=1e-12)
    nearest = np.min(np.abs(exact.values[None, :] - values[:, None]), axis=1)
    assert np.all(nearest <= space.residuals + 1e-14)
    # Interlacing: never above the eigenvalue of the same rank.
    assert np.all(values <= exact.values[: len(values)] + 1e-14)
    np.testing.assert_allclose(values[:8], exact.values[:8], rtol=1e-10)
    np.testing.assert_allclose(space.trace, np.sum(exact.values), rtol=1e-13)


@pytest.mark.slow
def test_a_space_that_is_exhausted(problem):
    # Three points, two of them equal, columns equal and zero: nothing left after two products.
    z = jnp.array([[1.0, 0.2], [1.0, 0.2], [0.3, 1.0]])
    column = jnp.array([1.0, 3.0, 0.0])
    labels = jnp.stack([column, column, jnp.zeros(3)], axis=1)
    space = lanczos.krylov(gram(z), labels, 6)
    ours = spectral.descend(space.spectrum, labels, 0.5, jnp.array([4.0, 1e4]))
    truth = spectral.descend(spectral.spectrum_at(z), labels, 0.5, jnp.array([4.0, 1e4]))
    np.testing.assert_allclose(ours.fitted, truth.fitted, atol=1e-11)
    np.testing.assert_allclose(ours.norm, truth.norm, atol=1e-11)
    assert np.all(error_bounds(space, 0.5, jnp.array([4.0, 1e4])).converged)


def test_more_products_than_points_leave_no_false_bound():
    rng = np.random.default_rng(4)
    Q = np.linalg.qr(rng.normal(size=(12, 12)))[0]
    exact = np.linspace(0.5, 3, 12)  # of A = K/N, far from 0
    space = lanczos.krylov(12 * (Q * exact) @ Q.T, rng.normal(size=12), 16)
    nearest = np.min(np.abs(exact - np.asarray(space.spectrum.values)[:, None]), axis=1)
    # Twelve vectors fill the space; the others are none, and say nothing.
    np.testing.assert_array_equal(np.isinf(space.residuals), np.arange(16) >= 12)
    assert np.all(nearest <= space.residuals + 1e-13)


def test_a_matrix_that_is_no_gram_matrix_has_a_sentence(problem):
    with pytest.raises(InputError, match="K must be symmetric, but two entries that mirror"):
        lanczos.krylov([[1.0, 5.0], [0.0, 1.0]], np.ones(2), 1)
    with pytest.raises(InputError, match="K must be finite"):
        lanczos.krylov([[1.0, np.nan], [np.nan, 1.0]], np.ones(2), 1)
    K = np.array(gram(problem[0]))
    K[3, 150] *= 1 + 1e-15
    assert np.isfinite(lanczos.krylov(K, problem[1], 2).trace)


@pytest.mark.slow
def test_seeds_in_one_program_equal_one_by_one(problem):
    many = jax.random.normal(jax.random.key(5), (3, N, D))

    def fit(z):
        space = lanczos.krylov(gram(z), problem[1], 6)
        return (
            spectral.descend(space.spectrum, problem[1], 0.2, 30.0).fitted,
            error_bounds(space, 0.2, jnp.array([30.0])).fitted,
        )

    together = jax.jit(jax.vmap(fit))(many)
    for seed, z in enumerate(many):
        for one, all_of_them in zip(fit(z), together):
            np.testing.assert_allclose(all_of_them[seed], one, rtol=1e-9, atol=1e-12)


def test_bad_input_and_too_little_memory_have_a_sentence(problem):
    z, labels = problem
    with pytest.raises(InputError, match="products must be at least 1"):
        lanczos.krylov(gram(z), labels, 0)
    with pytest.raises(InputError, match="as many as the 160 points"):
        lanczos.krylov_at(z, labels[1:], 6)
    with pytest.raises(InputError, match="storage must be one of"):
        lanczos.krylov_at(z, labels, 6, storage="disk")
    with pytest.raises(ResourceError, match="or 'blocked'"):
        lanczos.krylov_at(z, labels, 6, available=8 * N * N)
    with pytest.raises(ResourceError, match="fewer products"):
        lanczos.krylov_at(z, labels, 6, storage="blocked", available=8 * N)
