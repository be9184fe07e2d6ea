"""The exact gradient of the T-step cost, by the adjoint recursion of the closed loop.

With `ψ = (x, φ(x))`, `u = -K ψ` and λ_T = 0, backwards in t

    v_t = 2 R u_t + B'λ_{t+1},
    λ_t = 2 Q x_t + A'λ_{t+1} - K1'v_t + ∇φ(x_t)' (C'λ_{t+1} - K2'v_t),
    ∇C_T(K) = -E Σ_t v_t ψ_t'.

The same numbers as reverse-mode differentiation of `fineq.nlqr.cost.cost`, in a fraction of its
time; and a plain program, so that forward mode through it gives exact Hessian-vector products.
"""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from fineq.nlqr.components import apply, lane_features, quadratic
from fineq.nlqr.cost import LONGEST_STORED, check_policy
from fineq.nlqr.gradients.info import Estimator, GradientInfo, Scalar
from fineq.nlqr.gradients.sampling import check_counts
from fineq.nlqr.laws import Points, quadrature
from fineq.nlqr.problem import Problem, System


class CostAndGradient(NamedTuple):
    """The cost `C_T(K)`, a scalar, and its gradient `[p, n + d]`."""

    cost: Array
    gradient: Array


def make_exact(horizon: int, degree: int = 20) -> Estimator:
    """Bind T = `horizon` and the degree of the quadrature that stands for the initial law.

    Returns `(key, K, problem, radius) -> GradientInfo` that ignores its key and radius. A law of
    weighted points is taken as it is; others through `fineq.nlqr.laws.quadrature`, which raises
    `InputError` for n > 3. Raises `InputError` for a horizon below 1.
    """
    check_counts(horizon, 1)

    def exact(key: Any, K: Array, problem: Problem, radius: Scalar) -> GradientInfo:
        del key, radius
        points = quadrature(problem.law, degree)
        found = cost_and_gradient(K, problem.system, points, horizon)
        return GradientInfo(found.gradient, found.cost, jnp.zeros((), K.dtype))

    return exact


def cost_and_gradient(K: Array, system: System, points: Points, horizon: int) -> CostAndGradient:
    """Return `C_T(K)` and `∇C_T(K)` over weighted points; K `[p, n + d]`, `horizon` static.

    Keeps about 2 √T states of each point: the states at the heads of √T stretches, and one stretch
    at a time simulated anew. Raises `InputError` as `fineq.nlqr.cost.cost`.
    """
    K = jnp.asarray(K)
    check_policy(K, system, points, horizon)
    length = horizon if horizon <= LONGEST_STORED else math.isqrt(horizon)
    count, rest = divmod(horizon, length)

    def forward(x: Array, _: None) -> tuple[Array, Array]:
        return _states(K, system, x, length)[0], x

    x, heads = lax.scan(forward, points.points.T, None, length=count)
    adjoint, gradient, total = jnp.zeros_like(x), jnp.zeros_like(K), jnp.zeros_like(x[0])
    carry = (adjoint, gradient, total)
    if rest:
        carry = _stretch(K, system, points, x, rest, carry)

    def back(carry: tuple[Array, ...], head: Array) -> tuple[tuple[Array, ...], None]:
        return _stretch(K, system, points, head, length, carry), None

    _, gradient, total = lax.scan(back, carry, heads, reverse=True)[0]
    return CostAndGradient(jnp.sum(points.weights * total), gradient)


def _states(K: Array, system: System, x: Array, length: int) -> tuple[Array, Array]:
    """Simulate `length` steps from `x [n, S]`: the state after them, and those before each."""

    def step(x: Array, _: None) -> tuple[Array, Array]:
        features = lane_features(system, x)
        u = -apply(K, jnp.concatenate([x, features]))
        return apply(system.A, x) + apply(system.B, u) + apply(system.C, features), x

    return lax.scan(step, x, None, length=length)


def _stretch(
    K: Array,
    system: System,
    points: Points,
    head: Array,
    length: int,
    carry: tuple[Array, ...],
) -> tuple[Array, ...]:
    """Take adjoint `[n, S]`, gradient and costs `[S]` back over `length` steps from `head`."""
    adjoint, gradient, total = carry
    _, states = _states(K, system, head, length)
    K1, K2 = K[:, : system.n], K[:, system.n :]

    def step(carry: tuple[Array, Array], x: Array) -> tuple[tuple[Array, Array], tuple[Array, ...]]:
        adjoint, total = carry
        features, pull_back = jax.vjp(lambda x: lane_features(system, x), x)
        psi = jnp.concatenate([x, features])
        u = -apply(K, psi)
        total = total + quadratic(system.Q, x) + quadratic(system.R, u)
        v = 2 * apply(system.R, u) + apply(system.B.T, adjoint)
        behind = 2 * apply(system.Q, x) + apply(system.A.T, adjoint) - apply(K1.T, v)
        (bent,) = pull_back(apply(system.C.T, adjoint) - apply(K2.T, v))
        return (behind + bent, total), (v, psi)

    (adjoint, total), (v, psi) = lax.scan(step, (adjoint, total), states, reverse=True)
    return adjoint, gradient - _contract(v * points.weights[None, None], psi), total


def _contract(v: Array, psi: Array) -> Array:
    """Return `Σ_t Σ_s v[t, :, s] psi[t, :, s]'`, `[p, n + d]`."""
    flat_v = jnp.moveaxis(v, 1, 0).reshape(v.shape[1], -1)
    flat_psi = jnp.moveaxis(psi, 1, 0).reshape(psi.shape[1], -1)
    return jnp.matmul(flat_v, flat_psi.T, precision=lax.Precision.HIGHEST)
