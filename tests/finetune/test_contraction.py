"""Curvatures along the chain: exact in linear-quadratic problems, by quadrature on a mixture."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import norm

from fineq import pift
from fineq.ddpm import gaussian, mixture
from fineq.errors import InputError
from fineq.finetune.contraction import curvatures, spectral_radius
from fineq.finetune.rollout import simulate
from fineq.keys import key_for
from fineq.pift import lq, rewards
from tests.finetune.exact import best_affine, chain, gaussian_tuning, mixture_tuning

KEY = jax.random.key(8)
LAW = gaussian([0.5, -0.3], [[1.2, 0.3], [0.3, 0.5]])
REWARD = rewards.quadratic([[-0.5, 0.1], [0.1, 0.3]], [1.0, 0.0])
measure = jax.jit(curvatures, static_argnames=("num", "continuations", "num_iterations"))


def test_the_radius_of_each_block_is_its_largest_eigenvalue_whatever_the_sign():
    H = jnp.asarray([np.diag([-3.0, 1.0]), [[2.0, 1.0], [1.0, 2.0]], np.zeros((2, 2))])
    v = jax.random.normal(KEY, (3, 2))
    found = spectral_radius(lambda v: jnp.einsum("bij,bj->bi", H, v), v, 60)
    # The smaller eigenvalues are a third: 3^-60 is left of them.
    np.testing.assert_allclose(found, [3, 3, 0], rtol=1e-12, atol=1e-300)


def test_the_best_policy_of_a_linear_quadratic_problem_bends_as_its_riccati_says():
    schedule = chain(5)
    tuning, instance = gaussian_tuning(LAW, REWARD, 1.0, schedule)
    policy, _ = best_affine(instance, schedule)
    times = jnp.arange(5)
    # Returns are quadratic in the state under any noise: one continuation says it all.
    found = measure(KEY, tuning, policy, times, num=2, continuations=1, num_iterations=80)
    exact = lq.optimum(pift.linear_quadratic(instance)).ratios
    # 80 steps with eigenvalues of ratio 0.6 or less.
    np.testing.assert_allclose(found.ratios(tuning.beta), exact, rtol=1e-9)
    np.testing.assert_allclose(found.threshold, jnp.max(exact), rtol=1e-9)
    np.testing.assert_array_equal(found.times, times)


@pytest.mark.slow
def test_on_a_mixture_the_pretrained_values_bend_as_quadrature_says():
    law = mixture([0.4, 0.6], [[-1.0], [1.0]], [[[0.3]], [[0.2]]])
    reward = rewards.Wave(jnp.ones(1), jnp.asarray(1.0), jnp.asarray(0.2), jnp.asarray(0.3))
    schedule = chain(4)
    tuning, instance = mixture_tuning(law, reward, 0.6, schedule)
    times = jnp.asarray([0, 2, 3])
    found = measure(KEY, tuning, tuning.base, times, num=2, continuations=8000, num_iterations=2)
    x = np.linspace(-8, 8, 801)
    h = x[1] - x[0]
    V = np.asarray(jax.vmap(reward)(x[:, None]))
    key = key_for(KEY, "paths whose states are looked at")
    states = simulate(key, tuning, tuning.base, 2).states
    for t in (3, 2, 1, 0):
        if t in times:
            k = int(np.flatnonzero(times == t)[0])
            bend = np.interp(np.asarray(states[t + 1, :, 0]), x[1:-1], np.diff(V, 2) / h**2)
            exact = float(schedule.sigmas[t]) ** 2 * np.abs(bend)
            # Interpolation errs by h² = 4e-4. At the last step there is nothing to average; before
            # it, second derivatives of returns differ by 1 or so among 8000 continuations.
            slack = 2e-3 if t == 3 else 4 / np.sqrt(8000)
            np.testing.assert_allclose(found.curvature[k], exact, atol=slack)
        mean = np.asarray(jax.vmap(lambda y, t=t: instance.chain.mean(t, y))(x[:, None]))
        V = norm.pdf(x[None], mean, float(schedule.sigmas[t])) * h @ V


def test_counts_below_one_are_refused():
    tuning, _ = gaussian_tuning(LAW, REWARD, 1.0, chain(2))
    with pytest.raises(InputError, match="continuations must be at least 1, got 0"):
        curvatures(KEY, tuning, tuning.base, jnp.arange(2), continuations=0)
