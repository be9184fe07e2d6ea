"""PI-FT on a grid: nested, backwards in t with inner iterations, and by whole sweeps.

Source: arXiv 2412.18164 (`pift/linear-convergence`).
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from fineq.errors import InputError
from fineq.pift.grid.bellman import (
    BLOCK,
    RULES,
    Best,
    Bracket,
    Rule,
    improved,
    in_blocks,
    joined,
    maximiser,
)
from fineq.pift.grid.solve import (
    TOLERANCE,
    Curvature,
    Optimum,
    over_region,
    prepared,
    region_dtype,
    terminal,
)
from fineq.pift.grid.tensor import Grid
from fineq.pift.problem import Problem


class Nested(NamedTuple):
    """PI-FT backwards in t, with n inner iterations at each.

    All errors are suprema over where Y_t has mass; i = 0 is the pre-trained mean.

    Attributes:
        value: V_0..V_T of the policy found, `[T + 1, P]`.
        mean: its means, `[T, P, d]`.
        everywhere: curvature of σ ∇²V̄ σ/β for the V_{t+1} found; its `ratio` is ρ_t, `[T]`.
        changes: |m^{i+1} - m^i|, `[T, n]`.
        to_fixed: |m^i - fixed point of the current V_{t+1}|, `[T, n + 1]`.
        to_best: |m^i - m*|, `[T, n + 1]`.
        value_to_fixed: value of the fixed point less that after i iterations, `[T, n + 1]`.
        value_to_best: |V*_t - V_t^i|, `[T, n + 1]`.
        inner_mean: `[T, n + 1, P, d]` if kept, else None.
        inner_value: `[T, n + 1, P]` if kept, else None.
    """

    value: Array
    mean: Array
    everywhere: Curvature
    changes: Array
    to_fixed: Array
    to_best: Array
    value_to_fixed: Array
    value_to_best: Array
    inner_mean: Array | None
    inner_value: Array | None


class _Errors(NamedTuple):
    change: Array
    to_fixed: Array
    to_best: Array
    value_to_fixed: Array
    value_to_best: Array


def check_inner(num_inner: int, rule: str) -> None:
    """Raise `InputError` for no inner iterations or an unknown rule."""
    if num_inner < 1:
        raise InputError(f"num_inner must be at least 1, got {num_inner}")
    if rule not in RULES:
        raise InputError(f"inner rule must be one of {', '.join(RULES)}, got {rule}")


def nested(
    problem: Problem,
    grid: Grid,
    region: Array,
    best: Optimum,
    num_inner: int,
    rule: Rule = "plain",
    *,
    keep: bool = False,
    block: int = BLOCK,
) -> Nested:
    """PI-FT from the pre-trained policy with `num_inner` inner iterations at each t.

    Args:
        problem: with scalar or diagonal σ_t.
        grid: the grid.
        region: where Y_0..Y_T have mass, `[T + 1, P]`.
        best: the optimum of the same problem, against which errors are measured.
        num_inner: n.
        rule: of an inner iteration; see `improved`.
        keep: also return all inner means and values.
        block: points at once.

    Raises:
        InputError: for num_inner < 1 or an unknown rule.
    """
    check_inner(num_inner, rule)
    return _nested(problem, grid, region, best, num_inner, rule, keep, block)


@partial(jax.jit, static_argnums=(4, 5, 6, 7))
def _nested(
    problem: Problem,
    grid: Grid,
    region: Array,
    best: Optimum,
    num_inner: int,
    rule: Rule,
    keep: bool,
    block: int,
) -> Nested:
    tolerance = TOLERANCE * float(jnp.finfo(region_dtype(grid)).eps)

    def step(after: Array, now: tuple) -> tuple:
        t, mask, best_mean, best_value = now
        bracket, m0, gained = prepared(problem, grid, t, after)
        P = m0.shape[0]
        everywhere = over_region(bracket, region[t + 1], block)

        def iterate(m0: Array, best_mean: Array, best_value: Array, mask: Array) -> tuple:
            fixed = maximiser(bracket, m0, best_mean, tolerance)
            targets = fixed, best_mean, best_value
            return _iterations(bracket, m0, targets, mask, rule, everywhere.ratio, num_inner, keep)

        blocks = in_blocks(iterate, block, m0, best_mean, best_value - gained, mask)
        mean, value, errors, *paths = blocks
        value = joined(value, P) + gained
        errors = jax.tree.map(lambda x: jnp.max(x, 0), errors)
        kept = [None if x is None else _unrolled(x, P) for x in paths]
        if kept[1] is not None:
            kept[1] = kept[1] + gained[None]
        return value, (value, joined(mean, P), everywhere, *errors, *kept)

    last = terminal(problem, grid)
    inputs = (jnp.arange(problem.num_steps), region[:-1], best.mean, best.value[:-1])
    value, mean, everywhere, change, *rest = lax.scan(step, last, inputs, reverse=True)[1]
    value = jnp.concatenate([value, last[None]])
    return Nested(value, mean, everywhere, change[:, 1:], *rest)


def _iterations(
    bracket: Bracket,
    m0: Array,
    targets: tuple[Best, Array, Array],
    mask: Array,
    rule: Rule,
    rho: Array,
    num_inner: int,
    keep: bool,
) -> tuple:
    """The inner iterations of a block of points, from m0.

    `targets` are the fixed point of the current V_{t+1}, the optimal mean and the optimal value.
    """
    fixed, best_mean, best_value = targets

    def most(x: Array) -> Array:
        x = x if x.ndim == 1 else jnp.linalg.norm(x, axis=-1)
        return jnp.max(jnp.where(mask, x, 0.0))

    def inner(state: tuple[Array, Array, Array], _: None) -> tuple:
        before, m, _value = state
        jet = bracket.jet(m)
        value = bracket.value(jet, m, m0)
        errors = _Errors(
            most(m - before),
            most(m - fixed.mean),
            most(m - best_mean),
            most(fixed.value - value),
            most(jnp.abs(best_value - value)),
        )
        following = improved(bracket, jet, m, m0, rule, rho)
        return (m, following, value), (errors, (m, value) if keep else None)

    state = (m0, m0, jnp.zeros_like(best_value))
    (mean, _, value), (errors, path) = lax.scan(inner, state, length=num_inner + 1)
    return (mean, value, errors, *(path or (None, None)))


def _unrolled(blocks: Array, M: int) -> Array:
    """`[n, M, ...]` from paths of blocks `[blocks, n, rows, ...]`."""
    moved = jnp.moveaxis(blocks, 1, 0)
    return moved.reshape(moved.shape[0], -1, *moved.shape[3:])[:, :M]


def sweep(
    problem: Problem,
    grid: Grid,
    means: Array,
    rule: Rule = "plain",
    *,
    region: Array | None = None,
    block: int = BLOCK,
) -> tuple[Array, Array]:
    """Whole-trajectory policy iteration: evaluate at all t, then improve at all t.

    Args:
        problem: with scalar or diagonal σ_t.
        grid: the grid.
        means: of the policy, `[T, P, d]`.
        rule: of the improvement; `damped` takes ρ_t over the region.
        region: where Y_0..Y_T have mass, `[T + 1, P]`; None: everywhere.
        block: points at once.

    Returns:
        The improved means, and the values `[T + 1, P]` of the policy that came in.
    """
    check_inner(1, rule)
    if region is None:
        region = jnp.ones((problem.num_steps + 1, means.shape[1]), bool)
    return _sweep(problem, grid, means, region, rule, block)


@partial(jax.jit, static_argnums=(4, 5))
def _sweep(
    problem: Problem,
    grid: Grid,
    means: Array,
    region: Array,
    rule: Rule,
    block: int,
) -> tuple[Array, Array]:
    def step(after: Array, now: tuple) -> tuple:
        t, m = now
        bracket, m0, gained = prepared(problem, grid, t, after)
        rho = jnp.zeros((), after.dtype)
        if rule == "damped":
            rho = over_region(bracket, region[t + 1], block).ratio

        def both(m: Array, m0: Array) -> tuple[Array, Array]:
            jet = bracket.jet(m)
            return bracket.value(jet, m, m0), improved(bracket, jet, m, m0, rule, rho)

        P = m0.shape[0]
        value, better = (joined(x, P) for x in in_blocks(both, block, m, m0))
        value = value + gained
        return value, (value, better)

    last = terminal(problem, grid)
    times = jnp.arange(problem.num_steps)
    values, better = lax.scan(step, last, (times, means), reverse=True)[1]
    return better, jnp.concatenate([values, last[None]])


class Sweeps(NamedTuple):
    """Errors of whole sweeps, suprema over where Y_t has mass.

    Attributes:
        means: what they end with, `[T, P, d]`.
        to_best: |m_t - m*_t| before the first and after every sweep, `[num + 1, T]`.
        gaps: |V*_t - V_t| of the policy before every sweep, `[num, T + 1]`.
        objective_gaps: E V*_0(Y_0) - J of the policy before every sweep, `[num]`.
    """

    means: Array
    to_best: Array
    gaps: Array
    objective_gaps: Array


@partial(jax.jit, static_argnames=("num_sweeps", "rule", "block"))
def sweeps(
    problem: Problem,
    grid: Grid,
    region: Array,
    best: Optimum,
    start: Array,
    num_sweeps: int,
    rule: Rule = "plain",
    *,
    block: int = BLOCK,
) -> Sweeps:
    """`num_sweeps` sweeps from means `start [T, P, d]`; the other arguments as for `nested`."""
    points = grid.points()
    p0 = jnp.exp(jax.vmap(problem.chain.start.log_density)(points)) * grid.cell

    def distance(means: Array) -> Array:
        apart = jnp.linalg.norm(means - best.mean, axis=-1)
        return jnp.max(jnp.where(region[:-1], apart, 0.0), axis=-1)

    def one(means: Array, _: None) -> tuple:
        better, value = _sweep(problem, grid, means, region, rule, block)
        apart = jnp.max(jnp.where(region, jnp.abs(best.value - value), 0.0), axis=-1)
        return better, (distance(better), apart, p0 @ (best.value[0] - value[0]))

    means, (later, gaps, objective_gaps) = lax.scan(one, start, length=num_sweeps)
    to_best = jnp.concatenate([distance(start)[None], later])
    return Sweeps(means, to_best, gaps, objective_gaps)
