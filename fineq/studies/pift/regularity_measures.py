"""What `regularity` measures on a grid: Lipschitz constants, their bounds, ratios, thresholds."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from fineq.iterate import unroll
from fineq.pift.grid import checks, nested, regularity, solve, threshold
from fineq.pift.grid.gridded import gridded
from fineq.pift.grid.regularity import Constants
from fineq.pift.grid.sweeps import GridSweeps
from fineq.pift.grid.tensor import Grid, axis_sigmas, law_bounds, make_grid, smoothed
from fineq.pift.problem import Problem
from fineq.pift.rewards import check_reward
from fineq.studies.pift.common import Study
from fineq.studies.pift.config import PiftConfig
from fineq.studies.pift.instances import Instance
from fineq.sweep.stages import Member

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


def grid_of(study: Study) -> Grid:
    """The grid of a study, checked on its first member: fine, wide and small enough.

    Raises:
        InputError: for laws in more than two dimensions, and as `checks.check_grid`.
        ResourceError: when the arrays would not fit.
    """
    config = study.config
    first, seeds = _first(study), next(a for a in study.axes if a.name == "seed").values
    bounds = [
        law_bounds(at.law, at.schedule, config.regularity.outside)
        for at in (study.instance({**first, "seed": seed}) for seed in seeds)
    ]
    low = np.min([b[0] for b in bounds], axis=0)
    high = np.max([b[1] for b in bounds], axis=0)
    problem = study.instance({**first, "seed": seeds[0]}).problem
    num = config.regularity.num_points
    checks.check_memory(
        checks.memory_bytes(problem.d, num, problem.num_steps, num_inner=config.inner.num_inner)
    )
    grid = make_grid(low, high, num)
    check_reward(problem.reward, grid.points())
    checks.check_grid(problem, grid)
    return jax.tree.map(lambda x: x.astype(config.precision), grid)


def _first(study: Study) -> Member:
    return {axis.name: axis.values[0] for axis in study.axes}


def measures(instance: Instance, grid: Grid, config: PiftConfig) -> Measures:
    """All numbers of one member; pure."""
    problem, schedule = instance.problem, instance.schedule
    n = config.inner.num_inner
    posed = gridded(problem, grid)
    region, best = posed.region, solve.optimum(posed)
    rule: Any = config.inner.rule
    run = nested.nested(posed, n, rule, keep=True)
    num = config.inner.num_sweeps
    swept = unroll(posed, GridSweeps(rule), num_steps=num, reference=best)[1]
    mean = regularity.mean_constants(problem, grid, region)
    factor = problem.chain.sigmas**2 / problem.betas
    smooth = _smoothed(problem, grid, run.value, region)
    inner = _inner(grid, run, schedule.alphas, region)
    rho = factor * smooth.derivative
    value_bound, moved = regularity.iterate_bounds(smooth.function, mean.function, rho, n)
    control_bound = regularity.control_bounds(inner.control[:, 0], schedule.alphas, rho, moved)
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
        _controls(grid, best.mean, schedule.alphas, region),
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


def thresholds(study: Study, grid: Grid) -> Thresholds:
    """The thresholds of the first member, by bisection of many β at once."""
    config = study.config.regularity
    problem = study.instance(_first(study)).problem
    posed = gridded(problem, grid)

    def optima(betas: Array) -> solve.Optimum:
        return threshold.optima(posed, betas)

    def plain(betas: Array) -> Array:
        return threshold.converges(threshold.changes(posed, betas, config.trials))

    def find(holds: Callable[[Array], Array]) -> threshold.Threshold:
        return threshold.smallest_beta(
            holds, config.lowest, config.highest, precision=config.precision, at_once=8
        )

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
