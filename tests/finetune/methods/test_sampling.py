"""Guidance and best-of-n against loops, sorted samples and the law of a maximum."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fineq.errors import InputError
from fineq.finetune import best_of, guide, kl_bound, rollout
from tests.finetune.common import tuning

KEY = jax.random.key(8)


def test_a_guided_path_is_pushed_by_the_reward_of_the_estimate():
    problem = tuning(num_classes=3)
    paths, found = jax.jit(lambda key: guide(key, problem, 4))(KEY)
    sigmas, label, base = problem.sigmas, paths.label, problem.base
    push = jax.jit(jax.grad(lambda y, t: jnp.sum(problem.reward(base.data(t, y, label), label))))
    mean = jax.jit(lambda y, t: base.mean(t, y, label))
    divergence = 0.0
    for t in range(4):
        y = paths.states[t]
        apart = sigmas[t] ** 2 / 0.7 * push(y, t)
        np.testing.assert_allclose(
            paths.states[t + 1], mean(y, t) + apart + sigmas[t] * paths.draws[t], atol=1e-12
        )
        divergence = divergence + jnp.sum(apart**2, axis=-1) / (2 * sigmas[t] ** 2)
    assert np.all(np.asarray(divergence) > 0)
    np.testing.assert_allclose(found.divergence, divergence, rtol=1e-9)
    np.testing.assert_allclose(found.reward, problem.reward(paths.states[-1], label), rtol=1e-12)


def test_the_best_of_n_is_the_best_of_its_own_class():
    problem = tuning(num_classes=3)
    kept, found = jax.jit(lambda key: best_of(key, problem, 5, 6))(KEY)
    noise = rollout.draw(KEY, problem, 30)
    for i in range(5):
        mine = slice(6 * i, 6 * i + 6)
        label = jnp.full(6, kept.label[i])
        tried = rollout.Noise(noise.start[mine], noise.draws[:, mine], label)
        rewards = problem.reward(rollout.follow(problem, problem.base, tried).states[-1], label)
        np.testing.assert_allclose(found.reward[i], rewards.max(), rtol=1e-10)
        mine = tried.start[int(rewards.argmax())]
        np.testing.assert_allclose(kept.states[0, i], mine, rtol=1e-14)
    np.testing.assert_allclose(found.reward, problem.reward(kept.states[-1], kept.label))
    np.testing.assert_allclose(found.divergence, np.log(6) - 5 / 6)


@pytest.mark.parametrize("n", [1, 2, 16])
def test_the_bound_is_the_divergence_of_a_maximum_without_ties(n):
    # The largest of n uniform numbers has density n u^(n-1), so the divergence is E log n U^(n-1).
    u = (np.arange(200_000) + 0.5) / 200_000
    density = n * u ** (n - 1)
    # A midpoint rule on a function with a logarithm at 0 that u^(n-1) tames: 1e-5 is ample.
    np.testing.assert_allclose(kl_bound(n), np.mean(density * np.log(density)), atol=1e-5)


def test_less_than_one_of_anything_is_refused():
    problem = tuning()
    with pytest.raises(InputError, match="n must be at least 1, got 0"):
        best_of(KEY, problem, 3, 0)
    with pytest.raises(InputError, match="number of paths must be at least 1, got 0"):
        guide(KEY, problem, 0)
