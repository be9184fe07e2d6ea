"""The discrete algebraic Riccati equation on one flat batch: doubling, Newton steps, verdict.

A structure-preserving doubling (Chu, Fan, Lin, Wang 2004) gives a first P; Newton steps (Kleinman
1968; Hewer 1971) take it to what the conditioning allows and prove the closed loop stable. Only the
Newton steps decide what is returned, so the doubling may use an elimination without row exchanges,
which is many times faster over a batch; where that guess is not good enough, the lane is tried
again from the solution for Q + cI, whose gain stabilises whenever some gain does.

All of it commutes with units of states and inputs, except what is judged against rounding: that is
done in the plant's own units (`fineq.nlqr.units`), at last in those in which P has a diagonal of
about 1.
"""

from functools import partial
from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp
from jax import Array, lax

from fineq.fast.lanes import Layout, inverse, layout, solve_positive
from fineq.nlqr.doubling import (
    Corrected,
    EquationStatus,
    Point,
    load,
    newton,
    relative,
    rounding,
    select,
    sum_powers,
    tolerance,
)
from fineq.nlqr.units import Units, guess, of_value, scale

UNCERTAIN = 4.0  # rounding units, times the dimension, by which the terms of a residual may be off


class DareSolution(NamedTuple):
    """P `[..., n, n]`, K `[..., p, n]`, `status` `[...]` (an `EquationStatus`), `residual` `[...]`.

    With Ac = A - BK, in units of states and inputs in which the diagonals of P and R + B'PB are
    about 1, the residual is ‖Q + K'RK + Ac'P Ac - P‖ / (‖Q‖ + ‖K'RK‖ + (1 + ‖Ac‖²) ‖P‖ +
    (‖A‖ + ‖B‖‖K‖) ‖P Ac‖), Frobenius norms: the backward error of P, at most 64 n times the
    rounding unit where the status is SOLVED, however ill conditioned P is.
    """

    P: Array
    K: Array
    status: Array
    residual: Array


class Plant(NamedTuple):
    """One flat batch in a layout, with the norms `[J]` of A, B and Q that scale the residual."""

    A: Array
    B: Array
    Q: Array
    R: Array
    norms: tuple[Array, Array, Array]


class Found(NamedTuple):
    """P, K and flags `[J]`: a stable start, a stable end, and one that rounding cannot undo."""

    P: Array
    K: Array
    residual: Array
    started: Array
    stable: Array
    clear: Array


def solve_batch(A: Array, B: Array, Q: Array, R: Array) -> DareSolution:
    """One flat batch `[J, rows, columns]`."""
    J, n, p = B.shape
    chex.assert_shape([A, Q, R], [(J, n, n), (J, n, n), (J, p, p)])
    ops = layout(max(B.shape[-2:]))
    finite, (A, B, Q, R) = load(ops, A, B, symmetric(Q), symmetric(R))
    units = guess(ops, A, B, Q, R)
    plant = _in_units(ops, Plant(A, B, Q, R, _norms(ops, A, B, Q)), units)
    found, positive = _attempts(ops, plant, finite)
    enough = tolerance(ops, plant.A)
    solved = jnp.where(found.residual <= enough, EquationStatus.SOLVED, EquationStatus.INACCURATE)
    failed = jnp.where(
        found.started, EquationStatus.NO_STABILISING_SOLUTION, EquationStatus.NOT_STABILISABLE
    )
    failed = jnp.where(positive, failed, EquationStatus.NOT_POSITIVE)
    useful = finite & found.stable & found.clear & (found.residual <= enough**0.5)
    status = jnp.where(useful, solved, failed)
    status = jnp.where(finite, status, EquationStatus.NON_FINITE).astype(jnp.int32)
    states, inputs = units
    P, K = scale(ops, found.P, -states, -states), scale(ops, found.K, inputs, -states)
    P, K = (jnp.where(useful[:, None, None], ops.store(x), jnp.nan) for x in (P, K))
    return DareSolution(symmetric(P), K, status, jnp.where(useful, found.residual, jnp.nan))


def _norms(ops: Layout, A: Array, B: Array, Q: Array) -> tuple[Array, Array, Array]:
    return ops.norm(A), ops.norm(B), ops.norm(Q)


def _in_units(ops: Layout, plant: Plant, units: Units) -> Plant:
    states, inputs = units
    A, B = scale(ops, plant.A, -states, states), scale(ops, plant.B, -states, inputs)
    Q, R = scale(ops, plant.Q, states, states), scale(ops, plant.R, inputs, inputs)
    return Plant(A, B, Q, R, _norms(ops, A, B, Q))


def _limit(x: Array) -> int:
    # A closed loop whose distance to the unit circle is much below √ε cannot be told from one on
    # it: rounding moves the double eigenvalues met there by √ε. Powers up to 64/√ε are enough.
    return jnp.finfo(x.dtype).nmant // 2 + 6


def _attempts(ops: Layout, plant: Plant, lanes: Array) -> tuple[Found, Array]:
    """First from Q without row exchanges; lanes that fail then again from Q + cI with them.

    Also returns where R + B'QB is positive definite, `[J]`; elsewhere R + B'PB may still be.
    """
    eye = ops.eye(plant.A) * ops.spread(_shift(ops, plant))

    def failed(found: Found) -> Array:
        return lanes & ~(found.stable & (found.residual <= tolerance(ops, plant.A)))

    def attempt(carry: tuple[Array, Found, Array]) -> tuple[Array, Found, Array]:
        k, found, positive = carry
        lifted = plant._replace(Q=plant.Q + k.astype(eye.dtype) * eye)
        retried = failed(found)
        X, defined = _double(ops, lifted, retried, k > 0)
        new = _corrected(ops, plant, X, retried)
        taken = retried & ~_beats(found, new)
        return k + 1, select(ops, taken, new, found), positive & (defined | (k > 0))

    carry = lax.while_loop(
        lambda carry: (carry[0] < 2) & jnp.any(failed(carry[1])),
        attempt,
        (jnp.int32(0), _nothing(ops, plant, lanes), jnp.ones_like(lanes)),
    )
    return carry[1:]


def _corrected(ops: Layout, plant: Plant, X: Array, lanes: Array) -> Found:
    """What Newton steps make of the guess X, in units in which its diagonal is about 1."""
    R = plant.R + ops.matmul(ops.transpose(plant.B), ops.matmul(X, plant.B))
    units = of_value(ops, X, R)
    states, inputs = units
    own = _in_units(ops, plant, units)
    no = jnp.zeros_like(lanes)
    at = partial(evaluate, ops, own)
    X = scale(ops, X, states, states)
    nothing = jax.tree.map(lambda x: jnp.full(x.shape, jnp.inf, x.dtype), jax.eval_shape(at, X))
    start = Corrected(nothing._replace(X=X), no, no)
    found = newton(ops, at, start, lanes, _limit(X))
    proved, clear = _verdict(ops, own, found.point, lanes)
    return Found(
        scale(ops, found.point.X, -states, -states),
        scale(ops, found.point.extra.K, inputs, -states),
        found.point.residual,
        found.started,
        found.stable & proved,
        clear,
    )


def _verdict(ops: Layout, plant: Plant, point: Point, lanes: Array) -> tuple[Array, Array]:
    """Whether A - BK is proved stable, and whether rounding could hide that no solution is.

    P solves the equation for some Q + D, |D| <= η, the rounding of its terms. Where a stabilising
    solution exists for Q - ηI, one exists for every such Q + D (comparison theorem: Ran,
    Vreugdenhil 1988), so for Q. Any X that leaves a positive defect there will do. With
    Y = Σ_t (Ac')^t Ac^t, G = B S^{-1} B' and X = P - 2ηY that is so where 4η |Ac' Y G Y Ac| <= 1.
    Near the unit circle Y grows like the inverse of the distance, and where no stabilising solution
    exists the distance found is √(η |G|): of rounding alone. A slow mode that no input moves does
    not matter: it is not in YB. Where transients make Y large, and not the circle, either the
    powers of the loop show it, or Newton steps find the solution for Q - ηI itself.
    """
    eye = jnp.zeros_like(point.A) + ops.eye(point.A)
    Y, proved = sum_powers(ops, point.A, eye, lanes, _limit(point.A))
    V = ops.matmul(point.A, ops.matmul(Y, plant.B))
    moved = ops.matmul(V, solve_positive(ops, point.extra.S, ops.transpose(V)))
    eta = UNCERTAIN * rounding(ops, point.A) * point.extra.terms
    clear = (4 * eta * ops.norm(moved) <= 1) | _fast(ops, point.A)
    return proved, clear | _survives(ops, plant, point, eta, lanes & proved & ~clear)


def _fast(ops: Layout, A: Array) -> Array:
    """Whether |A^m| <= 1/2 for the power of two m <= ε^(-1/8): 64, and 4 in float32.

    Then 1 - ρ(A) >= ln 2/m, about ε^(1/8). Of k modes on the circle that coincide rounding makes
    loops ε^(1/2k) inside it, times a power of their condition: four would be needed.
    """
    squarings = jnp.finfo(A.dtype).nmant // 8
    power = lax.fori_loop(0, squarings, lambda _, power: ops.matmul(power, power), A)
    return ops.norm(power) <= 0.5


def _survives(ops: Layout, plant: Plant, point: Point, eta: Array, lanes: Array) -> Array:
    """Whether a stabilising solution is found for Q - ηI, to within η/2."""
    lowered = plant._replace(Q=plant.Q - ops.spread(eta) * ops.eye(point.A))
    no = jnp.zeros_like(lanes)
    start = Corrected(point, no, no)
    found = newton(ops, partial(evaluate, ops, lowered), start, lanes, _limit(point.A))
    return found.stable & (found.point.residual <= UNCERTAIN / 2 * rounding(ops, point.A))


def _beats(found: Found, new: Found) -> Array:
    return found.stable & ~(new.stable & (new.residual < found.residual))


def _shift(ops: Layout, plant: Plant) -> Array:
    """The c of Q + cI: as large as the costs of states and of the controls that move them."""
    _, norm_B, norm_Q = plant.norms
    cost = norm_Q + ops.norm(plant.R) / jnp.where(norm_B > 0, norm_B, 1.0) ** 2
    # Of an input that moves next to nothing even the square has no number.
    return jnp.where((cost > 0) & jnp.isfinite(cost), cost, 1.0)


def _nothing(ops: Layout, plant: Plant, lanes: Array) -> Found:
    no = jnp.zeros_like(lanes)
    worst = jnp.full_like(plant.norms[0], jnp.inf)
    return Found(plant.Q, jnp.zeros_like(ops.transpose(plant.B)), worst, no, no, no)


class Extra(NamedTuple):
    """K, S = R + B'PB, and the size `[J]` of the terms of the residual."""

    K: Array
    S: Array
    terms: Array


def evaluate(ops: Layout, plant: Plant, P: Array) -> Point:
    """Gain, closed loop and defect of P; the defect in Joseph's form, which forgives errors of K.

    The defect's derivative in P is E -> Ac' E Ac - E: a Newton step solves E = Ac' E Ac + defect.
    """
    A, B, Q, R, (norm_A, norm_B, norm_Q) = plant
    PB = ops.matmul(P, B)
    S = R + ops.matmul(ops.transpose(B), PB)
    # The diagonal of S is about 1 here: a smaller pivot is rounding.
    least = 8 * rounding(ops, S)
    K = solve_positive(ops, S, ops.matmul(ops.transpose(PB), A), least)
    Ac = A - ops.matmul(B, K)
    Act, PAc = ops.transpose(Ac), ops.matmul(P, Ac)
    control = ops.matmul(ops.transpose(K), ops.matmul(R, K))
    defect = control + ops.matmul(Act, PAc) + (Q - P)
    defect = (defect + ops.transpose(defect)) / 2
    reach = (norm_A + norm_B * ops.norm(K)) * ops.norm(PAc)
    stored = (1 + ops.norm(Ac) ** 2) * ops.norm(P)
    terms = norm_Q + ops.norm(control) + stored + reach
    return Point(P, Act, defect, relative(ops.norm(defect), terms), Extra(K, S, terms))


def _double(ops: Layout, plant: Plant, lanes: Array, pivoting: Array) -> tuple[Array, Array]:
    """An approximate P, by doubling from the equation shifted to P - Q; where it is defined.

    With the gain of P = Q, the shift D = P - Q solves D = Ac' D (I + GD)^{-1} Ac + H, where G is
    B S^{-1} B' with S = R + B'QB and H is the defect: S may be well conditioned where R is not.
    """
    enough = float(jnp.finfo(plant.A.dtype).eps) ** 0.375
    point = evaluate(ops, plant, plant.Q)
    G = ops.matmul(plant.B, solve_positive(ops, point.extra.S, ops.transpose(plant.B)))

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
        left = jnp.abs(ops.diagonal(more)) - enough * jnp.abs(ops.diagonal(H))
        settled = (ops.most(left) <= 0) & (size < 1)
        return k + 1, A, G, H, lanes & jnp.isfinite(size) & ~settled

    start = (jnp.int32(0), ops.transpose(point.A), G, point.defect, lanes)
    done = lax.while_loop(lambda carry: (carry[0] < _limit(G)) & jnp.any(carry[4]), step, start)
    P = plant.Q + done[3]
    # The defect is symmetric by construction, so Newton steps never mend what is not in P.
    return (P + ops.transpose(P)) / 2, jnp.isfinite(point.residual)


def symmetric(x: Array) -> Array:
    """The symmetric part of `[..., n, n]`."""
    return (x + jnp.swapaxes(x, -1, -2)) / 2
