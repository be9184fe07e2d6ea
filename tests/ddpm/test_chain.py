"""Forward noising and the reverse chain against exact moments."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fineq.ddpm import schedules
from fineq.ddpm.chain import (
    AffineChain,
    ExactScore,
    affine_marginals,
    control_of,
    forward_path,
    gaussian_chain,
    generate,
    mean_of,
    noise,
)
from fineq.ddpm.laws import gaussian, mixture, standard_normal
from fineq.ddpm.schedules import make_schedule

LAW = gaussian([0.7, -0.4], [[1.5, 0.4], [0.4, 0.3]])
NUM = 20_000


def assert_moments(x, mean, covariance):
    """Sample moments of x `[num, d]` within five standard errors of a Gaussian's."""
    num = len(x)
    variances = np.diag(covariance)
    assert np.all(np.abs(x.mean(0) - mean) < 5 * np.sqrt(variances / num))
    error = np.sqrt((np.outer(variances, variances) + np.asarray(covariance) ** 2) / num)
    assert np.all(np.abs(np.cov(x.T) - covariance) < 5 * error)


def test_forward_path_has_the_marginals_of_every_level():
    schedule = make_schedule(schedules.linear(5, 0.05, 0.6))
    x0 = LAW.sample(jax.random.key(0), NUM)
    path = np.asarray(forward_path(jax.random.key(1), x0, schedule))
    assert path.shape == (6, NUM, 2)
    np.testing.assert_array_equal(path[0], x0)
    for k in range(6):
        mean, covariance = LAW.noised(schedule.alpha_bars[5 - k]).moments()
        assert_moments(path[k], mean, covariance)
    # One step alone, X_1 - √α_1 X_0: it must add the noise of forward step 1, not of step T.
    alpha = schedule.alphas[-1]
    assert_moments(path[1] - np.sqrt(alpha) * path[0], np.zeros(2), (1 - alpha) * np.eye(2))


def test_noise_reaches_a_level_in_one_step():
    x0 = LAW.sample(jax.random.key(0), NUM)
    assert_moments(np.asarray(noise(jax.random.key(1), x0, 0.3)), *LAW.noised(0.3).moments())


def test_control_is_the_inverse_of_mean():
    y, u = jnp.array([0.3, -2.0]), jnp.array([1.0, 0.5])
    np.testing.assert_allclose(control_of(mean_of(u, 0.9, y), 0.9, y), u, rtol=1e-13)


def test_gaussian_chain_is_the_mean_of_the_exact_score():
    schedule = make_schedule(schedules.cosine(6))
    A, b = gaussian_chain(LAW, schedule)
    score = ExactScore(LAW, schedule)
    y = jnp.array([0.3, -2.0])
    for t in range(6):
        truth = mean_of(score(t, y), schedule.alphas[t], y)
        # cosine's smallest α is 0.001: division by √α magnifies rounding by 30.
        np.testing.assert_allclose(A[t] @ y + b[t], truth, rtol=1e-12, atol=1e-12)


def test_exact_score_has_the_noise_level_of_its_time():
    law = mixture([0.4, 0.6], [[-1.0], [1.0]], np.full((2, 1, 1), 0.2))
    schedule = make_schedule(schedules.linear(4, 0.1, 0.5))
    score, x = ExactScore(law, schedule), jnp.array([0.3])
    np.testing.assert_array_equal(score(4, x), law.score(x))
    truth = law.noised(np.prod(schedules.linear(4, 0.1, 0.5))).score(x)
    np.testing.assert_allclose(score(0, x), truth, rtol=1e-12)


def test_affine_marginals_against_a_stacked_linear_map():
    """Y_T as one affine function of all the noise, written out without recursion on moments."""
    rng = np.random.default_rng(0)
    A, b = rng.normal(size=(3, 2, 2)), rng.normal(size=(3, 2))
    roots = rng.normal(size=(3, 2, 2))
    mean, root = rng.normal(size=2), rng.normal(size=(2, 2))
    means, covariances = affine_marginals(
        AffineChain(jnp.asarray(A), jnp.asarray(b)),
        jnp.asarray(roots @ np.swapaxes(roots, 1, 2)),
        jnp.asarray(mean),
        jnp.asarray(root @ root.T),
    )
    maps = [A[2] @ A[1] @ A[0] @ root, A[2] @ A[1] @ roots[0], A[2] @ roots[1], roots[2]]
    stacked = np.concatenate(maps, axis=1)
    np.testing.assert_allclose(covariances[3], stacked @ stacked.T, rtol=1e-12)
    truth = A[2] @ (A[1] @ (A[0] @ mean + b[0]) + b[1]) + b[2]
    np.testing.assert_allclose(means[3], truth, rtol=1e-12)
    np.testing.assert_array_equal(covariances[0], root @ root.T)


@pytest.mark.parametrize("variance", ["posterior", "forward"])
def test_generated_paths_have_the_exact_marginals(variance):
    schedule = make_schedule(schedules.linear(8, 0.1, 0.6), variance)
    start = standard_normal(2)
    score = ExactScore(LAW, schedule)
    path = np.asarray(generate(jax.random.key(2), score, schedule, NUM, start))
    noise = np.asarray(schedule.sigmas)[:, None, None] ** 2 * np.eye(2)
    means, covariances = affine_marginals(
        gaussian_chain(LAW, schedule), jnp.asarray(noise), *start.moments()
    )
    for t in range(9):
        assert_moments(path[t], means[t], covariances[t])


def test_many_small_steps_generate_the_data():
    """Both variances tend to the reverse SDE, whose marginals are those of the data."""
    errors = []
    for T in (200, 800):
        schedule = make_schedule(schedules.constant_rate(T, 1e-8), "forward")
        noise = jnp.asarray(np.asarray(schedule.sigmas)[:, None, None] ** 2 * np.eye(2))
        found = affine_marginals(gaussian_chain(LAW, schedule), noise, jnp.zeros(2), jnp.eye(2))
        errors.append(np.abs(found[1][-1] - LAW.moments()[1]).max())
    # First order in the step size: a quarter, up to second order in steps of 18/200.
    assert errors[1] < 0.05
    assert errors[0] / errors[1] == pytest.approx(4, rel=0.2)
