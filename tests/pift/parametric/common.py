"""Small problems with every ingredient."""

import jax
import jax.numpy as jnp
import numpy as np

from fineq.ddpm.laws import gaussian
from fineq.ddpm.schedules import linear_rate, make_schedule
from fineq.pift import lq
from fineq.pift.parametric.paths import costate_of
from fineq.pift.problem import AffineMean, Chain, Problem, ddpm_chain, make_problem
from fineq.pift.rewards import RunningQuadratic, quadratic


def diffusion(num_steps=8, beta=2.0):
    """Fine-tuning Gaussian data in the plane towards a point: linear-quadratic."""
    law = gaussian([0.5, -0.3], [[0.8, 0.2], [0.2, 0.5]])
    chain = ddpm_chain(law, make_schedule(linear_rate(num_steps)))
    return make_problem(chain, quadratic(-jnp.array([[0.6, 0.1], [0.1, 0.3]]), [1.0, 1.0]), beta)


def general(num_steps=5, seed=0) -> Problem:
    """Affine means, matrix noise, prices that vary, a running reward: linear-quadratic."""
    rng = np.random.default_rng(seed)
    T, d = num_steps, 2
    A = np.eye(d) + 0.2 * rng.normal(size=(T, d, d))
    sigmas = 0.4 * np.eye(d) + 0.1 * rng.normal(size=(T, d, d))
    mean = AffineMean(jnp.asarray(A), jnp.asarray(0.2 * rng.normal(size=(T, d))))
    P = -0.2 * np.broadcast_to(np.eye(d), (T, d, d))
    running = RunningQuadratic(
        jnp.asarray(P), jnp.asarray(0.1 * rng.normal(size=(T, d))), jnp.zeros(T)
    )
    chain = Chain(mean, jnp.asarray(sigmas), gaussian([0.3, 0.1], 0.5 * np.eye(d)))
    reward = quadratic(-0.5 * np.eye(d), [1.0, -0.5])
    return make_problem(chain, reward, 1.0 + 0.3 * rng.uniform(size=T), running)


def suboptimal(problem, seed=1):
    """An affine policy off the optimum: as lq.Policy and as a costate."""
    best = lq.optimum(lq.linear_quadratic(problem)).policy
    keys = jax.random.split(jax.random.key(seed))
    F = best.F + 0.1 * jax.random.normal(keys[0], best.F.shape)
    f = best.f + 0.1 * jax.random.normal(keys[1], best.f.shape)
    return lq.Policy(F, f), costate_of(problem, AffineMean(F, f))


def optimal(problem):
    """The exact optimum as a costate."""
    policy = lq.optimum(lq.linear_quadratic(problem)).policy
    return costate_of(problem, AffineMean(*policy))
