"""Doubling for X = A X A' + Q, and Newton steps on matrix equations that linearise to it.

A doubling step squares A, so that k steps sum 2^k terms of X = Σ_t A^t Q (A')^t; a power with
‖A^(2^k)‖_F < 1 proves that the spectral radius of A is below 1. Everything here runs on one flat
batch in a `Layout` of `fineq.fast.lanes`; J is the number of lanes.
"""

import functools
from collections.abc import Callable
from enum import IntEnum
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
from jax import Array, lax

from fineq.fast.lanes import Layout

T = TypeVar("T")

MAX_STEPS = 60


class EquationStatus(IntEnum):
    """How a matrix equation was solved; only `SOLVED` and `INACCURATE` come with a solution.

    `message` says it in words.
    """

    SOLVED = 0
    INACCURATE = 1
    UNSTABLE = 2
    NOT_STABILISABLE = 3
    NO_STABILISING_SOLUTION = 4
    NOT_POSITIVE = 5
    NON_FINITE = 6

    @property
    def message(self) -> str:
        """What became of the equation, without a capital or a full stop."""
        return {
            EquationStatus.SOLVED: "solved to rounding; the closed loop is stable",
            EquationStatus.INACCURATE: "the closed loop is stable, but the residual is above "
            "rounding",
            EquationStatus.UNSTABLE: "A was not proved to have a spectral radius below 1",
            EquationStatus.NOT_STABILISABLE: "no stabilising gain was found: (A, B) is not "
            "stabilisable, or too close to that for this precision",
            EquationStatus.NO_STABILISING_SOLUTION: "a stabilising gain exists but no stabilising "
            "solution was found: Q does not see a mode of A on the unit circle, or Q is "
            "indefinite, or the closed loop is nearer to the circle than this precision can tell",
            EquationStatus.NOT_POSITIVE: "R + B'QB is not positive definite, and no stabilising "
            "solution with R + B'PB positive definite was found",
            EquationStatus.NON_FINITE: "the input holds NaN or infinity",
        }[self]


class Point(NamedTuple):
    """An iterate of `newton`: X, the equation linearised at it, and the caller's by-products.

    The correction E solves E = A E A' + defect; `residual` `[J]` is relative.
    """

    X: Array
    A: Array
    defect: Array
    residual: Array
    extra: Any


class Corrected(NamedTuple):
    """The last `Point`, with `[J]` flags: stable at the first step, and at the last."""

    point: Point
    started: Array
    stable: Array


def rounding(ops: Layout, x: Array) -> float:
    """The relative residual that rounding leaves in the best of cases: dimension times unit."""
    return ops.rows(x) * float(jnp.finfo(x.dtype).eps)


def tolerance(ops: Layout, x: Array) -> float:
    """The relative residual that counts as solved: some steps of rounding each."""
    return 64 * rounding(ops, x)


def load(ops: Layout, *matrices: Array) -> tuple[Array, list[Array]]:
    """Where a lane is finite `[J]`, and the `[J, rows, columns]` matrices, zero where it is not."""
    finite = functools.reduce(
        jnp.logical_and, [jnp.all(jnp.isfinite(x), axis=(1, 2)) for x in matrices]
    )
    return finite, [ops.load(jnp.where(finite[:, None, None], x, 0.0)) for x in matrices]


def sum_powers(ops: Layout, A: Array, Q: Array, lanes: Array, limit: int) -> tuple[Array, Array]:
    """X = Σ_t A^t Q (A')^t by at most `limit` doublings, and whether A is proved stable `[J]`.

    Doubling stops when every lane set in `lanes` is done.
    """
    # The terms that are left out are below ‖A^(2^k)‖⁴ ‖X‖: an error of a correction, which the
    # next correction repairs.
    enough = 1e-6**0.25

    def going(carry: tuple[Array, Array, Array, Array]) -> Array:
        k, _, _, size = carry
        return (k < limit) & jnp.any(lanes & jnp.isfinite(size) & (size > enough))

    def step(carry: tuple[Array, Array, Array, Array]) -> tuple[Array, Array, Array, Array]:
        k, A, X, _ = carry
        X = X + ops.matmul(A, ops.matmul(X, ops.transpose(A)))
        A = ops.matmul(A, A)
        return k + 1, A, X, ops.norm(A)

    _, A, X, size = lax.while_loop(going, step, (jnp.int32(0), A, Q, ops.norm(A)))
    return X + ops.matmul(A, ops.matmul(X, ops.transpose(A))), size <= enough


def newton(
    ops: Layout, evaluate: Callable[[Array], Point], start: Corrected, lanes: Array, limit: int
) -> Corrected:
    """Correct `start.point.X` until its residual is rounding, by solving the linearised equation.

    At least one correction is made. A lane stops where the residual is below the rounding unit
    times the dimension, or is small and no longer falls, or where the linearisation is unstable.
    """
    small = float(jnp.finfo(start.point.X.dtype).eps) ** 0.5

    def step(carry: tuple[Array, Array, Corrected, Array]) -> tuple[Array, Array, Corrected, Array]:
        k, X, (old, started, stable), going = carry
        point = select(ops, going, evaluate(X), old)
        r = point.residual
        stalled = (k > 1) & (r < small) & (r > 0.7 * old.residual)
        going = going & jnp.isfinite(r) & ~((k > 0) & (stalled | (r <= rounding(ops, X))))
        E, proved = sum_powers(ops, point.A, point.defect, going, limit)
        stable = jnp.where(going, proved, stable)
        started = started | (going & proved & (k == 0))
        going = going & proved
        X = select(ops, going, X + E, X)
        return k + 1, X, Corrected(point, started, stable), going

    return lax.while_loop(
        lambda carry: (carry[0] < MAX_STEPS) & jnp.any(carry[3]),
        step,
        (jnp.int32(0), start.point.X, start, lanes),
    )[2]


def relative(error: Array, scale: Array) -> Array:
    """The ratio of an error to its scale, 0 where the error is 0."""
    return jnp.where(error == 0, 0.0, error / jnp.where(error == 0, 1.0, scale))


def select(ops: Layout, lanes: Array, new: T, old: T) -> T:
    """The leaves of `new` in the lanes that are set, of `old` in the others."""

    def pick(x: Array, y: Array) -> Array:
        return jnp.where(lanes if x.ndim == 1 else ops.spread(lanes), x, y)

    return jax.tree.map(pick, new, old)
