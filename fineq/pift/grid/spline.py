"""Quintic splines on a uniform tensor grid: order 6, exact on polynomials up to degree 5.

Not-a-knot at both ends keeps the order up to the edge. Beyond the edge a spline goes on as its
second-order Taylor polynomial there, in each axis: twice continuously differentiable, and exact for
quadratic functions, so that linear-quadratic problems have no error but rounding.
"""

from typing import NamedTuple

import chex
import jax.numpy as jnp
import numpy as np
from jax import Array

WIDTH = 6  # B-splines that are not zero in a cell
PIECES = (
    np.array(
        [
            [1, -5, 10, -10, 5, -1],
            [26, -50, 20, 20, -20, 5],
            [66, 0, -60, 0, 30, -10],
            [26, 50, 20, -20, -20, 10],
            [1, 5, 10, 10, 5, -5],
            [0, 0, 0, 0, 0, 1],
        ]
    )
    / 120
)  # B-spline of the cell, power of the position in it
SIXTH = np.array([1, -6, 15, -20, 15, -6, 1])  # a jump of the fifth derivative is this difference


class Jet(NamedTuple):
    """A function at points: value `[P]`, gradient `[P, d]`, Hessian `[P, d, d]`."""

    value: Array
    gradient: Array
    hessian: Array


class Basis(NamedTuple):
    """The B-splines that are not zero at points of one axis.

    Attributes:
        first: `[P]`, index of the first of them.
        weights: `[order + 1][6]` lists of arrays `[P]`, their values and derivatives.
    """

    first: Array
    weights: list[list[Array]]


def inverse_collocation(num: int) -> np.ndarray:
    """Coefficients of the spline through `num` >= 7 values, as a matrix `[num + 4, num]`."""
    at_nodes = PIECES[:-1, 0]
    system = np.zeros((num + 4, num + 4))
    for i in range(num):
        system[i, i : i + WIDTH - 1] = at_nodes
    for row, knot in enumerate((1, 2, num - 3, num - 2)):
        system[num + row, knot - 1 : knot + 6] = SIXTH
    return np.linalg.solve(system, np.eye(num + 4)[:, :num])


def basis(x: Array, low: Array, spacing: Array, num: int) -> Basis:
    """The B-splines at coordinates x `[P]`, inside or outside the `num` nodes from `low` on."""
    s = (x - low) / spacing
    inside = jnp.clip(s, 0, num - 1)
    cell = jnp.clip(jnp.floor(inside).astype(jnp.int32), 0, num - 2)
    f, beyond = inside - cell.astype(x.dtype), s - inside
    value, first, second = (_polynomials(f, order) for order in range(3))
    value = [v + beyond * (a + 0.5 * beyond * b) for v, a, b in zip(value, first, second)]
    first = [(a + beyond * b) / spacing for a, b in zip(first, second)]
    return Basis(cell, [value, first, [b / spacing**2 for b in second]])


def _polynomials(f: Array, order: int) -> list[Array]:
    """The derivative of the given order of each piece at f, by Horner's rule."""
    found = []
    for piece in PIECES:
        derived = np.polynomial.polynomial.polyder(piece, order)
        total = jnp.full_like(f, derived[-1])
        for coefficient in derived[-2::-1]:
            total = total * f + coefficient
        found.append(total)
    return found


def coefficients(inverse: Array, values: Array) -> Array:
    """Coefficients of the spline through values `[N] * d`, `[N + 4] * d`."""
    for axis in range(values.ndim):
        values = jnp.moveaxis(jnp.tensordot(inverse, values, (1, axis)), 0, axis)
    return values


def evaluate(coefficients: Array, x: Array, low: Array, spacing: Array) -> Jet:
    """Value, gradient and Hessian of a spline at points x `[P, d]`, d the number of axes.

    What is not used costs nothing under `jit`. Sums of 6^d gathers of P numbers, all of which fuse
    into one loop: several times faster than gathering a block of 6^d numbers for each point.
    """
    d, num = coefficients.ndim, coefficients.shape[0] - 4
    chex.assert_shape([coefficients, x], [(num + 4,) * d, (None, d)])
    flat = coefficients.ravel()
    axes = [basis(x[:, i], low[i], spacing[i], num) for i in range(d)]

    def row(first: Array, orders: int) -> list[Array]:
        """Sums along the last axis with the values, first and second derivatives."""
        taps = [flat.at[first + j].get(mode="promise_in_bounds") for j in range(WIDTH)]
        kinds = axes[-1].weights[:orders]
        return [sum((t * w for t, w in zip(taps, ws)), jnp.zeros_like(taps[0])) for ws in kinds]

    if d == 1:
        value, first, second = row(axes[0].first, 3)
        return Jet(value, first[:, None], second[:, None, None])
    start = axes[0].first * (num + 4) + axes[1].first
    lines = [row(start + i * (num + 4), 3) for i in range(WIDTH)]

    def total(outer: int, inner: int) -> Array:
        terms = (w * line[inner] for w, line in zip(axes[0].weights[outer], lines))
        return sum(terms, jnp.zeros_like(lines[0][0]))

    gradient = jnp.stack([total(1, 0), total(0, 1)], -1)
    mixed = total(1, 1)
    hessian = jnp.stack(
        [jnp.stack([total(2, 0), mixed], -1), jnp.stack([mixed, total(0, 2)], -1)], -2
    )
    return Jet(total(0, 0), gradient, hessian)


def rows(points: Array, low: Array, spacing: Array, num: int, weights: Array) -> Array:
    """Weighted sums of a spline over points of one axis, as a matrix on its coefficients.

    Args:
        points: `[M, Q]`.
        low: first node of the axis.
        spacing: of its nodes.
        num: of them.
        weights: `[Q]`.

    Returns:
        `[M, num + 4]`: row i is Σ_q weights_q B(points_iq).
    """
    at = basis(points.ravel(), low, spacing, num)
    columns = at.first[:, None] + jnp.arange(WIDTH, dtype=at.first.dtype)[None]
    entries = jnp.stack(at.weights[0], -1) * jnp.tile(weights, points.shape[0])[:, None]
    which = jnp.repeat(jnp.arange(points.shape[0], dtype=jnp.int32), points.shape[1])[:, None]
    zeros = jnp.zeros((points.shape[0], num + 4), points.dtype)
    return zeros.at[jnp.broadcast_to(which, columns.shape), columns].add(entries)
