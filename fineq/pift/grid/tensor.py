"""Uniform tensor grids in one and two dimensions, and Gaussian smoothing on them."""

from functools import lru_cache
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.core import Tracer
from jax.typing import ArrayLike
from scipy.special import ndtri, roots_hermitenorm

from fineq.ddpm.laws import Gaussian, Law, Mixture, Points, standard_normal
from fineq.ddpm.schedules import Schedule
from fineq.errors import InputError
from fineq.pift.grid import spline
from fineq.pift.grid.spline import Jet

LEAST = 8  # points of an axis: the least that leave a quintic spline one interval of its own
MOST_DIMENSIONS = 2
LEAST_NODES = 256  # of the quadrature that smooths
NEGLIGIBLE = 1e-20  # weight of a node, of a total of 1


class Grid(NamedTuple):
    """N points on each of d axes; make it with `make_grid`. Functions on it are `[P]`, P = N^d.

    Attributes:
        axes: `[d, N]`, coordinates, equally spaced.
        inverse: `[N + 4, N]`, from values to spline coefficients along one axis.
    """

    axes: Array
    inverse: Array

    @property
    def d(self) -> int:
        """Number of axes."""
        return self.axes.shape[0]

    @property
    def num(self) -> int:
        """N."""
        return self.axes.shape[1]

    @property
    def shape(self) -> tuple[int, ...]:
        """(N,) * d, into which a function `[P]` unfolds."""
        return (self.num,) * self.d

    @property
    def low(self) -> Array:
        """Lower corner `[d]`."""
        return self.axes[:, 0]

    @property
    def spacing(self) -> Array:
        """Distance of neighbours `[d]`."""
        return (self.axes[:, -1] - self.axes[:, 0]) / (self.num - 1)

    @property
    def cell(self) -> Array:
        """Length or area that belongs to one point."""
        return jnp.prod(self.spacing)

    def points(self) -> Array:
        """All points `[P, d]`, the last axis fastest."""
        mesh = jnp.meshgrid(*self.axes, indexing="ij")
        return jnp.stack([x.ravel() for x in mesh], -1)

    def spline(self, values: Array) -> Array:
        """Coefficients `[N + 4] * d` of the spline through values `[P]`."""
        return spline.coefficients(self.inverse, values.reshape(self.shape))

    def jet(self, coefficients: Array, x: Array) -> Jet:
        """A spline with its derivatives at points x `[M, d]`."""
        return spline.evaluate(coefficients, x, self.low, self.spacing)


def make_grid(low: ArrayLike, high: ArrayLike, num: int) -> Grid:
    """The grid with `num` points on each axis from `low` to `high`, `[d]`.

    Raises:
        InputError: for d > 2, bounds that are not finite and in order, or fewer than 8 points.
    """
    low, high = (np.atleast_1d(np.asarray(x, float)) for x in (low, high))
    if low.ndim != 1 or low.shape != high.shape:
        raise InputError(f"low has shape {low.shape}, but high has shape {high.shape}")
    check_dimension(low.size)
    if not (np.isfinite(low).all() and np.isfinite(high).all() and (low < high).all()):
        raise InputError(f"low must be below high, got {low.tolist()}, {high.tolist()}")
    if num < LEAST:
        raise InputError(f"num must be at least {LEAST}, got {num}")
    axes = np.linspace(low, high, num, axis=-1)
    return Grid(jnp.asarray(axes), jnp.asarray(_inverse(num)))


def check_dimension(d: int) -> None:
    """Raise `InputError` for more dimensions than a grid can have."""
    if d > MOST_DIMENSIONS:
        raise InputError(
            f"the grid solver takes d = 1 or 2, got d = {d}: lower it, or take Gaussian data "
            "with a linear or quadratic reward, which are exact in any dimension"
        )


@lru_cache(maxsize=4)
def _inverse(num: int) -> np.ndarray:
    return spline.inverse_collocation(num)


def law_bounds(law: Law, schedule: Schedule, outside: float = 1e-12) -> tuple[Array, Array]:
    """Corners `[d]` of a box that all Y_t of a diffusion model leave with small probability.

    Args:
        law: of the data: a Gaussian, a mixture of them or points.
        schedule: of the noise; the start N(0, I) is covered too.
        outside: probability that each component of each Y_t leaves the box in each axis, at most.

    Raises:
        InputError: for another kind of law, or `outside` not in (0, 1).
    """
    if not 0 < outside < 1:
        raise InputError(f"outside must lie in (0, 1), got {outside}")
    check_dimension(law.d)
    spreads = [_spread(law.noised(float(bar))) for bar in np.asarray(schedule.alpha_bars)]
    spreads.append(_spread(standard_normal(law.d)))
    means, deviations = (np.concatenate(x) for x in zip(*spreads))
    reach = -ndtri(outside / 2) * deviations
    return jnp.asarray((means - reach).min(0)), jnp.asarray((means + reach).max(0))


def _spread(law: Law) -> tuple[np.ndarray, np.ndarray]:
    """Means and standard deviations of the components in each axis, `[M, d]`."""
    if isinstance(law, Points):
        means = np.asarray(law.locations)
        return means, np.full_like(means, np.sqrt(law.variance))
    if isinstance(law, Mixture):
        means, covariances = jax.vmap(Gaussian.moments)(law.components)
    elif isinstance(law, Gaussian):
        means, covariances = (x[None] for x in law.moments())
    else:
        raise InputError(
            f"grid bounds are known for Gaussian, mixture and points, got {type(law).__name__}: "
            "give low and high to make_grid yourself"
        )
    return np.asarray(means), np.sqrt(np.diagonal(np.asarray(covariances), axis1=-2, axis2=-1))


def axis_sigmas(sigmas: Array, d: int) -> Array:
    """The noise of each step in each axis, `[T, d]`, from scalars `[T]` or matrices `[T, d, d]`.

    Raises:
        InputError: for a matrix that is not diagonal: smoothing goes axis by axis.
    """
    if sigmas.ndim == 1:
        return jnp.broadcast_to(sigmas[:, None], (*sigmas.shape, d))
    concrete = not isinstance(sigmas, Tracer)
    if concrete and np.any(np.asarray(sigmas)[:, ~np.eye(d, dtype=bool)] != 0):
        raise InputError("the grid solver takes scalar or diagonal σ_t only")
    return jnp.diagonal(sigmas, axis1=-2, axis2=-1)


@lru_cache(maxsize=8)
def normal_quadrature(num: int) -> tuple[np.ndarray, np.ndarray]:
    """Gauss-Hermite nodes and weights for N(0, 1), without weights that are lost in rounding.

    Neighbours are about π/√num apart. Features of V narrower than that times σ are missed, so num
    is large; most of its nodes are so far out that they carry nothing.
    """
    nodes, weights = roots_hermitenorm(num)
    weights = weights / weights.sum()
    kept = weights > NEGLIGIBLE
    return nodes[kept], weights[kept] / weights[kept].sum()


def num_nodes(num: int) -> int:
    """Nodes of the quadrature for `num` points: what a spline can resolve must not fall between.

    They are πσ/√n apart, at most 2.5 spacings for σ up to an eighteenth of the grid's width.
    """
    return max(LEAST_NODES, (num // 14) ** 2)


def smoothed(grid: Grid, values: Array, sigma: Array) -> Array:
    """Coefficients of V̄ = V * N(0, diag(σ²)), by Gauss-Hermite quadrature on the grid.

    The spline of V is smoothed axis by axis, as one matrix product each, and V̄ becomes a spline.

    Args:
        grid: the grid.
        values: V, `[P]`.
        sigma: `[d]`.

    Returns:
        `[N + 4] * d`.
    """
    nodes, weights = (jnp.asarray(x, values.dtype) for x in normal_quadrature(num_nodes(grid.num)))
    found = grid.spline(values)
    for i in range(grid.d):
        points = grid.axes[i][:, None] + sigma[i] * nodes[None]
        matrix = spline.rows(points, grid.low[i], grid.spacing[i], grid.num, weights)
        found = jnp.moveaxis(jnp.tensordot(matrix, found, (1, i)), 0, i)
    return spline.coefficients(grid.inverse, found)
