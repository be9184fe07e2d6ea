"""Whether a grid fits a problem and the machine, and how far its answers are from the limit."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from fineq.errors import InputError, ResourceError
from fineq.pift.grid.bellman import BLOCK
from fineq.pift.grid.density import densities, mass_outside, pretrained
from fineq.pift.grid.posed import gridded
from fineq.pift.grid.solve import optimum, terminal
from fineq.pift.grid.tensor import Grid, axis_sigmas, check_dimension, make_grid, num_nodes
from fineq.pift.problem import Problem
from fineq.sweep.memory import device_bytes

COARSEST = 1.0  # spacing over the smallest σ: coarser, and the density's quadrature is off
UNRESOLVED = 1e-3  # largest error between points, over the range of the function
OUTSIDE = 1e-8  # mass that a law may have outside the grid
WORK = 160  # numbers per point that one block keeps while it is evaluated
MEMORY_SHARE = 2  # at most this fraction, 1/2, of a device's memory


def check_grid(
    problem: Problem,
    grid: Grid,
    *,
    coarsest: float = COARSEST,
    unresolved: float = UNRESOLVED,
    outside: float = OUTSIDE,
) -> Array:
    """Densities `[T + 1, P]` of the pre-trained chain on a grid that is fine and wide enough.

    Raises:
        InputError: when the problem has another dimension than the grid; when the spacing exceeds
            `coarsest` times the smallest σ; when a reward or pre-trained mean, interpolated, is off
            by more than `unresolved` of its range half-way between the points; when some Y_t has
            more mass than `outside` off the grid.
    """
    check_dimension(problem.d)
    if problem.d != grid.d:
        raise InputError(f"the grid has {grid.d} axes, but the problem has d = {problem.d}")
    _check_spacing(problem, grid, coarsest)
    _check_resolution(problem, grid, unresolved)
    laws = densities(problem, grid, pretrained(problem, grid))
    check_mass(grid, laws, outside, "pre-trained")
    return laws


def _check_spacing(problem: Problem, grid: Grid, coarsest: float) -> None:
    spacing = np.asarray(grid.spacing)
    ratios = spacing / np.asarray(axis_sigmas(problem.chain.sigmas, grid.d))
    t, axis = np.unravel_index(np.argmax(ratios), ratios.shape)
    if ratios[t, axis] > coarsest:
        needed = int(np.ceil((grid.num - 1) * ratios[t, axis] / coarsest)) + 1
        raise InputError(
            f"grid spacing {spacing[axis]:.3g} is above {coarsest:g} times σ of step {t}, "
            f"{spacing[axis] / ratios[t, axis]:.3g}: take at least {needed} points"
        )


def _check_resolution(problem: Problem, grid: Grid, unresolved: float) -> None:
    reward, means = (np.asarray(x) for x in errors_between(problem, grid))
    worst = int(np.argmax(means))
    name, error = f"the pre-trained mean of step {worst}", means[worst]
    if reward >= error:
        name, error = "the reward", reward
    if not error <= unresolved:
        raise InputError(
            f"grid with {grid.num} points is too coarse: between them {name} is off by {error:.2g} "
            f"of its range, at most {unresolved:g} is allowed"
        )


@jax.jit
def errors_between(problem: Problem, grid: Grid) -> tuple[Array, Array]:
    """Largest error half-way between points over the range, of the reward and of every m0_t."""
    points = grid.points()
    middle = points + 0.5 * grid.spacing[None]
    inside = jnp.all(middle < grid.axes[:, -1][None], axis=-1)

    def error(values: Array, exact: Array) -> Array:
        found = grid.jet(grid.spline(values), middle).value
        worst = jnp.max(jnp.where(inside, jnp.abs(found - exact), 0.0))
        extent = jnp.max(values) - jnp.min(values)
        return worst / jnp.where(extent > 0, extent, 1.0)

    def at(t: Array) -> Array:
        m0, exact = (jax.vmap(lambda y: problem.chain.mean(t, y))(x) for x in (points, middle))
        return jnp.max(jax.vmap(error, 1)(m0, exact))

    reward = error(terminal(problem, grid), jax.vmap(problem.reward)(middle))
    return reward, lax.map(at, jnp.arange(problem.num_steps))


def check_mass(grid: Grid, laws: Array, outside: float = OUTSIDE, name: str = "controlled") -> None:
    """Raise `InputError` when a law Y_t with densities `laws [T + 1, P]` leaves the grid."""
    lost = np.asarray(mass_outside(grid, laws))
    t = int(np.argmax(lost))
    if not lost[t] <= outside:
        raise InputError(
            f"grid from {_corner(grid.low)} to {_corner(grid.axes[:, -1])} is too narrow: the "
            f"{name} Y_{t} has mass {lost[t]:.2g} outside, at most {outside:g} is allowed"
        )


def _corner(x: Array) -> str:
    return "(" + ", ".join(f"{v:g}" for v in np.asarray(x)) + ")"


def memory_bytes(
    d: int,
    num: int,
    num_steps: int,
    *,
    num_inner: int = 0,
    batch: int = 1,
    itemsize: int = 8,
    block: int = BLOCK,
) -> int:
    """Bytes that optimum, nested PI-FT and laws of one problem take at once, about.

    Args:
        d: number of axes.
        num: points on each.
        num_steps: T.
        num_inner: inner iterations whose means and values are kept; 0: none are.
        batch: problems at once.
        itemsize: bytes of a number.
        block: points at once.
    """
    points = num**d
    fields = num_steps * points * (2 * (d + 1) + 1 + (num_inner + 1) * (d + 1) * (num_inner > 0))
    matrices = 2 * (d + 1) * num * (num + 4) + num * num_nodes(num) * 4
    work = min(points, block) * WORK + 10 * points
    return itemsize * (batch * (fields + work) + matrices)


def check_memory(needed: int, available: int | None = None) -> None:
    """Raise `ResourceError` when `needed` bytes exceed half of the device's memory."""
    available = device_bytes(jax.local_devices()) if available is None else available
    if needed > available / MEMORY_SHARE:
        raise ResourceError(
            f"the grid needs about {needed / 2**30:.3g} GiB, but {available / 2**30:.3g} GiB of "
            f"memory allow {available / MEMORY_SHARE / 2**30:.3g} GiB: take fewer points, steps, "
            "kept iterations or values of β at once"
        )


class Change(NamedTuple):
    """What halving the spacing changes, where Y_t has mass.

    Attributes:
        value: sup |V_t - V_t on the finer grid|, `[T + 1]`.
        mean: the same for the optimal means, `[T]`.
    """

    value: Array
    mean: Array


def change_under_halving(problem: Problem, grid: Grid) -> Change:
    """Solve on a grid and on one of half its spacing, and compare.

    The method has order 6: the error of `grid` is about 64/63 of what this returns.
    """
    fine = make_grid(grid.low, grid.axes[:, -1], 2 * grid.num - 1)
    coarse, finer = gridded(problem, grid), gridded(problem, fine)
    first, second, region = optimum(coarse), optimum(finer), coarse.region

    def apart(a: Array, b: Array, mask: Array) -> Array:
        b = b.reshape(b.shape[0], *fine.shape, -1)
        shared = b[:, ::2] if grid.d == 1 else b[:, ::2, ::2]
        error = jnp.abs(a.reshape(shared.shape) - shared).max(-1).reshape(mask.shape)
        return jnp.max(jnp.where(mask, error, 0.0), axis=-1)

    return Change(
        apart(first.value, second.value, region), apart(first.mean, second.mean, region[:-1])
    )
