"""A sine and cosine that compile to short branch-free code, for rollouts by the million.

XLA's own float64 sine takes 5 to 20 ns an element on CPU; this one takes about 1 ns there because
it consists of multiplications, additions and roundings only, which vectorise and fuse.

Method: subtract the nearest multiple `m π` (Cody and Waite 1980: π in three parts so short that
every product `m · part` but the last is exact), then one odd polynomial on [-π/2, π/2], signed by
the parity of m. The cosine subtracts half-integer multiples and uses the same polynomial.
The coefficients are the minimax ones of `(sin r / r - 1) / r²` in `r²`, weighted so that the error
is relative to `sin r`: a Remez exchange in 60-digit arithmetic, then rounded. Its relative error is
2.8e-19 with the eight of float64 and 6.1e-9 with the four of float32.

Accuracy: 2.5 units in the last place of the result plus `1e-35 |x|` for |x| <= 2.7e13 in float64
(`2e-14 |x|` for |x| <= 1e8 in float32). Beyond that the result is the sine of a point within a few
rounding units of x, and in [-1, 1] for every finite x; infinities and NaN give NaN.
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.typing import ArrayLike


class _Table(NamedTuple):
    pi: tuple[float, float, float]
    coefficients: tuple[float, ...]
    step: float  # multiples of π beyond it are taken off in steps of it, so that products are exact
    reach: (
        float  # the largest |r|: π/2 and the rounding of the multiple; the coefficients hold there
    )


TABLES = {
    "float64": _Table(
        (3.1415926534682512, 1.215420100718692e-10, 5.825464112186712e-20),
        (
            -0.16666666666666666,
            0.008333333333333194,
            -0.00019841269841209218,
            2.7557319211137224e-06,
            -2.5052106872797392e-08,
            1.6058939705638584e-10,
            -7.642991482278642e-13,
            2.7211748856272457e-15,
        ),
        2.0**21,
        math.pi / 2 * (1 + 1e-6),
    ),
    "float32": _Table(
        (3.140625, 0.0009675025939941406, 1.5099579909783765e-07),
        (
            -0.1666665949180846,
            0.008333064611488942,
            -0.0001980947492473239,
            2.6054815137747663e-06,
        ),
        2.0**12,
        math.pi / 2 * (1 + 1e-3),
    ),
}


def _nearest(x: Array) -> Array:
    return lax.round(x, lax.RoundingMethod.TO_NEAREST_EVEN)


def _wave(x: Array, shift: float) -> Array:
    """Return `(-1)^k sin(x - (k + shift) π)`, k the integer that makes the argument smallest."""
    pi, coefficients, step, reach = TABLES[x.dtype.name]
    far = _nearest(x * (1 / (math.pi * step))) * step
    r = x - far * pi[0]
    near = _nearest((r - far * (pi[1] + pi[2])) * (1 / math.pi) - shift) + shift
    # Largest parts first: the first two differences are exact, the others round relative to r.
    r = ((r - near * pi[0]) - far * pi[1]) - near * pi[1]
    r = r - (far + near) * pi[2]
    r = lax.clamp(jnp.asarray(-reach, x.dtype), r, jnp.asarray(reach, x.dtype))
    half = 0.5 * (near - shift)
    square = r * r
    r = r * (1 - 4 * (half - lax.floor(half)))
    series = jnp.full_like(r, coefficients[-1])
    for coefficient in coefficients[-2::-1]:
        series = series * square + coefficient
    return r + r * (square * series)


def _as_real(x: ArrayLike) -> Array:
    x = jnp.asarray(x)
    return x if jnp.issubdtype(x.dtype, jnp.inexact) else x.astype(float)


def sine(x: ArrayLike) -> Array:
    """Return sin(x), elementwise, for any shape; differentiable to every order in both modes.

    float32 and float64 take the fast path of this module; other dtypes get `jnp.sin`.
    """
    x = _as_real(x)
    return _sine(x) if x.dtype.name in TABLES else jnp.sin(x)


def cosine(x: ArrayLike) -> Array:
    """Return cos(x) as `sine` does."""
    x = _as_real(x)
    return _cosine(x) if x.dtype.name in TABLES else jnp.cos(x)


@jax.custom_jvp
def _sine(x: Array) -> Array:
    return _wave(x, 0.0)


@jax.custom_jvp
def _cosine(x: Array) -> Array:
    return -_wave(x, 0.5)


@_sine.defjvp
def _sine_jvp(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    (x,), (t,) = primals, tangents
    return _sine(x), _cosine(x) * t


@_cosine.defjvp
def _cosine_jvp(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    (x,), (t,) = primals, tangents
    return _cosine(x), -_sine(x) * t
