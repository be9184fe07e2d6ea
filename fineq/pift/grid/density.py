"""The law of Y_t under a policy on a grid, by quadrature, and what the policy earns.

p_{t+1}(x) = ∫ p_t(y) N(x; m_t(y), S_t) dy by the trapezoidal rule, whose error is beyond all orders
where the grid resolves σ_t. It shares nothing with the backward recursion but the policy.
"""

from functools import partial
from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp
from jax import Array, lax

from fineq.arrays import shaped
from fineq.fast.blocks import split
from fineq.pift.grid.tensor import Grid, axis_sigmas
from fineq.pift.problem import Problem

BLOCK = 8192


def pretrained(problem: Problem, grid: Grid) -> Array:
    """The means m0_t at the points of the grid, `[T, P, d]`: the policy that changes nothing."""
    points = grid.points()
    return lax.map(
        lambda t: jax.vmap(lambda y: problem.chain.mean(t, y))(points),
        jnp.arange(problem.num_steps),
    )


def pushed(grid: Grid, density: Array, means: Array, sigma: Array) -> Array:
    """Density `[P]` of the next state from that of the present one, `[P]`."""
    chex.assert_shape([density, means], [(grid.num**grid.d,), (grid.num**grid.d, grid.d)])

    def along_axes(m: Array) -> list[Array]:
        scaled = [(grid.axes[i][None] - m[:, i : i + 1]) / sigma[i] for i in range(grid.d)]
        return [
            jnp.exp(-0.5 * z * z) / (sigma[i] * jnp.sqrt(2 * jnp.pi)) for i, z in enumerate(scaled)
        ]

    def add(total: Array, rows: tuple[Array, Array]) -> tuple[Array, None]:
        m, mass = rows
        first, *second = along_axes(m)
        if not second:
            return total + mass @ first, None
        return total + first.T @ (mass[:, None] * second[0]), None

    rows = split(means, BLOCK), split(density, BLOCK, fill="constant")
    total = lax.scan(add, jnp.zeros(grid.shape, density.dtype), rows)[0]
    return total.ravel() * grid.cell


@jax.jit
def densities(problem: Problem, grid: Grid, means: Array) -> Array:
    """Densities of Y_0..Y_T under a policy with means `[T, P, d]`, `[T + 1, P]`.

    Raises:
        InputError: for means of another shape.
    """
    means = shaped("means", means, (problem.num_steps, grid.num**grid.d, grid.d))
    p0 = jnp.exp(jax.vmap(problem.chain.start.log_density)(grid.points()))

    def step(p: Array, now: tuple[Array, Array]) -> tuple[Array, Array]:
        p = pushed(grid, p, *now)
        return p, p

    sigmas = axis_sigmas(problem.chain.sigmas, grid.d)
    later = lax.scan(step, p0, (means, sigmas))[1]
    return jnp.concatenate([p0[None], later])


def mass_outside(grid: Grid, densities: Array) -> Array:
    """Mass of Y_0..Y_T that is not on the grid, `[T + 1]`; below 0 by quadrature error only."""
    return 1 - jnp.sum(densities, -1) * grid.cell


def where_inside(grid: Grid, densities: Array, value: Array, most: float) -> Array:
    """A value of laws that have at most `most` of their mass beyond the grid, else NaN."""
    return jnp.where(jnp.max(mass_outside(grid, densities)) <= most, value, jnp.nan)


@partial(jax.jit, static_argnames=("share",))
def carried(densities: Array, grid: Grid, share: float = 1e-10) -> Array:
    """Where a law has mass: the boxes outside which no density exceeds `share` of its largest.

    Args:
        densities: `[..., P]`.
        grid: the grid.
        share: of the largest density.

    Returns:
        Masks `[..., P]`.
    """
    above = densities > share * jnp.max(densities, -1, keepdims=True)
    above = above.reshape(*above.shape[:-1], *grid.shape)
    lead = above.ndim - grid.d
    inside = jnp.ones_like(above)
    for i in range(grid.d):
        others = tuple(lead + j for j in range(grid.d) if j != i)
        seen = jnp.any(above, axis=others, keepdims=True)
        before = lax.cummax(seen.astype(jnp.int32), axis=lead + i)
        after = lax.cummax(seen.astype(jnp.int32), axis=lead + i, reverse=True)
        inside = inside & jnp.broadcast_to((before * after) > 0, inside.shape)
    return inside.reshape(densities.shape)


class Outcome(NamedTuple):
    """J = reward - price of a policy, run forward.

    Attributes:
        objective: J.
        reward: E[r(Y_T) + Σ f_t(Y_t)].
        divergences: `[T]`, E KL_t; their sum is the divergence of the path.
        price: Σ β_t E KL_t.
        densities: `[T + 1, P]`, of Y_0..Y_T.
    """

    objective: Array
    reward: Array
    divergences: Array
    price: Array
    densities: Array


@jax.jit
def objective(problem: Problem, grid: Grid, means: Array) -> Outcome:
    """Run a policy with means `[T, P, d]` forward by its densities.

    Raises:
        InputError: for means of another shape.
    """
    points = grid.points()
    p = densities(problem, grid, means)
    sigmas = axis_sigmas(problem.chain.sigmas, grid.d)
    reward = p[-1] @ jax.vmap(problem.reward)(points)

    def at(now: tuple[Array, ...]) -> tuple[Array, Array]:
        t, m, sigma, p = now
        apart = (m - jax.vmap(lambda y: problem.chain.mean(t, y))(points)) / sigma[None]
        return p @ (0.5 * jnp.sum(apart * apart, -1)), p @ running(problem, t, points)

    times = jnp.arange(problem.num_steps)
    kl, gained = lax.map(at, (times, means, sigmas, p[:-1]))
    kl, reward = kl * grid.cell, (reward + jnp.sum(gained)) * grid.cell
    price = problem.betas @ kl
    return Outcome(reward - price, reward, kl, price, p)


def running(problem: Problem, t: Array, points: Array) -> Array:
    """f_t at points `[M, d]`, 0 where there is no running reward, `[M]`."""
    reward = problem.running
    if reward is None:
        return jnp.zeros(points.shape[0], points.dtype)
    return jax.vmap(lambda y: reward(t, y))(points)
