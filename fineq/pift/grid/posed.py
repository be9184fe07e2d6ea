"""A problem together with the grid it is solved on."""

from typing import NamedTuple

import jax.numpy as jnp
from jax import Array

from fineq.arrays import shaped
from fineq.errors import InputError
from fineq.pift.grid.density import carried, densities, pretrained
from fineq.pift.grid.tensor import Grid, axis_sigmas, check_dimension
from fineq.pift.problem import Problem


class Gridded(NamedTuple):
    """A problem on a grid; make it with `gridded`.

    Attributes:
        problem: with scalar or diagonal σ_t.
        grid: the grid, with P points.
        region: where Y_0..Y_T have mass, `[T + 1, P]`, bool: all suprema are taken there.
    """

    problem: Problem
    grid: Grid
    region: Array

    @property
    def num_steps(self) -> int:
        """T."""
        return self.problem.num_steps

    @property
    def shape(self) -> tuple[int, int, int]:
        """That of means at all points and times, (T, P, d)."""
        return self.num_steps, self.region.shape[1], self.grid.d


def gridded(problem: Problem, grid: Grid, region: Array | None = None) -> Gridded:
    """A problem on a grid, which `fineq.pift.grid.checks.check_grid` finds fine and wide enough.

    Args:
        problem: with scalar or diagonal σ_t, in one or two dimensions.
        grid: with as many axes, and of the problem's precision.
        region: where Y_0..Y_T have mass, `[T + 1, P]`, bool; None: where the pre-trained chain has.

    Raises:
        InputError: for a grid of another dimension or precision than the problem, for float32
            where JAX has float64, a region of another shape, or noise that is not diagonal.
    """
    check_dimension(problem.d)
    if problem.d != grid.d:
        raise InputError(f"the grid has {grid.d} axes, but the problem has d = {problem.d}")
    if problem.chain.sigmas.dtype != grid.axes.dtype:
        raise InputError(
            f"the grid is of {grid.axes.dtype}, but the problem of {problem.chain.sigmas.dtype}"
        )
    if grid.axes.dtype != jnp.result_type(float):
        raise InputError(
            f"problems on a grid are solved in float64, got {grid.axes.dtype}: second "
            "derivatives of splines have few digits of it left"
        )
    axis_sigmas(problem.chain.sigmas, grid.d)
    if region is None:
        region = carried(densities(problem, grid, pretrained(problem, grid)), grid)
    region = jnp.asarray(region)
    shape = (problem.num_steps + 1, grid.num**grid.d)
    if region.shape != shape or region.dtype != bool:
        raise InputError(
            f"region must be a mask of shape {shape}, got {region.dtype} of shape {region.shape}"
        )
    return Gridded(problem, grid, region)


def checked_means(problem: Gridded, means: Array) -> Array:
    """Means at the points of the grid, if their shape is `[T, P, d]`.

    Raises:
        InputError: for another shape.
    """
    return shaped("means", means, problem.shape, problem.grid.axes.dtype)
