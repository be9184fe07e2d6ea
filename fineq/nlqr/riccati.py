"""The discrete algebraic Riccati equation, batched, differentiable, on any device.

P = Q + A'PA - A'PB (R + B'PB)^{-1} B'PA, K = (R + B'PB)^{-1} B'PA. A structure-preserving doubling
(Chu, Fan, Lin, Wang 2004) gives a first P; Newton steps (Kleinman 1968; Hewer 1971) take it to what
the conditioning allows and prove the closed loop stable. Only the Newton steps decide what is
returned, so the doubling may use an elimination without row exchanges, which is many times faster
over a batch; where that guess is not good enough, the lane is tried again from the solution for
Q + cI, whose gain stabilises whenever some gain does.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.typing import ArrayLike

from fineq.errors import InputError
from fineq.lanes import Layout, Stack, inverse, layout, over_lanes, solve_positive
from fineq.nlqr.doubling import (
    STATUS_MESSAGES,
    Corrected,
    Point,
    Status,
    load,
    newton,
    powers_vanish,
    relative,
    select,
    tolerance,
)
from fineq.nlqr.lyapunov import common, product, solve_lyapunov

__all__ = ["STATUS_MESSAGES", "DareSolution", "Status", "dare"]


class DareSolution(NamedTuple):
    """P `[..., n, n]`, K `[..., p, n]`, `status` `[...]` (a `Status`), `residual` `[...]`.

    With Ac = A - BK the residual is ‖Q + K'RK + Ac'P Ac - P‖ / (‖Q‖ + ‖K'RK‖ + (1 + ‖Ac‖²) ‖P‖ +
    (‖A‖ + ‖B‖‖K‖) ‖P Ac‖), Frobenius norms: the backward error of P, at most 64 n times the
    rounding unit where the status is SOLVED, however ill conditioned P is.
    """

    P: Array
    K: Array
    status: Array
    residual: Array


def dare(A: ArrayLike, B: ArrayLike, Q: ArrayLike, R: ArrayLike) -> DareSolution:
    """Find the stabilising solution of the discrete Riccati equation; u = -K x is optimal.

    P = Q + A'PA - A'PB (R + B'PB)^{-1} B'PA for A `[..., n, n]`, B `[..., n, p]`, Q `[..., n, n]`,
    R `[..., p, p]`, leading axes equal or broadcastable; of Q and R the symmetric part counts. P is
    symmetric, and the spectral radius of A - BK is proved (to rounding) to be below 1. Needed are
    R + B'QB > 0, (A, B) stabilisable, and that Q sees every mode of A on the unit circle; where
    one fails `status` says so and the rest is NaN. Closed loops within about 1e-9 (float64) or 1e-5
    (float32) of the unit circle count as not stabilising.

    Works under `jit`, `vmap` and sharding; P and K have derivatives of every order in both modes,
    from the Lyapunov equation that the implicit function theorem gives. Shapes that disagree raise
    `InputError`. Source: arXiv 2303.08431 (K_lin), `nlqr/landscape`.
    """
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
    dR = _symmetric(dR)
    Ac, dAc = A - product(B, K), dA - product(dB, K)  # at fixed K: dK drops out of dP
    PdAc = product(P, dAc)
    half = product(_t(Ac), PdAc)
    fixed = _symmetric(dQ) + product(_t(K), product(dR, K)) + half + _t(half)
    dP = solve_lyapunov(_t(Ac), fixed).X
    moved = product(_t(dB), product(P, Ac)) + product(_t(B), product(dP, Ac) + PdAc)
    S = _symmetric(R) + product(_t(B), product(P, B))
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


def _symmetric(x: Array) -> Array:
    return (x + _t(x)) / 2


class _Plant(NamedTuple):
    """One flat batch in a layout, with the norms `[J]` of A, B and Q that scale the residual."""

    A: Array
    B: Array
    Q: Array
    R: Array
    norms: tuple[Array, Array, Array]


def _core(A: Array, B: Array, Q: Array, R: Array) -> DareSolution:
    """One flat batch `[J, rows, columns]`."""
    ops = layout(max(B.shape[-2:]))
    finite, (A, B, Q, R) = load(ops, A, B, _symmetric(Q), _symmetric(R))
    plant = _Plant(A, B, Q, R, (ops.norm(A), ops.norm(B), ops.norm(Q)))
    found, positive = _attempts(ops, plant, finite)
    stable = found.stable & powers_vanish(ops, found.point.A, _limit(A))
    status = _status(found, stable, found.point.residual, tolerance(ops, A))
    status = jnp.where(positive, status, Status.NOT_POSITIVE)
    status = jnp.where(finite, status, Status.NON_FINITE).astype(jnp.int32)
    useful = status <= Status.INACCURATE
    P, K = (ops.store(x) for x in (found.point.X, found.point.extra[0]))
    P, K = (jnp.where(useful[:, None, None], x, jnp.nan) for x in (_symmetric(P), K))
    return DareSolution(P, K, status, jnp.where(useful, found.point.residual, jnp.nan))


def _status(found: Corrected, stable: Array, residual: Array, enough: float) -> Array:
    status = jnp.where(residual <= enough, Status.SOLVED, Status.INACCURATE)
    failed = jnp.where(found.started, Status.NO_STABILISING_SOLUTION, Status.NOT_STABILISABLE)
    return jnp.where(stable & (residual <= enough**0.5), status, failed)


def _limit(x: Array) -> int:
    # A closed loop whose distance to the unit circle is much below √ε cannot be told from one on
    # it: rounding moves the double eigenvalues met there by √ε. Powers up to 64/√ε are enough.
    return jnp.finfo(x.dtype).nmant // 2 + 6


def _attempts(ops: Layout, plant: _Plant, lanes: Array) -> tuple[Corrected, Array]:
    """First from Q without row exchanges; lanes that fail then again from Q + cI with them.

    Also returns where R + B'QB is positive definite, `[J]`.
    """
    eye = ops.eye(plant.A) * ops.spread(_shift(ops, plant))

    def failed(found: Corrected, positive: Array) -> Array:
        return (
            lanes & positive & ~(found.stable & (found.point.residual <= tolerance(ops, plant.A)))
        )

    def attempt(carry: tuple[Array, Corrected, Array]) -> tuple[Array, Corrected, Array]:
        k, found, positive = carry
        lifted = plant._replace(Q=plant.Q + k.astype(eye.dtype) * eye)
        X, defined = _double(ops, lifted, failed(found, positive), k > 0)
        positive = positive & (defined | (k > 0))
        retried = failed(found, positive)
        start = found._replace(point=found.point._replace(X=X))
        new = newton(ops, partial(_evaluate, ops, plant), start, retried, _limit(X))
        return k + 1, select(ops, retried & ~_beats(found, new), new, found), positive

    carry = lax.while_loop(
        lambda carry: (carry[0] < 2) & jnp.any(failed(*carry[1:])),
        attempt,
        (jnp.int32(0), _nothing(ops, plant, lanes), jnp.ones_like(lanes)),
    )
    return carry[1:]


def _beats(found: Corrected, new: Corrected) -> Array:
    return found.stable & ~(new.stable & (new.point.residual < found.point.residual))


def _shift(ops: Layout, plant: _Plant) -> Array:
    """The c of Q + cI: as large as the costs of states and of the controls that move them."""
    _, norm_B, norm_Q = plant.norms
    cost = norm_Q + ops.norm(plant.R) / jnp.where(norm_B > 0, norm_B, 1.0) ** 2
    return jnp.where(cost > 0, cost, 1.0)


def _nothing(ops: Layout, plant: _Plant, lanes: Array) -> Corrected:
    K = jnp.zeros_like(ops.transpose(plant.B))
    worst = jnp.full_like(plant.norms[0], jnp.inf)
    no = jnp.zeros_like(lanes)
    return Corrected(Point(plant.Q, plant.A, plant.Q, worst, (K, plant.R)), no, no)


def _evaluate(ops: Layout, plant: _Plant, P: Array) -> Point:
    """Gain, closed loop and defect of P; the defect in Joseph's form, which forgives errors of K.

    The defect's derivative in P is E -> Ac' E Ac - E: a Newton step solves E = Ac' E Ac + defect.
    """
    A, B, Q, R, (norm_A, norm_B, norm_Q) = plant
    PB = ops.matmul(P, B)
    S = R + ops.matmul(ops.transpose(B), PB)
    K = solve_positive(ops, S, ops.matmul(ops.transpose(PB), A))
    Ac = A - ops.matmul(B, K)
    Act, PAc = ops.transpose(Ac), ops.matmul(P, Ac)
    control = ops.matmul(ops.transpose(K), ops.matmul(R, K))
    defect = control + ops.matmul(Act, PAc) + (Q - P)
    defect = (defect + ops.transpose(defect)) / 2
    reach = (norm_A + norm_B * ops.norm(K)) * ops.norm(PAc)
    stored = (1 + ops.norm(Ac) ** 2) * ops.norm(P)
    scale = norm_Q + ops.norm(control) + stored + reach
    return Point(P, Act, defect, relative(ops.norm(defect), scale), (K, S))


def _double(ops: Layout, plant: _Plant, lanes: Array, pivoting: Array) -> tuple[Array, Array]:
    """An approximate P, by doubling from the equation shifted to P - Q; where it is defined.

    With the gain of P = Q, the shift D = P - Q solves D = Ac' D (I + GD)^{-1} Ac + H, where G is
    B S^{-1} B' with S = R + B'QB and H is the defect: S may be well conditioned where R is not.
    """
    enough = float(jnp.finfo(plant.A.dtype).eps) ** 0.375
    point = _evaluate(ops, plant, plant.Q)
    G = ops.matmul(plant.B, solve_positive(ops, point.extra[1], ops.transpose(plant.B)))

    def step(carry: tuple[Array, ...]) -> tuple[Array, ...]:
        k, A, G, H, _ = carry
        At = ops.transpose(A)
        V = inverse(ops, ops.eye(A) + ops.matmul(G, H), pivoting)
        VA, VGAt = ops.matmul(V, A), ops.matmul(V, ops.matmul(G, At))
        more = ops.matmul(At, ops.matmul(H, VA))
        G, A, H = G + ops.matmul(A, VGAt), ops.matmul(A, VA), H + more
        size = ops.norm(A)
        # Convergence is quadratic, so what is missing is the square of the last term; a Newton
        # step squares it again.
        settled = (jnp.abs(ops.trace(more)) <= enough * jnp.abs(ops.trace(H))) & (size < 1)
        return k + 1, A, G, H, lanes & jnp.isfinite(size) & ~settled

    start = (jnp.int32(0), ops.transpose(point.A), G, point.defect, lanes)
    done = lax.while_loop(lambda carry: (carry[0] < _limit(G)) & jnp.any(carry[4]), step, start)
    P = plant.Q + done[3]
    # The defect is symmetric by construction, so Newton steps never mend what is not in P.
    return (P + ops.transpose(P)) / 2, jnp.isfinite(point.residual)


_run = jax.jit(over_lanes(_core))
_solve_lanes = over_lanes(lambda S, Y: solve_positive(Stack, S, Y))
