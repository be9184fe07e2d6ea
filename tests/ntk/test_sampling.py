"""Samplers against Gaussian truth, distances against SciPy and closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from fineq.ddpm.laws import gaussian
from fineq.errors import InputError
from fineq.ntk import sampling
from fineq.ntk.forward import alpha, make_process, variance
from fineq.ntk.targets import predictor

NUM = 20_000


@pytest.mark.parametrize("sampler", ["sde", "ddpm"])
def test_exact_score_of_a_gaussian_gives_its_marginal(sampler):
    process = make_process(1.0, T0=0.1, T=3.0)
    mean, covariance = jnp.array([0.5, -0.2]), jnp.array([[0.3, 0.1], [0.1, 0.2]])
    law = gaussian(mean, covariance)
    a, h = alpha(process, process.T), variance(process, process.T)
    keys = jax.random.split(jax.random.key(0), 3)
    noise = jax.random.normal(keys[1], (NUM, 2))
    start = a * law.sample(keys[0], NUM) + jnp.sqrt(h) * noise
    x = np.asarray(sampling.sample(keys[2], process, predictor(process, law), start, 200, sampler))
    a0, h0 = alpha(process, process.T0), variance(process, process.T0)
    # Four standard errors, and steps of 1.7% in t whose weak error is of that order.
    np.testing.assert_allclose(x.mean(0), a0 * mean, atol=4 * x.std() / NUM**0.5 + 0.004)
    truth = a0**2 * covariance + h0 * np.eye(2)
    np.testing.assert_allclose(np.cov(x.T), truth, atol=0.015)


def test_one_step_of_the_chain_is_bayes():
    """X_s given X_t and X_0: mean and variance by conditioning the joint Gaussian."""
    process = make_process(0.7, 1.3, T0=0.2, T=1.5)
    s, t, x0, x = 0.2, 1.5, 0.4, -0.9
    a_s, a_t = (float(alpha(process, u)) for u in (s, t))
    h_s, h_t = (float(variance(process, u)) for u in (s, t))
    cross = a_t / a_s * h_s  # Cov(X_s, X_t | X_0)
    mean = a_s * x0 + cross / h_t * (x - a_t * x0)
    spread = np.sqrt(h_s - cross**2 / h_t)
    key = jax.random.key(3)

    def known(times, states):
        return jnp.full_like(states, x0)

    states = sampling.sample(key, process, known, jnp.full((NUM, 1), x), 1, "ddpm")
    z = jax.random.normal(jax.random.split(key, 1)[0], (NUM, 1))
    np.testing.assert_allclose(states, mean + spread * z, atol=1e-14)


def test_distances():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(300, 1)), 0.5 + 2 * rng.normal(size=(300, 1))
    key = jax.random.key(1)
    found = sampling.sliced_wasserstein(key, jnp.asarray(x), jnp.asarray(y))
    pairs = np.sort(x[:, 0]) - np.sort(y[:, 0])
    assert scipy.stats.wasserstein_distance(x[:, 0], y[:, 0]) <= found  # W1 <= W2
    np.testing.assert_allclose(found, np.sqrt(np.mean(pairs**2)), rtol=1e-12)
    # Shifting by c moves a sample by |c|/√d, root mean square over directions.
    x = jnp.asarray(rng.normal(size=(50, 3)))
    shift = jnp.array([3.0, 0.0, 4.0])
    moved = sampling.sliced_wasserstein(key, x, x + shift[None], 20_000)
    np.testing.assert_allclose(moved, 5 / np.sqrt(3), rtol=0.02)


def test_discrepancy_is_unbiased():
    """Mean over draws against the closed form for Gaussians of equal variance, kernel width 1."""
    rng = np.random.default_rng(2)
    n, shift = 20, 0.8
    draws = jnp.asarray(rng.normal(size=(4000, 2, n, 1)))
    found = jax.vmap(lambda d: sampling.discrepancy(d[0], d[1] + shift, 1.0))(draws)
    truth = 2 / np.sqrt(3) * (1 - np.exp(-(shift**2) / 6))
    assert abs(found.mean() - truth) < 4 * found.std() / np.sqrt(found.size)


def test_bad_input():
    process, start = make_process(), jnp.zeros((4, 1))
    with pytest.raises(InputError, match="at least 1, got 0"):
        sampling.sample(jax.random.key(0), process, lambda t, x: x, start, 0)
    with pytest.raises(InputError, match="sampler must be one of sde, ddpm"):
        sampling.sample(jax.random.key(0), process, lambda t, x: x, start, 3, "ode")


def test_two_rows_have_one_distance():
    assert sampling.median_distance(np.array([[0.0, 0.0], [3.0, 4.0]])) == 5
