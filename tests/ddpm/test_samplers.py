"""Samplers with exact networks of Gaussian data, whose samples are Gaussian with known moments."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fineq.ddpm import schedules
from fineq.ddpm.chain import gaussian_chain
from fineq.ddpm.laws import gaussian
from fineq.ddpm.samplers import ancestral, ddim
from fineq.ddpm.schedules import make_schedule
from fineq.errors import InputError
from tests.ddpm.exact import COVARIANCE, MEANS, assert_moments, knowing

SCHEDULE = make_schedule(schedules.linear_rate(8))
BARS = np.asarray(SCHEDULE.alpha_bars)
NUM = 20_000
KEY = jax.random.key(0)


def moments_after(steps):
    """Mean and covariance after Y' = A Y + c + s W from N(0, I), steps of (A, c, s)."""
    mean, covariance = np.zeros(2), np.eye(2)
    for A, c, s in steps:
        mean, covariance = A @ mean + c, A @ covariance @ A.T + s**2 * np.eye(2)
    return mean, covariance


def estimate(bar, mean):
    """E[x0 | x] = G x + g of N(mean, Σ): G = √ᾱ Σ (ᾱ Σ + (1 - ᾱ) I)^{-1}."""
    G = np.sqrt(bar) * COVARIANCE @ np.linalg.inv(bar * COVARIANCE + (1 - bar) * np.eye(2))
    return G, mean - np.sqrt(bar) * G @ mean


@pytest.mark.parametrize("prediction", [pytest.param("noise", marks=pytest.mark.slow), "data"])
def test_ancestral_samples_have_the_moments_of_the_chain(prediction):
    chain = gaussian_chain(gaussian(MEANS[2], COVARIANCE), SCHEDULE)
    wanted = moments_after(zip(*map(np.asarray, (*chain, SCHEDULE.sigmas)), strict=True))
    found = ancestral(KEY, knowing(SCHEDULE, prediction), NUM)
    assert_moments(np.asarray(found), *wanted)


@pytest.mark.parametrize(("eta", "stops"), [(0.0, [0, 3, 5, 8]), (0.6, [0, 3, 5, 8])])
def test_ddim_samples_have_the_moments_of_its_own_steps(eta, stops):
    steps = []
    for bar, after in zip(BARS[stops[:-1]], BARS[stops[1:]], strict=True):
        G, g = estimate(bar, MEANS[1])
        s = eta * np.sqrt((1 - bar / after) * (1 - after) / (1 - bar))
        kept = np.sqrt(1 - after - s**2) / np.sqrt(1 - bar)
        A = np.sqrt(after) * G + kept * (np.eye(2) - np.sqrt(bar) * G)
        steps.append((A, (np.sqrt(after) - kept * np.sqrt(bar)) * g, s))
    label = jnp.ones(NUM, jnp.int32)
    found = ddim(KEY, knowing(SCHEDULE, "noise"), NUM, eta=eta, num_steps=3, label=label)
    assert_moments(np.asarray(found), *moments_after(steps))


@pytest.mark.parametrize(
    "prediction", [pytest.param("noise", marks=pytest.mark.slow), "data", "velocity"]
)
def test_ddim_with_all_noise_and_all_steps_is_the_chain_of_posterior_variances(prediction):
    # A schedule puts a floor under the last variance, which is 0.
    bare = SCHEDULE._replace(sigmas=SCHEDULE.sigmas.at[-1].set(0.0))
    chain = ancestral(KEY, knowing(bare, prediction), 50)
    found = ddim(KEY, knowing(SCHEDULE, prediction), 50, eta=1.0)
    # Both draw the same. √ᾱ_T is 0.006: estimates of the data magnify rounding by 160 a time.
    np.testing.assert_allclose(found, chain, rtol=0, atol=1e-10)


def test_without_noise_only_the_start_is_drawn():
    denoiser = knowing(SCHEDULE, "noise")
    found = jax.jit(lambda key: ddim(key, denoiser, 4))(KEY)
    again = ddim(KEY, denoiser, 4, eta=1e-9)
    np.testing.assert_allclose(found, again, atol=1e-6)
    assert np.std(found, axis=0).min() > 0


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda m: ancestral(KEY, m, 0), "samples must be at least 1, got 0"),
        (lambda m: ddim(KEY, m, 2, num_steps=9), "between 1 and the chain's 8, got 9"),
        (lambda m: ddim(KEY, m, 2, label=jnp.zeros(3, int)), r"shape \(2,\), got \(3,\)"),
    ],
)
def test_what_cannot_be_sampled_is_refused(call, said):
    with pytest.raises(InputError, match=said):
        call(knowing(SCHEDULE, "noise"))
