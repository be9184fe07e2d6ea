"""PI-FT on a grid in the plane: all time steps, all inner iterations, in one program."""

import resource
import time
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from scipy.interpolate import RectBivariateSpline

from benchmarks.timing import Row
from fineq.ddpm import laws, schedules
from fineq.pift.grid.checks import memory_bytes
from fineq.pift.grid.density import carried, densities, pretrained
from fineq.pift.grid.nested import nested
from fineq.pift.grid.posed import Gridded, gridded
from fineq.pift.grid.solve import optimum
from fineq.pift.grid.tensor import Grid, law_bounds, make_grid
from fineq.pift.problem import Problem, ddpm_chain, make_problem
from fineq.pift.rewards import Wave

TITLE = "PI-FT on a grid in the plane, float64"
AGAINST = "quintic RectBivariateSpline of SciPy, gradients only"
BETA = 5.0  # contracting at every step


class Case(NamedTuple):
    """N² points, T steps, n inner iterations at each."""

    num: int
    steps: int
    inner: int


FULL, QUICK = Case(256, 50, 20), Case(96, 20, 20)


def task(case: Case) -> tuple[Problem, Grid]:
    """Three modes and a bounded reward along the diagonal."""
    means = 1.5 * jnp.asarray([[np.cos(a), np.sin(a)] for a in 2 * np.pi * np.arange(3) / 3])
    law = laws.mixture(np.full(3, 1 / 3), means, jnp.stack([0.25 * jnp.eye(2)] * 3))
    schedule = schedules.make_schedule(schedules.linear_rate(case.steps))
    direction = jnp.full(2, 1 / jnp.sqrt(2.0))
    reward = Wave(direction, jnp.asarray(1.0), jnp.asarray(0.5), jnp.asarray(0.3))
    problem = make_problem(ddpm_chain(law, schedule), reward, BETA)
    return problem, make_grid(*law_bounds(law, schedule, 1e-9), case.num)


def timed(run: Any, *args: Any) -> tuple[Any, float, float]:
    """What a program returns, the seconds to compile it and those to run it."""
    begin = time.perf_counter()
    program = jax.jit(run).lower(*args).compile()
    compiled = time.perf_counter()
    out = jax.block_until_ready(program(*args))
    return out, compiled - begin, time.perf_counter() - compiled


def scipy_iterations(problem: Problem, grid: Grid, count: int) -> float:
    """Seconds an inner iteration takes with SciPy's spline on the same grid."""
    x, y = (np.asarray(axis) for axis in grid.axes)
    values = np.asarray(jax.vmap(problem.reward)(grid.points())).reshape(grid.shape)
    spline = RectBivariateSpline(x, y, values, kx=5, ky=5)
    m0 = np.asarray(jax.vmap(lambda p: problem.chain.mean(0, p))(grid.points()))
    m, step = m0, 1e-2
    begin = time.perf_counter()
    for _ in range(count):
        gradient = np.stack([spline.ev(m[:, 0], m[:, 1], dx=i, dy=1 - i) for i in (1, 0)], -1)
        m = m0 + step * gradient
    return (time.perf_counter() - begin) / count


def run(quick: bool) -> list[Row]:
    """Laws, optimum and nested PI-FT, each one program; `quick` takes a smaller grid."""
    case = QUICK if quick else FULL
    problem, grid = task(case)
    size = f"{case.num}² points, {case.steps} steps"
    total = case.steps * case.inner
    theirs = scipy_iterations(problem, grid, 2 if quick else 3) * total

    def masks(problem: Problem, grid: Grid) -> jax.Array:
        return carried(densities(problem, grid, pretrained(problem, grid)), grid)

    def inner(posed: Gridded, best: Any) -> Any:
        found = nested(posed, case.inner, reference=best)
        return found.to_fixed, found.value[0]

    region, *law_seconds = timed(masks, problem, grid)
    posed = gridded(problem, grid, region)
    best, *best_seconds = timed(optimum, posed)
    (errors, _), *seconds = timed(inner, posed, best)
    needed = memory_bytes(2, case.num, case.steps) / 2**30
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    memory = f"stated {needed:.2g} GiB; peak of the process so far {peak:.2g} GiB"
    left = f"largest distance left to the fixed point {float(jnp.max(errors[:, -1])):.1e}"
    rows = [
        (f"laws: {size}", law_seconds, "density by quadrature"),
        (f"optimum: {size}", best_seconds, "Newton to rounding"),
        (f"PI-FT: {size}, {case.inner} inner iterations", seconds, f"{left}; {memory}"),
    ]
    return [
        Row(
            name,
            spent[1],
            "s",
            spent[1] / theirs,
            f"{AGAINST}, {total} iterations",
            f"and {spent[0]:.3g} s to compile; {note}",
        )
        for name, spent, note in rows
    ]
