"""The frontier against the closed form of Gaussian data, a NumPy loop, and its own slope."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fineq.finetune.frontier import ideal_frontier
from fineq.finetune.weights import Weighed

BETAS = jnp.asarray([1.0, 2.0, 5.0])


def paths(rewards, log_ratio=None):
    """Paths by their rewards `[C, S, inner]` alone."""
    r = jnp.asarray(rewards)
    ratio = jnp.zeros_like(r) if log_ratio is None else jnp.asarray(log_ratio)
    return Weighed(r, jnp.zeros_like(r), ratio, r[..., None])


def gaussian(seed, shape=(1, 4000, 1), scale=1.3):
    """Rewards 0.4 + scale N(0, 1): a linear reward of Gaussian data."""
    return 0.4 + scale * np.random.default_rng(seed).normal(size=shape)


def test_gaussian_rewards_have_the_closed_form():
    found = jax.jit(ideal_frontier)(paths(gaussian(0, (1, 20_000, 1))), BETAS)
    # Tilting N(m, v) by e^{r/b} moves its mean by v/b, at a divergence of v/(2b²).
    exact = (0.4 + 1.69 / BETAS, 1.69 / (2 * BETAS**2))
    for of, truth in zip((found.reward, found.divergence), exact, strict=True):
        # Two and a half half widths are about five standard errors.
        assert np.all(np.abs(of.value - truth) < 2.5 * (of.high - of.value))
        assert np.all(of.high - of.value < 0.1)


def test_coordinates_are_those_of_a_loop():
    r = gaussian(1, (2, 5, 3))
    log_ratio = 0.3 * np.random.default_rng(2).normal(size=r.shape)
    found = ideal_frontier(paths(r, log_ratio), BETAS)
    for k, b in enumerate(np.asarray(BETAS)):
        rewards, masses = [], []
        for c in range(2):
            w = np.exp(r[c] / b + log_ratio[c])
            means = w.mean(1) / w.mean()
            rewards.append((w * r[c]).sum() / w.sum())
            masses.append(np.log(w.mean()) + means.var(ddof=1) / 10)
        np.testing.assert_allclose(found.reward.value[k], np.mean(rewards), rtol=1e-12)
        expected = np.mean(rewards) / b - np.mean(masses)
        np.testing.assert_allclose(found.divergence.value[k], expected, rtol=1e-11)


def test_intervals_are_those_of_leaving_starts_out_one_by_one():
    r = gaussian(3, (1, 400, 2))
    found = ideal_frontier(paths(r), BETAS)
    without = [np.delete(r[0], i, axis=0) for i in range(400)]
    for k, b in enumerate(np.asarray(BETAS)):
        w = [np.exp(x / b) for x in without]
        rewards = np.array([(v * x).sum() / v.sum() for v, x in zip(w, without, strict=True)])
        divergences = rewards / b - np.log([v.mean() for v in w])
        for of, left in ((found.reward, rewards), (found.divergence, divergences)):
            error = np.sqrt(399 * left.var())
            # Both are first order in 1/400; at b = 1 some 20 starts carry half of the weight.
            np.testing.assert_allclose((of.high - of.value)[k], 1.96 * error, rtol=0.1)


def test_the_frontier_is_concave_with_slope_b():
    # d E_b r/d KL_b = b, exactly for the weights of any sample.
    betas = jnp.linspace(1.0, 1.001, 3)
    found = ideal_frontier(paths(gaussian(4)), betas)
    r = paths(gaussian(4)).reward
    mass = [jnp.log(jnp.mean(jnp.exp(r / b))) for b in betas]
    kl = found.reward.value / betas - jnp.stack(mass)
    slope = (found.reward.value[2] - found.reward.value[0]) / (kl[2] - kl[0])
    # A central difference over 1e-3 errs by 1e-6, rounding by 1e-12/1e-3.
    np.testing.assert_allclose(slope, betas[1], rtol=1e-5)


@pytest.mark.slow
def test_intervals_cover_as_often_as_they_say():
    run = jax.jit(ideal_frontier)
    found = [run(paths(gaussian(seed, (1, 2000, 1))), BETAS) for seed in range(300)]
    exact = (0.4 + 1.69 / BETAS, 1.69 / (2 * BETAS**2))
    for of, truth in zip(("reward", "divergence"), exact, strict=True):
        each = [getattr(f, of) for f in found]
        hits = np.sum([(e.low < truth) & (truth < e.high) for e in each], axis=0)
        # Of 300 at 95%, 270 or fewer have probability 0.02%.
        assert np.all(hits[1:] >= 270)
        # Weights e^{1.3 z} have long tails, and few of 2000 draws of z lie where they matter.
        assert hits[0] >= 240
