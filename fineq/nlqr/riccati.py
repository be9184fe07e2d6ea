"""The discrete algebraic Riccati equation, batched, differentiable, on any device.

P = Q + A'PA - A'PB (R + B'PB)^{-1} B'PA, K = (R + B'PB)^{-1} B'PA.
`fineq.nlqr.riccati_batch` solves it; here are its entry and its derivatives.
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.typing import ArrayLike

from fineq.arrays import prefer_float64
from fineq.errors import InputError
from fineq.fast.lanes import Stack, over_lanes, solve_positive
from fineq.nlqr.lyapunov import common, product, solve_lyapunov
from fineq.nlqr.riccati_batch import DareSolution, solve_batch, symmetric

__all__ = ["DareSolution", "dare"]


def dare(A: ArrayLike, B: ArrayLike, Q: ArrayLike, R: ArrayLike) -> DareSolution:
    """Find the stabilising solution of the discrete Riccati equation; u = -K x is optimal.

    P = Q + A'PA - A'PB (R + B'PB)^{-1} B'PA for A `[..., n, n]`, B `[..., n, p]`, Q `[..., n, n]`,
    R `[..., p, p]`, leading axes equal or broadcastable; of Q and R the symmetric part counts. P is
    symmetric, and the spectral radius of A - BK is proved (to rounding) to be below 1. Needed are
    R + B'PB > 0 (R itself may be singular), (A, B) stabilisable, and that Q sees every mode of A on
    the unit circle; where one fails `status` says so and the rest is NaN. Where rounding of the
    equation's terms could have moved the loop off the circle, no solution counts as found: one does
    where a stabilising solution exists also for Q - ηI, with η that rounding, or where
    |(A - BK)^m| <= 1/2 for m = 64 (float32: 4), both in units in which P has a diagonal of about 1.
    That leaves out distances below about √(ε |B S^{-1} B'| |P|), S = R + B'PB, for modes that
    inputs move, and below about 1e-9 (float64) or 1e-5 (float32) for others. Units of states and
    inputs, up to factors 2^±40 (float32: 2^±16), change no status, and P and K by rounding only.

    Works under `jit`, `vmap` and sharding; P and K have derivatives of every order in both modes,
    from the Lyapunov equation that the implicit function theorem gives. Arrays that are no real
    numbers, that are empty, or whose shapes disagree raise `InputError`.
    Source: arXiv 2303.08431 (K_lin), `nlqr/landscape`.
    """
    prefer_float64("nlqr.dare")
    A, B, Q, R = common(A, B, Q, R)
    _check_shapes(A, B, Q, R)
    return _dare(A, B, Q, R)


def _check_shapes(A: Array, B: Array, Q: Array, R: Array) -> None:
    n, p = B.shape[-2:]
    for name, value, expected in (("A", A, (n, n)), ("Q", Q, (n, n)), ("R", R, (p, p))):
        if value.shape[-2:] != expected:
            raise InputError(
                f"{name} must have shape {expected} where B is {(n, p)}, got {value.shape[-2:]}"
            )


@jax.custom_jvp
def _dare(A: Array, B: Array, Q: Array, R: Array) -> DareSolution:
    return _run(A, B, Q, R)


@_dare.defjvp
def _dare_jvp(primals: tuple[Array, ...], tangents: tuple[Array, ...]) -> tuple:
    """Differentiate the equation: with Ac = A - BK, dP = Ac' dP Ac + (what moves at fixed P)."""
    A, B, _, R = primals
    dA, dB, dQ, dR = tangents
    solution = _dare(*primals)
    P, K = solution.P, solution.K
    dR = symmetric(dR)
    Ac, dAc = A - product(B, K), dA - product(dB, K)  # at fixed K: dK drops out of dP
    PdAc = product(P, dAc)
    half = product(_t(Ac), PdAc)
    fixed = symmetric(dQ) + product(_t(K), product(dR, K)) + half + _t(half)
    dP = solve_lyapunov(_t(Ac), fixed).X
    moved = product(_t(dB), product(P, Ac)) + product(_t(B), product(dP, Ac) + PdAc)
    S = symmetric(R) + product(_t(B), product(P, B))
    dK = _solve(S, moved - product(dR, K))
    no_status: Any = np.zeros(solution.status.shape, jax.dtypes.float0)
    return solution, DareSolution(dP, dK, no_status, jnp.zeros_like(solution.residual))


def _solve(S: Array, Y: Array) -> Array:
    """S^{-1} Y for positive definite S, linear in Y for differentiation."""

    def solve(_: object, y: Array) -> Array:
        return _solve_lanes(*common(S, y))

    return lax.custom_linear_solve(partial(product, S), Y, solve, symmetric=True)


def _t(x: Array) -> Array:
    return jnp.swapaxes(x, -1, -2)


_run = jax.jit(over_lanes(solve_batch))
_solve_lanes = over_lanes(lambda S, Y: solve_positive(Stack, S, Y))
