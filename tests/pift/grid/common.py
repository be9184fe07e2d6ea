"""The instances that the tests of the grid share."""

import jax
import jax.numpy as jnp

from fineq.ddpm import laws, schedules
from fineq.pift import problem, rewards
from fineq.pift.grid.tensor import law_bounds, make_grid

STEPS = 6


def gaussian(d, beta=2.0):
    """Gaussian data and a quadratic reward that is concave one way, convex the other."""
    covariance = jnp.array([[0.7, 0.2], [0.2, 0.5]])[:d, :d]
    law = laws.gaussian(jnp.array([0.4, -0.3])[:d], covariance)
    schedule = schedules.make_schedule(schedules.linear_rate(STEPS))
    P = jnp.array([[-0.8, 0.3], [0.3, 0.4]])[:d, :d]
    reward = rewards.quadratic(P, jnp.array([0.5, 0.2])[:d])
    grid = make_grid(*law_bounds(law, schedule), (97, 49)[d - 1])
    return problem.make_problem(problem.ddpm_chain(law, schedule), reward, beta), grid


def wave(num=193, num_steps=STEPS, beta=2.0):
    """Two modes and a reward that is no polynomial."""
    law = laws.mixture([0.5, 0.5], [[-1.5], [1.5]], [[[0.25]], [[0.25]]])
    schedule = schedules.make_schedule(schedules.linear_rate(num_steps))
    reward = rewards.Wave(jnp.array([1.0]), jnp.array(1.0), jnp.array(0.5), jnp.array(0.3))
    grid = make_grid(*law_bounds(law, schedule), num)
    return problem.make_problem(problem.ddpm_chain(law, schedule), reward, beta), grid


def on_grid(grid, value, policy):
    """Quadratic values `[T + 1, P]` and affine means `[T, P, d]` at the points of a grid."""
    points = grid.points()
    values = jax.vmap(lambda q: jax.vmap(q)(points))(value)
    means = jnp.einsum("tij,pj->tpi", policy.F, points) + policy.f[:, None]
    return values, means
