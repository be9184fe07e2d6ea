"""Cost, gradient and Hessian together, by a second-order adjoint recursion of the closed loop.

Along the trajectory of each initial state the value V_t(x, K) of the steps from t on is expanded to
second order. With `ψ = (x, φ(x))`, `u = -K ψ`, Dψ its Jacobian, `F = ((A, C) - B K) Dψ`, λ, X, Y
the derivatives V_x, V_xx, V_xK at t + 1 and V_T = 0, backwards in t

    v = 2 R u + B'λ,    W = 2 R + B'X B,    G = F'X B - 2 (K Dψ)'R,
    V_x = 2 Q x + F'λ - 2 (K Dψ)'R u,
    V_xx = 2 Q + 2 (K Dψ)'R (K Dψ) + F'X F + Σ_c (C'λ - K2'v)_c ∇²φ_c(x),
    V_xK[i, ab] = (F'Y)[i, ab] - G[i, a] ψ_b - v_a Dψ[b, i],
    ∇C_T[ab] = -E Σ_t v_a ψ_b,
    ∇²C_T[ab, cd] = E Σ_t W_ac ψ_b ψ_d - ψ_b (B'Y)[a, cd] - ψ_d (B'Y)[c, ab].

Only the Hessian needs a sum over states, one product a step. The numbers are those of nested
automatic differentiation of the rollout, but the p(n+d) directions share one pass: a quarter of the
time of forward mode over `fineq.nlqr.adjoint` (CPU, n = p = d = 3), and a third of its compilation.
Source: arXiv 2303.08431, section 2, for the cost; the recursion is that of differential dynamic
programming for a policy linear in its parameters.
"""

from collections.abc import Callable
from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp
from jax import Array, lax

from fineq.arrays import real_array
from fineq.fast.products import apply, matmul
from fineq.nlqr.doors import check_policy
from fineq.nlqr.lanes import Lanes, advance, at_states, closed_loop, lane_features
from fineq.nlqr.laws import Points
from fineq.nlqr.problem import System, symmetric_cost


class Expansion(NamedTuple):
    """`C_T(K)`, a scalar; its gradient `[p, n+d]`; its Hessian `[p(n+d), p(n+d)]`, row-major."""

    cost: Array
    gradient: Array
    hessian: Array


class _Behind(NamedTuple):
    """What the steps from t on contribute; lanes (initial states) last."""

    slope: Array  # V_x [n, S]
    bend: Array  # V_xx [n, n, S]
    mixed: Array  # V_xK [n, p(n+d), S]
    gradient: Array  # [p, n+d]
    half: Array  # a matrix whose symmetric sum is the Hessian, [p(n+d), p(n+d)]


class _Local(NamedTuple):
    """One step's own derivatives at the states `x [n, S]`."""

    x: Array
    psi: Array  # [n+d, S]
    D: Array  # Dψ [n+d, n, S]
    gain: Array  # K Dψ [p, n, S]
    F: Array  # [n, n, S]
    Ru: Array  # [p, S]
    v: Array  # [p, S]


def expansion(K: Array, system: System, points: Points, horizon: int) -> Expansion:
    """Expand `C_T(K)` to second order over weighted points; K `[p, n+d]`, T = `horizon` static.

    Keeps the T states of each point. Not meant to be differentiated. Raises `InputError` for shapes
    that disagree or a horizon below 1.
    """
    K = real_array("K", K)
    check_policy(K, system, points, horizon)
    system = symmetric_cost(system)
    states, total = _simulate(K, system, points.points.T, horizon)
    (num, n), size = points.points.shape, K.size
    start = _Behind(
        jnp.zeros((n, num), K.dtype),
        jnp.zeros((n, n, num), K.dtype),
        jnp.zeros((n, size, num), K.dtype),
        jnp.zeros_like(K),
        jnp.zeros((size, size), K.dtype),
    )

    def step(behind: _Behind, x: Array) -> tuple[_Behind, None]:
        local = _differentiate(K, system, x, behind.slope)
        return _back(K, system, points.weights, local, behind), None

    found = lax.scan(step, start, states, reverse=True)[0]
    cost = jnp.sum(points.weights * total)
    return Expansion(cost, found.gradient, found.half + found.half.T)


def _simulate(K: Array, system: System, x0: Array, horizon: int) -> tuple[Array, Array]:
    """Simulate from `x0 [n, S]`: the states before each step `[T, n, S]`, the costs `[S]`."""
    loop = closed_loop(K, system)

    def step(lanes: Lanes, _: None) -> tuple[Lanes, Array]:
        return advance(K, loop, system, lanes)[0], lanes.x

    end, states = lax.scan(step, at_states(system, x0), None, length=horizon)
    return states, end.total


def _differentiate(K: Array, system: System, x: Array, slope: Array) -> _Local:
    psi, D = _regressors(system, x)
    # Without the barrier XLA fuses the features into every product below, and computes them anew
    # for each of its entries: three times slower.
    psi, D = lax.optimization_barrier((psi, D))
    Ru = -apply(system.R, apply(K, psi))
    v = 2 * Ru + apply(system.B.T, slope)
    return _Local(x, psi, D, _times(K, D), _times(closed_loop(K, system), D), Ru, v)


def _along_states(function: Callable[[Array], Array], x: Array) -> Array:
    """Derivative of `function` in each coordinate of `x [n, S]`, stacked as axis 1."""

    def along(direction: Array) -> Array:
        moved = jnp.broadcast_to(direction[:, None], x.shape)
        return jax.jvp(function, (x,), (moved,))[1]

    return jax.vmap(along, out_axes=1)(jnp.eye(len(x), dtype=x.dtype))


def _regressors(system: System, x: Array) -> tuple[Array, Array]:
    """ψ `[n+d, S]` and Dψ `[n+d, n, S]` at the states `[n, S]`."""

    def psi(x: Array) -> Array:
        return jnp.concatenate([x, lane_features(system, x)])

    return psi(x), _along_states(psi, x)


def _bending(K: Array, system: System, at: _Local, slope: Array) -> Array:
    """`Σ_c (C'λ - K2'v)_c ∇²φ_c(x)`, `[n, n, S]`, with λ the slope `[n, S]`."""
    if not system.d:
        return jnp.zeros((*system.A.shape, at.x.shape[-1]), at.x.dtype)
    weights = apply(system.C.T, slope) - apply(K[:, system.n :].T, at.v)

    def pulled(y: Array) -> Array:
        return jax.vjp(lambda z: lane_features(system, z), y)[1](weights)[0]

    return _along_states(pulled, at.x)


def _lanes(M: Array) -> Array:
    return M if M.ndim == 3 else M[:, :, None]


def _times(M: Array, N: Array) -> Array:
    """`M N` lane by lane, `[a, b]` and `[b, c]` with lanes last or shared by all.

    Written out over b: one elementwise loop over the lanes, which vectorises.
    """
    M, N = _lanes(M), _lanes(N)
    terms = [M[:, j, None] * N[j, None] for j in range(len(N))]
    return sum(terms[1:], start=terms[0])


def _pull(M: Array, N: Array) -> Array:
    """`M'N` lane by lane, `[b, a]` and `[b, c]`."""
    M, N = _lanes(M), _lanes(N)
    terms = [M[j, :, None] * N[j, None] for j in range(len(N))]
    return sum(terms[1:], start=terms[0])


def _back(K: Array, system: System, weights: Array, at: _Local, behind: _Behind) -> _Behind:
    """The expansion at t from that at t + 1."""
    (p, m), n, S = K.shape, system.n, len(weights)
    psi, gain, F = at.psi, at.gain, at.F
    chex.assert_shape([psi, gain, F, at.v], [(m, S), (p, n, S), (n, n, S), (p, S)])
    chex.assert_shape([behind.bend, behind.mixed], [(n, n, S), (n, p * m, S)])
    pulled = _pull(F, behind.bend)  # F'X
    W = 2 * system.R[:, :, None] + _times(_pull(system.B, behind.bend), system.B)
    G = _times(pulled, system.B) - 2 * _pull(gain, system.R)
    # Half of W ψψ' here, half from its mirror image.
    half = (W[:, :, None] * psi[None, None]).reshape(p, p * m, -1) / 2
    half = half - _pull(system.B, behind.mixed)
    weighted = (weights[None] * psi).T
    sums = matmul(half.reshape(p * p * m, -1), weighted).reshape(p, p * m, m)
    own = G[:, :, None] * psi[None, None] + at.v[None, :, None] * jnp.swapaxes(at.D, 0, 1)[:, None]
    return _Behind(
        2 * (apply(system.Q, at.x) - jnp.sum(gain * at.Ru[:, None], axis=0))
        + jnp.sum(F * behind.slope[:, None], axis=0),
        2 * (system.Q[:, :, None] + _pull(gain, _times(system.R, gain)))
        + _times(pulled, F)
        + _bending(K, system, at, behind.slope),
        _pull(F, behind.mixed) - own.reshape(n, p * m, -1),
        behind.gradient - matmul(at.v, weighted),
        behind.half + jnp.swapaxes(sums, 1, 2).reshape(p * m, p * m),
    )
