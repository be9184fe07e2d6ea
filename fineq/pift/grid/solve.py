"""The optimal policy on a grid, and the value of any policy: backwards in t, one program each."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from fineq.arrays import prefer_float64
from fineq.fast.blocks import in_blocks, per_block
from fineq.pift.grid.bellman import BLOCK, Best, Bracket, maximiser
from fineq.pift.grid.density import running
from fineq.pift.grid.posed import Gridded, checked_means
from fineq.pift.grid.tensor import Grid, axis_sigmas, smoothed
from fineq.pift.problem import Problem

TOLERANCE = 1e3  # rounding units by which no point moves when a maximiser is called found


class Curvature(NamedTuple):
    """Extreme eigenvalues of σ ∇²V̄ σ/β over a set of points, V̄ = V̄_{t+1}.

    Attributes:
        lowest: the least; below -1 plain iterations cannot contract.
        highest: the largest; below 1 the step is well posed.
    """

    lowest: Array
    highest: Array

    @property
    def ratio(self) -> Array:
        """The largest in absolute value: a bound of the contraction ratio."""
        return jnp.maximum(-self.lowest, self.highest)


class Optimum(NamedTuple):
    """The solution of the Bellman equation on a grid.

    Attributes:
        value: V_0..V_T, `[T + 1, P]`.
        mean: the optimal means, `[T, P, d]`.
        everywhere: over all means where Y_{t+1} has mass: ρ_t = σ_t² Lip(∇V̄_{t+1})/β_t; `[T]`.
        optimal: at the optimal means from where Y_t has mass: the local contraction; `[T]`.
        residual: `[T]`, largest plain step left there: what Newton's method did not reach.
    """

    value: Array
    mean: Array
    everywhere: Curvature
    optimal: Curvature
    residual: Array

    @property
    def well_posed(self) -> Array:
        """Every step has a unique maximiser: V̄ curves upwards by less than β_t/σ_t² anywhere."""
        return jnp.all(self.everywhere.highest < 1, axis=-1)


class Before(NamedTuple):
    """What a step knows before it begins: the bracket, m0 `[P, d]` and f_t `[P]`."""

    bracket: Bracket
    m0: Array
    running: Array


def prepared(problem: Problem, grid: Grid, t: Array, after: Array) -> Before:
    """The bracket of step t for V_{t+1} = `after [P]`, and what stands beside it."""
    points = grid.points()
    sigma = axis_sigmas(problem.chain.sigmas, grid.d)[t]
    bracket = Bracket(grid, smoothed(grid, after, sigma), sigma, problem.betas[t])
    m0 = jax.vmap(lambda y: problem.chain.mean(t, y))(points)
    return Before(bracket, m0, running(problem, t, points))


def terminal(problem: Problem, grid: Grid) -> Array:
    """V_T = r at the points of the grid, `[P]`."""
    return jax.vmap(problem.reward)(grid.points())


def extremes(bracket: Bracket, means: Array, mask: Array, block: int) -> Curvature:
    """Extreme curvatures over the means `[P, d]` that the mask `[P]` keeps."""

    def at(m: Array, kept: Array) -> Curvature:
        lowest, highest = bracket.curvatures(bracket.jet(m))
        return Curvature(
            jnp.min(jnp.where(kept, lowest, jnp.inf)), jnp.max(jnp.where(kept, highest, -jnp.inf))
        )

    found = per_block(at, block, means, mask)
    return Curvature(jnp.min(found.lowest), jnp.max(found.highest))


def over_region(bracket: Bracket, mask: Array, block: int) -> Curvature:
    """Extreme curvatures over a region of means, at its grid points and half-way between them."""
    grid = bracket.grid
    shifts = 0.5 * jnp.stack(
        jnp.meshgrid(*[jnp.arange(2, dtype=grid.spacing.dtype)] * grid.d), -1
    ).reshape(-1, grid.d)
    points = grid.points()[None] + (shifts * grid.spacing[None])[:, None]
    masks = jnp.tile(mask, shifts.shape[0])
    return extremes(bracket, points.reshape(-1, grid.d), masks, block)


@partial(jax.jit, static_argnames=("block",))
def optimum(problem: Gridded, *, block: int = BLOCK) -> Optimum:
    """Solve the Bellman equation to rounding, backwards in t (`pift/optimality`).

    Args:
        problem: on its grid.
        block: points at once.
    """
    prefer_float64("pift.grid.optimum")
    task, grid, region = problem
    tolerance = TOLERANCE * float(jnp.finfo(region_dtype(grid)).eps)

    def step(after: Array, t: Array) -> tuple:
        bracket, m0, gained = prepared(task, grid, t, after)

        def solve(m0: Array) -> Best:
            return maximiser(bracket, m0, m0, tolerance)

        mean, value, residual = in_blocks(solve, block, m0)
        value = value + gained
        everywhere = over_region(bracket, region[t + 1], block)
        optimal = extremes(bracket, mean, region[t], block)
        left = jnp.max(jnp.where(region[t], residual, 0.0))
        return value, (value, mean, everywhere, optimal, left)

    last = terminal(task, grid)
    times = jnp.arange(problem.num_steps)
    value, *rest = lax.scan(step, last, times, reverse=True)[1]
    return Optimum(jnp.concatenate([value, last[None]]), *rest)


def region_dtype(grid: Grid) -> jnp.dtype:
    """The floating type of a grid."""
    return grid.axes.dtype


@partial(jax.jit, static_argnames=("block",))
def evaluate(problem: Gridded, means: Array, *, block: int = BLOCK) -> Array:
    """V_0..V_T of a policy with means `[T, P, d]`, `[T + 1, P]`.

    Raises:
        InputError: for means of another shape.
    """
    means = checked_means(problem, means)
    task, grid, _ = problem

    def step(after: Array, now: tuple[Array, Array]) -> tuple[Array, Array]:
        t, m = now
        bracket, m0, gained = prepared(task, grid, t, after)
        value = in_blocks(lambda m, m0: bracket.value(bracket.jet(m), m, m0), block, m, m0)
        value = value + gained
        return value, value

    last = terminal(task, grid)
    values = lax.scan(step, last, (jnp.arange(problem.num_steps), means), reverse=True)[1]
    return jnp.concatenate([values, last[None]])
