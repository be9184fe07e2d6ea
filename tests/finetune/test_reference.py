"""A reference is the exact policy on its own paths."""

import jax
import jax.numpy as jnp
import numpy as np

from fineq import pift
from fineq.ddpm.laws import gaussian
from fineq.finetune import reference_of
from fineq.finetune.problem import exact_problem
from tests.finetune.exact import chain, gaussian_tuning

LAW = gaussian(np.array([0.5]), np.array([[0.7]]))
REWARD = pift.quadratic(np.array([[-0.4]]), np.array([1.0]))


def test_the_error_of_the_base_is_the_divergence_that_the_optimum_pays():
    """On the same paths both are Σ_t ½ |(m* - m0)/σ_t|²."""
    tuning, instance = gaussian_tuning(LAW, REWARD, 2.0, chain(5))
    arrays = pift.linear_quadratic(instance)
    best = pift.optimum(arrays).policy
    policy = pift.AffineMean(best.F, best.f)
    key = jax.random.key(3)
    found = reference_of(key, tuning, policy, 64)
    paid = pift.simulate(key, exact_problem(tuning), policy, 64).divergence
    error = found.errors(tuning, tuning.base)["error"]
    np.testing.assert_allclose(error, jnp.mean(paid), rtol=1e-10)


def test_paths_answer_to_the_means_and_draws_that_are_kept():
    tuning, instance = gaussian_tuning(LAW, REWARD, 2.0, chain(5))
    best = pift.optimum(pift.linear_quadratic(instance)).policy
    found = reference_of(jax.random.key(1), tuning, pift.AffineMean(best.F, best.f), 8)
    states, draws = found.paths.states, found.paths.draws
    for t in range(5):
        mean = states[t] @ best.F[t].T + best.f[t][None]
        np.testing.assert_allclose(found.means[t], mean, rtol=1e-12)
        after = mean + tuning.sigmas[t] * draws[t]
        np.testing.assert_allclose(states[t + 1], after, rtol=1e-12, atol=1e-12)
