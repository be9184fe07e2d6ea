"""All that is known of regularity on a grid: Lipschitz constants, bounds, ratios, thresholds."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from fineq.iterate import unroll
from fineq.pift.grid import nested, regularity, solve, threshold
from fineq.pift.grid.posed import gridded
from fineq.pift.grid.regularity import Constants
from fineq.pift.grid.sweeps import GridSweeps
from fineq.pift.grid.tensor import Grid, axis_sigmas, smoothed
from fineq.pift.problem import Problem
from fineq.pift.rule import Rule

Numbers = Any  # arrays, of JAX while a program is traced and of NumPy afterwards


class Measures(NamedTuple):
    """One member's numbers; suprema are over where Y_t has mass.

    Bounds are those of `fineq.pift.grid.regularity`, in two strengths: with the constants of the
    smoothed V̄_{t+1}, which is all that the proofs use, and (`..._paper`) with those of V_{t+1}.

    Attributes:
        value, value_bound: Lip V_t after i inner iterations, `[T, n + 1]`.
        slope: Lip ∇V_t after i inner iterations, `[T, n + 1]`.
        control, control_bound: Lip u_t after i inner iterations, `[T, n + 1]`.
        best_value, best_value_bound, best_value_paper: Lip V*_t, `[T]`.
        best_slope, best_slope_bound, best_slope_paper: Lip ∇V*_t, `[T]`.
        best_control: Lip u*_t, `[T]`.
        value_recursion, slope_recursion: bounds from the reward's constants alone, `[T]`.
        paper_ratio: q_t = σ_t² Lip(∇V*_{t+1})/β_t, `[T]`.
        ratio: ρ_t = σ_t² Lip(∇V̄*_{t+1})/β_t, `[T]`.
        local: the contraction ratio at the optimum, `[T]`.
        upward: σ_t²/β_t times the largest positive curvature of V̄*_{t+1}, `[T]`.
        rate: measured ratio of the inner iteration; NaN where one iteration is enough; `[T]`.
        to_best: |m_t - m*_t| of whole sweeps, largest over t, `[num_sweeps + 1]`.
        gap: J* - J of whole sweeps, `[num_sweeps]`.
        sweep_rate: measured ratio of whole sweeps.
        solved: Newton's method reached every maximiser.
    """

    value: Numbers
    value_bound: Numbers
    slope: Numbers
    control: Numbers
    control_bound: Numbers
    best_value: Numbers
    best_value_bound: Numbers
    best_value_paper: Numbers
    best_slope: Numbers
    best_slope_bound: Numbers
    best_slope_paper: Numbers
    best_control: Numbers
    value_recursion: Numbers
    slope_recursion: Numbers
    paper_ratio: Numbers
    ratio: Numbers
    local: Numbers
    upward: Numbers
    rate: Numbers
    to_best: Numbers
    gap: Numbers
    sweep_rate: Numbers
    solved: Numbers


FLOOR = 1e-10  # errors below this are rounding of values on the grid
SOLVED = 1e-9  # plain step left at a maximiser


def measures(
    problem: Problem,
    alphas: Array,
    grid: Grid,
    *,
    num_inner: int,
    num_sweeps: int,
    rule: Rule = "plain",
) -> Measures:
    """All numbers of one problem on a grid; pure.

    Args:
        problem: the control problem.
        alphas: α of the chain's steps, `[T]`, of which controls are a factor of the means.
        grid: wide enough for its laws.
        num_inner: inner iterations at each step.
        num_sweeps: sweeps over the whole trajectory.
        rule: the inner step.
    """
    n = num_inner
    posed = gridded(problem, grid)
    region, best = posed.region, solve.optimum(posed)
    run = nested.nested(posed, n, rule, keep=True)
    swept = unroll(posed, GridSweeps(rule), num_steps=num_sweeps, reference=best)[1]
    mean = regularity.mean_constants(problem, grid, region)
    factor = problem.chain.sigmas**2 / problem.betas
    smooth = _smoothed(problem, grid, run.value, region)
    inner = _inner(grid, run, alphas, region)
    rho = factor * smooth.derivative
    value_bound, moved = regularity.iterate_bounds(smooth.function, mean.function, rho, n)
    control_bound = regularity.control_bounds(inner.control[:, 0], alphas, rho, moved)
    found = _over_time(grid, best.value, region)
    after = Constants(found.function[1:], found.derivative[1:])
    smooth = _smoothed(problem, grid, best.value, region)
    bound = regularity.optimal_bound(smooth, mean, factor * smooth.derivative)
    paper = regularity.optimal_bound(after, mean, factor * after.derivative)
    last = Constants(found.function[-1], found.derivative[-1])
    recursion = regularity.recursive_bounds(last, mean, problem.betas, problem.chain.sigmas)
    to_best = jnp.max(swept["distance"], axis=-1)
    return Measures(
        *(inner.value, value_bound, inner.slope, inner.control, control_bound),
        *(found.function[:-1], bound.function, paper.function),
        *(found.derivative[:-1], bound.derivative, paper.derivative),
        _controls(grid, best.mean, alphas, region),
        *(recursion.function[:-1], recursion.derivative[:-1], factor * after.derivative),
        *(best.everywhere.ratio, best.optimal.ratio, best.everywhere.highest),
        jax.vmap(_ratio)(run.changes),
        *(to_best, swept["gap"][1:], _ratio(to_best)),
        jnp.max(best.residual) < SOLVED,
    )


def _smoothed(problem: Problem, grid: Grid, values: Array, region: Array) -> Constants:
    """Constants of V̄_{t+1} where Y_{t+1} has mass, for values V_0..V_T `[T + 1, P]`."""
    points = grid.points()

    def at(now: tuple) -> Constants:
        after, sigma, mask = now
        coefficients = smoothed(grid, after, sigma)
        return regularity.jet_constants(grid.jet(coefficients, points), mask)

    sigmas = axis_sigmas(problem.chain.sigmas, grid.d)
    return lax.map(at, (values[1:], sigmas, region[1:]))


class _Inner(NamedTuple):
    value: Array
    slope: Array
    control: Array


def _inner(grid: Grid, run: nested.Nested, alphas: Array, region: Array) -> _Inner:
    """Constants of every inner iterate, `[T, n + 1]` each."""

    def at(now: tuple) -> _Inner:
        means, values, alpha, mask = now

        def one(pair: tuple[Array, Array]) -> _Inner:
            m, v = pair
            found = regularity.value_constants(grid, v, mask)
            u = regularity.control_constant(grid, m, alpha, mask)
            return _Inner(found.function, found.derivative, u)

        return lax.map(one, (means, values))

    return lax.map(at, (run.inner_mean, run.inner_value, alphas, region[:-1]))


def _over_time(grid: Grid, values: Array, region: Array) -> Constants:
    return lax.map(lambda x: regularity.value_constants(grid, *x), (values, region))


def _controls(grid: Grid, means: Array, alphas: Array, region: Array) -> Array:
    return lax.map(lambda x: regularity.control_constant(grid, *x), (means, alphas, region[:-1]))


def _ratio(errors: Array) -> Array:
    """Ratio of successive errors `[n]` over the later half of those above rounding, or NaN."""
    above = jnp.sum(jnp.cumprod(errors > FLOOR)) - 1
    begin = above // 2
    span = above - begin
    rate = (errors[above] / errors[begin]) ** (1 / jnp.maximum(span, 1))
    return jnp.where(span > 0, rate, jnp.nan)


class Thresholds(NamedTuple):
    """Smallest β of one instance at which each holds.

    Attributes:
        paper: max_t q_t < 1, the paper's condition, with the Lipschitz constant of ∇V itself.
        lipschitz: max_t ρ_t < 1, the same of ∇V̄, which is what a step sees.
        local: the contraction ratio at the optimum is below 1 everywhere.
        well_posed: V̄ curves upwards by less than β_t/σ_t² everywhere.
        plain: plain inner iterations converge at every t, tried.
    """

    paper: threshold.Threshold
    lipschitz: threshold.Threshold
    local: threshold.Threshold
    well_posed: threshold.Threshold
    plain: threshold.Threshold


def thresholds(
    problem: Problem, grid: Grid, lowest: float, highest: float, *, precision: float, trials: int
) -> Thresholds:
    """The thresholds of one problem, by bisection of many β at once.

    Args:
        problem: the control problem, whose own β does not count.
        grid: wide enough for its laws.
        lowest: β at which to begin.
        highest: β at which to end.
        precision: relative width of a threshold.
        trials: inner iterations that decide whether plain PI-FT converges.
    """
    posed = gridded(problem, grid)

    def optima(betas: Array) -> solve.Optimum:
        return threshold.optima(posed, betas)

    def plain(betas: Array) -> Array:
        return threshold.converges(threshold.changes(posed, betas, trials))

    def find(holds: Callable[[Array], Array]) -> threshold.Threshold:
        return threshold.smallest_beta(holds, lowest, highest, precision=precision, at_once=8)

    @jax.jit
    def paper(betas: Array) -> Array:
        def at(now: tuple) -> Array:
            beta, values = now
            slopes = _over_time(grid, values, posed.region).derivative[1:]
            return jnp.max(problem.chain.sigmas**2 * slopes) / beta < 1

        return lax.map(at, (betas, optima(betas).value))

    return Thresholds(
        find(paper),
        find(lambda betas: jnp.max(optima(betas).everywhere.ratio, -1) < 1),
        find(lambda betas: jnp.max(optima(betas).optimal.ratio, -1) < 1),
        find(lambda betas: jnp.max(optima(betas).everywhere.highest, -1) < 1),
        find(plain),
    )
