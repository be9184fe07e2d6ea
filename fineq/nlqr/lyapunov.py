"""The discrete Lyapunov (Stein) equation X = A X A' + Q, batched and differentiable."""

from functools import partial
from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.typing import ArrayLike

from fineq.arrays import real_array
from fineq.errors import InputError
from fineq.fast.lanes import layout, over_lanes
from fineq.nlqr.doubling import Corrected, EquationStatus, Point, load, newton, relative, tolerance

product = partial(jnp.matmul, precision=lax.Precision.HIGHEST)


class LyapunovSolution(NamedTuple):
    """X `[..., n, n]`, `status` `[...]` (an `EquationStatus`), relative `residual` `[...]`.

    The residual is ‖Q + AXA' - X‖ / (‖Q‖ + (1 + ‖A‖²) ‖X‖) in Frobenius norms.
    """

    X: Array
    status: Array
    residual: Array


def solve_lyapunov(A: ArrayLike, Q: ArrayLike) -> LyapunovSolution:
    """Solve X = A X A' + Q, that is X = Σ_t A^t Q (A')^t, for A with spectral radius below 1.

    A and Q are `[..., n, n]` with equal or broadcastable leading axes; Q need not be symmetric.
    Solved by doubling (Smith 1968) and corrected until the residual is rounding. Works under `jit`
    and `vmap`; X has derivatives of every order in both modes, by the implicit function theorem.

    Where A is not proved stable, `status` is `UNSTABLE` and the rest is NaN; in float64 that
    happens from a spectral radius of about 1 - 1e-12 on. Arrays that are no real numbers, that are
    empty, or whose shapes disagree raise `InputError`.
    """
    A, Q = common(A, Q)
    if A.shape[-1] != A.shape[-2] or Q.shape != A.shape:
        raise InputError(
            f"A and Q must be square matrices of one size, got shapes {A.shape} and {Q.shape}"
        )
    return _solve(A, Q)


def common(*matrices: ArrayLike) -> list[Array]:
    """Matrices `[..., rows, columns]` with one floating dtype and equal leading axes."""
    arrays = [real_array("a matrix", x, floating=False) for x in matrices]
    shapes = ", ".join(str(x.shape) for x in arrays)
    if any(x.ndim < 2 for x in arrays):
        raise InputError(f"matrices must have at least two axes, got shapes {shapes}")
    if any(0 in x.shape[-2:] for x in arrays):
        raise InputError(f"matrices must have at least one row and column, got shapes {shapes}")
    dtype = jnp.result_type(float, *arrays) if _integers(arrays) else jnp.result_type(*arrays)
    try:
        lead = jnp.broadcast_shapes(*(x.shape[:-2] for x in arrays))
    except ValueError:
        raise InputError(f"leading axes must be broadcastable, got shapes {shapes}") from None
    return [jnp.broadcast_to(x.astype(dtype), (*lead, *x.shape[-2:])) for x in arrays]


def _integers(arrays: list[Array]) -> bool:
    return not any(jnp.issubdtype(x.dtype, jnp.inexact) for x in arrays)


@jax.jit
def _solve(A: Array, Q: Array) -> LyapunovSolution:
    def solve(M: Array, b: Array) -> tuple[Array, tuple[Array, Array]]:
        X, status, residual = _solve_lanes(*common(M, b))
        return X, (status, residual)

    X, (status, residual) = lax.custom_linear_solve(
        lambda X: X - product(product(A, X), jnp.swapaxes(A, -1, -2)),
        Q,
        solve=lambda _, b: solve(A, b),
        transpose_solve=lambda _, b: solve(jnp.swapaxes(A, -1, -2), b),
        has_aux=True,
    )
    return LyapunovSolution(X, status, lax.stop_gradient(residual))


def _core(A: Array, Q: Array) -> LyapunovSolution:
    """One flat batch `[J, n, n]`."""
    chex.assert_rank(A, 3)
    chex.assert_equal_shape([A, Q])
    ops = layout(A.shape[-1])
    finite, (A, Q) = load(ops, A, Q)
    # Powers up to 2^limit decay visibly only where 1 - ρ(A) exceeds their rounding, 2^limit ε.
    limit = jnp.finfo(A.dtype).nmant - 8
    size_A, size_Q = ops.norm(A), ops.norm(Q)

    def evaluate(X: Array) -> Point:
        XAt = ops.matmul(X, ops.transpose(A))
        defect = ops.matmul(A, XAt) + (Q - X)
        scale = size_Q + (1 + size_A**2) * ops.norm(X)
        return Point(X, A, defect, relative(ops.norm(defect), scale), ())

    no = jnp.zeros_like(finite)
    start = Corrected(Point(jnp.zeros_like(Q), A, Q, jnp.full_like(size_Q, jnp.inf), ()), no, no)
    out = newton(ops, evaluate, start, finite, limit)
    residual = out.point.residual
    status = jnp.where(
        residual <= tolerance(ops, Q), EquationStatus.SOLVED, EquationStatus.INACCURATE
    )
    status = jnp.where(out.stable & jnp.isfinite(residual), status, EquationStatus.UNSTABLE)
    status = jnp.where(finite, status, EquationStatus.NON_FINITE).astype(jnp.int32)
    useful = status <= EquationStatus.INACCURATE
    X = jnp.where(useful[:, None, None], ops.store(out.point.X), jnp.nan)
    return LyapunovSolution(X, status, jnp.where(useful, residual, jnp.nan))


_solve_lanes = over_lanes(_core)
