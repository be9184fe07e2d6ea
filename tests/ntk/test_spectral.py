"""Spectral kernel gradient descent against loops, SciPy and invariants."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg

from fineq.errors import InputError, ResourceError
from fineq.ntk import memory, spectral
from fineq.ntk.tangent import gram, kernel

N, D = 24, 3


@pytest.fixture(scope="module")
def problem():
    keys = jax.random.split(jax.random.key(0), 3)
    z = jax.random.normal(keys[0], (N, D))
    labels = jax.random.normal(keys[1], (N, 2, 2))
    fresh = jax.random.normal(keys[2], (7, D))
    return z, labels, fresh


@pytest.fixture(scope="module")
def spectrum(problem):
    return spectral.spectrum_at(problem[0])


def loop(K, labels, eta, times):
    f, alpha = np.zeros_like(labels), np.zeros_like(labels)
    found = {0: (f, alpha)}
    for step in range(1, max(times) + 1):
        alpha = alpha - eta / N * (f - labels)
        f = np.tensordot(K, alpha, 1)
        found[step] = (f, alpha)
    return [np.stack(part) for part in zip(*(found[t] for t in times))]


# η λ_max is 0.7 for the first; 1.7 for the second, whose residual changes sign at every step.
@pytest.mark.parametrize("share", [0.35, 0.85])
def test_steps_are_those_of_an_explicit_loop(problem, spectrum, share):
    z, labels, fresh = problem
    eta = share * float(spectral.stability_limit(spectrum.values[0]))
    times = [0, 1, 2, 3, 17, 500]
    path = spectral.descend(spectrum, labels, eta, jnp.array(times))
    K = np.asarray(gram(z))
    fitted, alpha = loop(K, np.asarray(labels), eta, times)
    # 500 steps add up 500 roundings of numbers of order 10.
    np.testing.assert_allclose(path.fitted, fitted, atol=1e-12)
    np.testing.assert_allclose(path.coefficients, alpha, atol=1e-12)
    rest = np.asarray(labels) - fitted
    np.testing.assert_allclose(path.loss, 0.5 * np.mean(rest**2, axis=1), atol=1e-13)
    squared = np.einsum("snij,nm,smij->sij", alpha, K, alpha)
    np.testing.assert_allclose(path.norm**2, squared, atol=1e-11)
    ahead = spectral.predict(fresh, z, path.coefficients, block=5)
    expected = np.einsum("mn,snij->smij", kernel(fresh, z), alpha)
    np.testing.assert_allclose(ahead, expected, atol=1e-12)


def test_flow_is_the_matrix_exponential(problem, spectrum):
    z, labels, _ = problem
    path = spectral.descend(spectrum, labels[..., 0], 0.3, jnp.array([0.0, 2.5, 400.0]), "flow")
    for t, fitted in zip([0.0, 2.5, 400.0], path.fitted):
        left = scipy.linalg.expm(-0.3 * t * np.asarray(gram(z)) / N)
        np.testing.assert_allclose(fitted, labels[..., 0] - left @ labels[..., 0], atol=1e-12)


def test_ridge_solves_the_regularised_system(problem, spectrum):
    z, labels, _ = problem
    eta, time = 0.3, 40.0
    path = spectral.descend(spectrum, labels[:, :, 0], eta, time, "ridge")
    system = np.asarray(gram(z)) + N / (eta * time) * np.eye(N)
    np.testing.assert_allclose(
        path.coefficients[0], np.linalg.solve(system, labels[:, :, 0]), rtol=1e-10, atol=1e-12
    )


@pytest.mark.parametrize("method", ["steps", "flow", "ridge"])
def test_infinite_time_interpolates(problem, spectrum, method):
    z, labels, _ = problem
    path = spectral.descend(spectrum, labels, 0.5, jnp.array([jnp.inf]), method)
    np.testing.assert_allclose(path.fitted[0], labels, atol=1e-11)
    squared = np.einsum(
        "nij,nij->ij", labels, np.linalg.solve(gram(z), labels.reshape(N, -1)).reshape(labels.shape)
    )
    # The condition number of K, below 1e4 here, multiplies rounding.
    np.testing.assert_allclose(path.norm[0] ** 2, squared, rtol=1e-9)
    np.testing.assert_allclose(path.loss, 0, atol=1e-20)


@pytest.mark.parametrize("method", ["steps", "flow", "ridge"])
def test_error_falls_and_norm_grows_along_the_path(spectrum, problem, method):
    times = jnp.concatenate([jnp.zeros(1), jnp.geomspace(1, 1e9, 60), jnp.array([jnp.inf])])
    path = spectral.descend(spectrum, problem[1], 0.5, times, method)
    dof = spectral.degrees_of_freedom(spectrum.values, 0.5, times, method)
    assert np.all(np.diff(path.loss, axis=0) <= 0)
    assert np.all(np.diff(path.norm, axis=0) >= 0)
    assert np.all(np.diff(dof.fitted) >= 0)
    assert dof.fitted[0] == 0
    assert dof.left[0] == N
    assert np.isclose(dof.fitted[-1], N)
    assert np.isclose(dof.left[-1], 0)


def test_degrees_of_freedom_are_traces(problem, spectrum):
    # The columns of the map from labels to fits are the fits to unit labels.
    smoother = spectral.descend(spectrum, jnp.eye(N), 0.4, 50.0).fitted[0]
    dof = spectral.degrees_of_freedom(spectrum.values, 0.4, 50.0)
    np.testing.assert_allclose(dof.fitted[0], np.trace(smoother), rtol=1e-12)
    rest = np.eye(N) - smoother
    np.testing.assert_allclose(dof.left[0], np.trace(rest @ rest), rtol=1e-12)


def test_small_eigenvalues_keep_their_digits():
    # 1 - (1 - x)^τ, taken literally, has no digit left at x = 1e-18 and is zero.
    values = jnp.array([1.0, 1e-9, 1e-18, 1e-300, 0.0])
    for method in ("steps", "flow", "ridge"):
        taken = spectral.filters(values, 0.5, jnp.array([1e3]), method)
        np.testing.assert_allclose(taken.slope[0, 2:], 500.0, rtol=1e-12)
        np.testing.assert_allclose(taken.fitted[0, 2:], 500.0 * values[2:], rtol=1e-12)
        np.testing.assert_allclose(taken.fitted[0, 1], 5e-7, rtol=1e-6)


def test_a_step_that_jumps_to_the_label():
    taken = spectral.filters(jnp.array([2.0]), 0.5, jnp.array([0.0, 1.0, 2.0]))
    np.testing.assert_allclose(taken.left[:, 0], [1, 0, 0], atol=1e-300)


def test_seeds_in_one_program_equal_one_by_one(problem):
    many = jax.random.normal(jax.random.key(5), (3, N, D))

    def fit(z):
        return spectral.descend(spectral.spectrum(gram(z)), problem[1], 0.2, 30.0).fitted

    together = jax.jit(jax.vmap(fit))(many)
    for z, fitted in zip(many, together):
        np.testing.assert_allclose(fitted, fit(z), atol=1e-12)


def test_a_repeated_point_leaves_the_limit_finite():
    z = jnp.array([[1.0, 0.2], [1.0, 0.2], [0.3, 1.0]])
    path = spectral.descend(spectral.spectrum_at(z), jnp.array([1.0, 3.0, 0.0]), 0.5, jnp.inf)
    np.testing.assert_allclose(path.fitted[0], [2, 2, 0], atol=1e-12)


def test_float32_stays_float32(problem):
    z = problem[0].astype(jnp.float32)
    path = spectral.descend(spectral.spectrum_at(z), problem[1].astype(jnp.float32), 0.2, 30.0)
    exact = spectral.descend(spectral.spectrum_at(problem[0]), problem[1], 0.2, 30.0)
    assert path.fitted.dtype == jnp.float32
    np.testing.assert_allclose(path.fitted, exact.fitted, atol=1e-4)


def test_step_size_is_checked_against_the_limit(problem, spectrum):
    limit = float(spectral.stability_limit(spectrum.values[0]))
    with pytest.raises(InputError, match=f"2/λ_max = {limit:.4g}"):
        spectral.descend(spectrum, problem[1], 1.01 * limit, 5.0)
    path = spectral.descend(spectrum, problem[1], 1.01 * limit, jnp.array([0, 4000.0]), force=True)
    assert path.diverged
    assert np.all(path.loss[1] > path.loss[0])
    assert not spectral.descend(spectrum, problem[1], 1.01 * limit, 5.0, "flow").diverged
    # A kernel that is not finite trains to nothing, and that is not "stable".
    nothing = spectrum._replace(values=spectrum.values * jnp.nan)
    for method in ("steps", "flow", "ridge"):
        assert spectral.descend(nothing, problem[1], 0.2, 5.0, method, force=True).diverged
    default = spectral.default_step(jnp.trace(gram(problem[0])) / N)
    assert default <= limit / 2


def test_bad_input_has_a_sentence(problem, spectrum):
    with pytest.raises(InputError, match="as many as the 24 points"):
        spectral.descend(spectrum, problem[1][:-1], 0.1, 5.0)
    with pytest.raises(InputError, match="training times"):
        spectral.descend(spectrum, problem[1], 0.1, -1.0)
    with pytest.raises(InputError, match="step size must be positive"):
        spectral.descend(spectrum, problem[1], 0.0, 1.0)
    with pytest.raises(InputError, match="kind must be one of"):
        spectral.descend(spectrum, problem[1], 0.1, 1.0, "newton")


@pytest.mark.slow
def test_too_many_points_say_what_they_need(problem):
    need = memory.memory_bytes(N, "spectral")
    assert need >= 3 * 8 * N**2
    with pytest.raises(ResourceError, match="take a Krylov space with storage='float64'"):
        spectral.spectrum_at(problem[0], available=need - 1)
    assert memory.memory_bytes(2**14, "stored", 8) == 2 * 2**31
    with pytest.raises(ResourceError, match="needs about 4 GiB, but there are 1 GiB"):
        memory.check_memory(2**14, "stored", 8, 2**30)
