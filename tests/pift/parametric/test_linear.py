"""Fitted policy iteration with linear features against the exact sweeps of LQ problems."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fineq.errors import InputError
from fineq.pift import lq
from fineq.pift.parametric import linear
from fineq.pift.parametric.error import reference_on_paths
from fineq.pift.parametric.features import (
    Scale,
    fourier,
    polynomial,
    radial,
    separate,
    standard_scale,
)
from fineq.pift.parametric.linear import (
    LinearCostate,
    LinearSweeps,
    least_squares,
    regress,
)
from fineq.pift.parametric.paths import costate_of, rollout
from fineq.pift.problem import AffineMean
from tests.pift.parametric.common import diffusion, general, optimal


def unit_scale(T, d):
    return Scale(jnp.zeros((T, d)), jnp.ones((T, d)))


def exact_draws(problem, seed=0):
    """Starts and noise whose sample means are zero and covariances I: LQ expectations are exact."""
    T, d = problem.num_steps, problem.d
    columns = (T + 1) * d
    N = 2 * columns
    rng = np.random.default_rng(seed)
    Q = np.linalg.qr(np.c_[np.ones(N), rng.normal(size=(N, columns))])[0][:, 1:] * np.sqrt(N)
    draws = Q.reshape(N, T + 1, d).transpose(1, 0, 2)
    mean, covariance = problem.chain.start.moments()
    y0 = np.asarray(mean) + draws[0] @ np.linalg.cholesky(covariance).T
    return jnp.asarray(y0), jnp.asarray(draws[1:])


@pytest.mark.slow
@pytest.mark.parametrize("make", [diffusion, general])
@pytest.mark.parametrize("target", ["raw", "quiet", "landing"])
def test_with_exact_expectations_a_fit_is_an_exact_sweep(make, target):
    """Every target is linear in uncorrelated draws, so least squares finds its exact slope."""
    problem = make()
    arrays = lq.linear_quadratic(problem)
    state = linear.start(problem, polynomial(unit_scale(problem.num_steps, 2), 1))
    exact = lq.pretrained(arrays)
    y0, z = exact_draws(problem)
    for _ in range(3):
        paths = rollout(problem, state, y0, z)
        fit = regress(problem, state, paths, target)
        state = LinearCostate(state.features, fit.coefficients)
        exact = lq.policy_iteration(arrays, exact)[0]
        wanted = costate_of(problem, AffineMean(*exact))
        y = jnp.array([0.7, -0.4])
        for t in range(problem.num_steps):
            # Rounding, times condition numbers of S_t and of the features of at most 1e3.
            np.testing.assert_allclose(state(t, y), wanted(t, y), rtol=1e-9, atol=1e-10)


def sweep_error(problem, target, num_paths, seeds, sweeps):
    """Mean control error after some sweeps from the pre-trained policy."""
    features = polynomial(standard_scale(jax.random.key(9), problem), 1)
    reference = reference_on_paths(jax.random.key(1), problem, optimal(problem), 200)
    kernel = LinearSweeps(num_paths, target=target).step

    @jax.jit
    def one(key):
        state = linear.start(problem, features)

        def sweep(k, state):
            return kernel(jax.random.fold_in(key, k), state, problem)[0]

        return reference.error(problem, jax.lax.fori_loop(0, sweeps, sweep, state))

    keys = jax.random.split(jax.random.key(2), seeds)
    return np.mean([one(key) for key in keys])


@pytest.mark.slow
def test_statistical_error_of_raw_targets_falls_as_one_over_the_batch():
    """The squared error is a variance over N: its exponent is -1.

    Each error is known to 10% from 12 seeds, the exponent to 0.05.
    """
    problem = diffusion(6)
    sizes = np.array([64, 1024])
    errors = [sweep_error(problem, "raw", int(n), 12, 5) for n in sizes]
    slope = np.polyfit(np.log(sizes), np.log(errors), 1)[0]
    assert abs(slope + 1) < 0.2


@pytest.mark.slow
def test_landing_targets_reach_the_optimum_to_rounding_with_few_paths():
    """Their noise vanishes with the error, so a batch of 64 stops nothing."""
    errors = [sweep_error(diffusion(6), "landing", 128, 2, sweeps) for sweeps in (3, 60)]
    assert errors[0] > 1e-9  # it has something left to do
    assert errors[1] < 1e-22


def test_least_squares_is_numpys_also_where_features_depend_on_each_other():
    rng = np.random.default_rng(0)
    phi, target = rng.normal(size=(30, 4)), rng.normal(size=(30, 2))
    phi = np.c_[phi, phi[:, 0] + phi[:, 1]]
    fit = least_squares(jnp.asarray(phi), jnp.asarray(target))
    expected = np.linalg.lstsq(phi, target, rcond=None)[0]
    np.testing.assert_allclose(fit.coefficients, expected, atol=1e-12)
    assert fit.rank == 4
    np.testing.assert_allclose(phi[:, :4].T @ np.asarray(fit.residuals), 0, atol=1e-12)


@pytest.mark.parametrize("digits", [3, 6, 9, 12])
def test_least_squares_is_accurate_for_ill_conditioned_features(digits):
    """The error of a backward stable method is ε cond (1 + cond |residual|); here targets lie in
    the span, and 100 ε cond is allowed. Normal equations lose twice the digits.
    """
    rng = np.random.default_rng(1)
    U, _ = np.linalg.qr(rng.normal(size=(50, 5)))
    V, _ = np.linalg.qr(rng.normal(size=(5, 5)))
    phi = U * np.logspace(0, -digits, 5) @ V.T
    truth = rng.normal(size=(5, 1))
    fit = least_squares(jnp.asarray(phi), jnp.asarray(phi @ truth))
    assert fit.rank == 5
    assert np.abs(fit.coefficients - truth).max() < 100 * 10.0**digits * np.finfo(float).eps
    assert np.abs(fit.residuals).max() < 100 * np.finfo(float).eps


@pytest.mark.slow
def test_a_fixed_start_leaves_one_feature_and_says_so():
    problem = general()
    y0 = jnp.broadcast_to(jnp.array([0.2, 0.1]), (50, 2))
    state = linear.start(problem, polynomial(unit_scale(5, 2), 2))
    z = jax.random.normal(jax.random.key(0), (5, 50, 2))
    fit = regress(problem, state, rollout(problem, state, y0, z), "quiet")
    assert fit.rank.tolist() == [1, 6, 6, 6, 6]


def test_polynomials_are_the_monomials():
    scale = Scale(jnp.array([[1.0, 2.0]]), jnp.array([[2.0, 0.5]]))
    features = polynomial(scale, 3)
    y = jnp.array([1.5, 2.25])
    a, b = 0.25, 0.5
    expected = [1, a, b, a * a, a * b, b * b, a**3, a * a * b, a * b * b, b**3]
    np.testing.assert_allclose(features(0, y), expected, rtol=1e-15)
    slope = jax.jacfwd(lambda y: features(0, y))(jnp.array([1.0, 2.0]))
    np.testing.assert_allclose(slope[:3], [[0, 0], [0.5, 0], [0, 2.0]])
    np.testing.assert_allclose(slope[3:], 0)
    assert len(polynomial(unit_scale(1, 4), 3).exponents) == math.comb(7, 3)


def test_fourier_features_estimate_the_gaussian_kernel():
    """Mean of 2 cos(w'x + b) cos(w'y + b) over K draws: standard deviation at most 2/√K."""
    K = 20_000
    features = fourier(jax.random.key(0), unit_scale(1, 2), K, bandwidth=1.5)
    x, y = jnp.array([0.3, -0.2]), jnp.array([-0.5, 0.9])
    found = features(0, x)[3:] @ features(0, y)[3:]
    expected = math.exp(-float(jnp.sum((x - y) ** 2)) / (2 * 1.5**2))
    assert abs(found - expected) < 5 * 2 / math.sqrt(K)
    np.testing.assert_allclose(features(0, x)[:3], [1.0, 0.3, -0.2])


def test_radial_features_are_gaussians_at_their_centers():
    features = radial(jax.random.key(0), unit_scale(1, 1), 5, width=0.7)
    np.testing.assert_allclose(features.centers[:, 0], [-2.5, -1.25, 0, 1.25, 2.5])
    expected = np.exp(-((0.4 - np.array([-2.5, -1.25, 0, 1.25, 2.5])) ** 2) / (2 * 0.49))
    np.testing.assert_allclose(features(0, jnp.array([0.4]))[2:], expected, rtol=1e-12)


@pytest.mark.slow
def test_separate_features_are_fitted_coordinate_by_coordinate():
    """Each coordinate's fit is NumPy's, on functions of this coordinate alone."""
    features = separate(unit_scale(1, 2), 3, width=0.5)
    rng = np.random.default_rng(0)
    states, wanted = rng.normal(size=(2, 1, 40, 2))

    def phi(x):
        bumps = [np.exp(-((x - c) ** 2) / 0.5) for c in (-2.5, 0.0, 2.5)]
        return np.stack([np.ones_like(x), x, *bumps], -1)

    found = linear.project(features, jnp.asarray(states), jnp.asarray(wanted))
    y = np.array([0.4, -1.0])
    for i in range(2):
        theta = np.linalg.lstsq(phi(states[0, :, i]), wanted[0, :, i])[0]
        np.testing.assert_allclose(found.coefficients[0, :, i], theta, rtol=1e-8)
        np.testing.assert_allclose(found(0, jnp.asarray(y))[i], phi(y[i]) @ theta, rtol=1e-8)


def test_a_ridge_is_least_squares_with_more_rows():
    rng = np.random.default_rng(0)
    phi, target = rng.normal(size=(30, 4)), rng.normal(size=(30, 2))
    rows = np.sqrt(30 * 0.1) * np.eye(4)  # (1/N)|φθ - y|² + 0.1 |θ|²
    more = np.concatenate([phi, rows]), np.concatenate([target, np.zeros((4, 2))])
    found = linear.least_squares(jnp.asarray(phi), jnp.asarray(target), 0.1)
    np.testing.assert_allclose(found.coefficients, np.linalg.lstsq(*more)[0], rtol=1e-10)
    np.testing.assert_allclose(found.residuals, target - phi @ found.coefficients, rtol=1e-10)


@pytest.mark.slow
def test_a_share_goes_that_part_of_the_way():
    problem = diffusion(4)
    state = linear.start(problem, polynomial(unit_scale(4, 2), 1))
    state, _ = LinearSweeps(32).step(jax.random.key(0), state, problem)
    whole, half = (
        LinearSweeps(32, share=s).step(jax.random.key(1), state, problem)[0] for s in (1, 0.5)
    )
    middle = (state.coefficients + whole.coefficients) / 2
    np.testing.assert_allclose(half.coefficients, middle, rtol=1e-12)


def test_radial_functions_in_the_plane_have_drawn_centers():
    features = radial(jax.random.key(0), unit_scale(5, 2), 400)
    assert features.centers.shape == (400, 2)
    # A standard deviation of 1.5, within five standard errors of 800 draws.
    assert float(jnp.std(features.centers)) == pytest.approx(1.5, rel=5 / np.sqrt(2 * 800))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda s: polynomial(s, -1), "degree must be at least 0, got -1"),
        (lambda s: fourier(jax.random.key(0), s, 0), "num must be at least 1, got 0"),
        (lambda s: fourier(jax.random.key(0), s, 1, 0.0), "bandwidth must be above 0"),
        (lambda s: radial(jax.random.key(0), s, 1, -1.0), "width must be above 0"),
        (lambda s: LinearSweeps(1, share=0.0), r"share must lie in \(0, 1\], got 0"),
        (lambda s: LinearSweeps(1, ridge=-1.0), "ridge must be at least 0, got -1"),
        (lambda s: LinearSweeps(0), "num_paths must be at least 1, got 0"),
    ],
)
def test_bad_input_is_named(make, message):
    with pytest.raises(InputError, match=message):
        make(unit_scale(1, 2))
