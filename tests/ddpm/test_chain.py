"""Forward noising and the reverse chain against exact moments."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fineq.ddpm import schedules
from fineq.ddpm.chain import (
    ExactScore,
    control_of,
    gaussian_chain,
    generate,
    mean_of,
    noise,
)
from fineq.ddpm.laws import gaussian, mixture, standard_normal
from fineq.ddpm.schedules import make_schedule
from fineq.errors import InputError
from tests.ddpm.exact import assert_moments

LAW = gaussian([0.7, -0.4], [[1.5, 0.4], [0.4, 0.3]])
NUM = 20_000


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


def marginals(chain, sigmas, mean, covariance):
    """Moments of Y_0..Y_T for affine means and scalar noise, one step after the other."""
    means, covariances = [np.asarray(mean)], [np.asarray(covariance)]
    for A, b, sigma in zip(*map(np.asarray, (*chain, sigmas)), strict=True):
        means.append(A @ means[-1] + b)
        covariances.append(A @ covariances[-1] @ A.T + sigma**2 * np.eye(len(b)))
    return np.array(means), np.array(covariances)


@pytest.mark.parametrize("variance", ["posterior", "forward"])
def test_generated_paths_have_the_exact_marginals(variance):
    schedule = make_schedule(schedules.linear(8, 0.1, 0.6), variance)
    start = standard_normal(2)
    score = ExactScore(LAW, schedule)
    path = np.asarray(generate(jax.random.key(2), score, schedule, NUM, start))
    chain = gaussian_chain(LAW, schedule)
    means, covariances = marginals(chain, schedule.sigmas, *start.moments())
    for t in range(9):
        assert_moments(path[t], means[t], covariances[t])


def test_many_small_steps_generate_the_data():
    """Both variances tend to the reverse SDE, whose marginals are those of the data."""
    errors = []
    for T in (200, 800):
        schedule = make_schedule(schedules.constant_rate(T, 1e-8), "forward")
        found = marginals(gaussian_chain(LAW, schedule), schedule.sigmas, np.zeros(2), np.eye(2))
        errors.append(np.abs(found[1][-1] - LAW.moments()[1]).max())
    # First order in the step size: a quarter, up to second order in steps of 18/200.
    assert errors[1] < 0.05
    assert errors[0] / errors[1] == pytest.approx(4, rel=0.2)


def test_what_cannot_be_generated_is_named():
    schedule, start = make_schedule(schedules.linear(3, 0.1, 0.3)), standard_normal(2)
    score = ExactScore(LAW, schedule)
    with pytest.raises(InputError, match="number of paths must be at least 1, got 0"):
        generate(jax.random.key(0), score, schedule, 0, start)
    with pytest.raises(InputError, match=r"score must have shape \(2,\) at a point, got \(\)"):
        generate(jax.random.key(0), lambda t, y: y[0], schedule, 4, start)
    with pytest.raises(InputError, match="x0 must hold real numbers"):
        noise(jax.random.key(0), np.ones(2, complex), 0.5)
    with pytest.raises(InputError, match=r"alpha_bar must have 0 axes, got shape \(2,\)"):
        noise(jax.random.key(0), np.ones(2), np.ones(2))
