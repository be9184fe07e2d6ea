"""Means on a grid as a policy that can be run from any state."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from fineq.arrays import real_array, shaped
from fineq.pift.grid.tensor import Grid


class GridMean(NamedTuple):
    """m_t(y) of splines through means on a grid; beyond it, the splines go on.

    Attributes:
        grid: the grid.
        coefficients: `[T, d, (N + 4) * d]`, of each component at each step.
    """

    grid: Grid
    coefficients: Array

    def __call__(self, t: ArrayLike, y: Array) -> Array:
        """The mean of Y_{t+1} given Y_t = y, `[d]`."""
        components = self.coefficients[t]
        return jax.vmap(lambda c: self.grid.jet(c, y[None]).value[0])(components)


def grid_mean(grid: Grid, means: Array) -> GridMean:
    """The policy with means `[T, P, d]` on a grid.

    Raises:
        InputError: for means of another shape.
    """
    means = real_array("means", means, 3)
    means = shaped("means", means, (means.shape[0], grid.num**grid.d, grid.d))
    return GridMean(grid, jax.vmap(jax.vmap(grid.spline))(jnp.swapaxes(means, 1, 2)))
