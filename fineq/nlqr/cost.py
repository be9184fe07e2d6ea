"""The expected cost of a policy over weighted initial states, and the horizon it needs.

`C_T(K) = Σ_s w_s Σ_{t=0}^{T-1} x_t'Qx_t + u_t'Ru_t` from x_0 = the s-th point: T stage costs, x_T
is not charged. C(K) is its limit, infinite where the closed loop does not bring every point to
rest.
Source: arXiv 2303.08431, section 2.
"""

import math
from collections.abc import Callable
from typing import TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.typing import ArrayLike

from fineq.errors import InputError
from fineq.nlqr.components import lane_features
from fineq.nlqr.infinite import CostStatus as CostStatus
from fineq.nlqr.infinite import InfiniteCost as InfiniteCost
from fineq.nlqr.infinite import infinite_cost as infinite_cost
from fineq.nlqr.laws import Points
from fineq.nlqr.problem import System

Carry = TypeVar("Carry")

LONGEST_STORED = 32  # steps whose states are simply kept for the reverse pass


def matmul(a: Array, b: Array) -> Array:
    """Return the product a b at full precision on every device."""
    return jnp.matmul(a, b, precision=lax.Precision.HIGHEST)


def check_policy(K: Array, system: System, points: Points, horizon: int) -> None:
    """Raise `InputError` for shapes that disagree or a horizon below 1."""
    if horizon < 1:
        raise InputError(f"horizon must be at least 1, got {horizon}")
    if K.shape != system.policy_shape:
        raise InputError(f"K must have shape {system.policy_shape}, got {K.shape}")
    if points.points.shape[-1] != system.n:
        raise InputError(
            f"points must have shape (S, {system.n}) for this system, got {points.points.shape}"
        )


def step(K: Array, system: System, x: Array) -> tuple[Array, Array, Array]:
    """Make one step from `x [n, S]`: next states, regressors `[n + d, S]` and costs `[S]`."""
    features = lane_features(system, x)
    psi = jnp.concatenate([x, features])
    u = -matmul(K, psi)
    costs = jnp.sum(x * matmul(system.Q, x), axis=0) + jnp.sum(u * matmul(system.R, u), axis=0)
    following = matmul(system.A, x) + matmul(system.B, u) + matmul(system.C, features)
    return following, psi, costs


def repeat(advance: Callable[[Carry], Carry], start: Carry, times: int) -> Carry:
    """Apply `advance` `times` times; the reverse pass stores only about 2 √times carries.

    Long runs are cut into about √times stretches, of which the reverse pass keeps the first carry
    and computes the others anew, one stretch at a time.
    """

    def run(carry: Carry, length: int) -> Carry:
        return lax.scan(lambda c, _: (advance(c), None), carry, None, length=length)[0]

    if times <= LONGEST_STORED:
        return run(start, times)
    length = math.isqrt(times)
    stretch = jax.checkpoint(lambda carry: run(carry, length), prevent_cse=False)
    carry = lax.scan(lambda c, _: (stretch(c), None), start, None, length=times // length)[0]
    return run(carry, times % length) if times % length else carry


def cost(K: Array, system: System, points: Points, horizon: int) -> Array:
    """Return `C_T(K)`, the expected cost of T = `horizon` steps over weighted points, a scalar.

    Differentiable in every array, in both modes and to any order, with memory for about 2 √T
    states in the reverse pass. K is `[p, n + d]`; `horizon` is static. inf or NaN where a rollout
    overflows. Raises `InputError` for shapes that disagree or a horizon below 1.
    """
    K = jnp.asarray(K)
    check_policy(K, system, points, horizon)

    def advance(carry: tuple[Array, Array]) -> tuple[Array, Array]:
        x, total = carry
        x, _, costs = step(K, system, x)
        return x, total + costs

    x0 = points.points.T
    total = repeat(advance, (x0, jnp.zeros_like(x0[0])), horizon)[1]
    return jnp.dot(points.weights, total, precision=lax.Precision.HIGHEST)


def regressor_sum(K: Array, system: System, points: Points, horizon: int) -> Array:
    """Return `Σ_ψψ = E Σ_{t<T} ψ(x_t) ψ(x_t)'`, `[n + d, n + d]`, over weighted points.

    Arguments as for `cost`; the matrix of the natural policy gradient.
    """
    K = jnp.asarray(K)
    check_policy(K, system, points, horizon)

    def advance(carry: tuple[Array, Array]) -> tuple[Array, Array]:
        x, total = carry
        x, psi, _ = step(K, system, x)
        return x, total + matmul(psi * points.weights[None], psi.T)

    size = system.n + system.d
    start = (points.points.T, jnp.zeros((size, size), points.points.dtype))
    return repeat(advance, start, horizon)[1]


def truncation_error(
    K: Array,
    system: System,
    points: Points,
    horizon: int,
    *,
    tolerance: ArrayLike = 1e-12,
    max_horizon: int = 2**16,
) -> Array:
    """Return `C(K) - C_T(K)`, a scalar: what T steps leave out of the infinite-horizon cost.

    inf where K does not stabilise; a lower bound where that stayed undecided. Known to about
    `tolerance · C(K)`. Arguments as for `infinite_cost`.
    """
    whole = infinite_cost(K, system, points, tolerance=tolerance, max_horizon=max_horizon)
    return whole.cost - cost(K, system, points, horizon)


def choose_horizon(
    K: Array,
    system: System,
    points: Points,
    *,
    tolerance: ArrayLike = 1e-12,
    max_horizon: int = 2**16,
) -> int:
    """Return a horizon T with truncation error at most `tolerance · C(K)`, a number on the host.

    K is `[p, n + d]`, or several policies `[..., p, n + d]` of the one system: then the longest
    that any of them needs. Raises `ValueError` where one of them is not found stable.
    """
    K = jnp.asarray(K)
    flat = K.reshape(-1, *K.shape[-2:])

    def look(one: Array) -> InfiniteCost:
        return infinite_cost(one, system, points, tolerance=tolerance, max_horizon=max_horizon)

    found = jax.jit(jax.vmap(look))(flat)
    stable = np.asarray(found.status) == CostStatus.STABLE
    if not stable.all():
        raise ValueError(
            f"no horizon is long enough: {int((~stable).sum())} of {len(flat)} policies were not "
            f"found stable within {max_horizon} steps"
        )
    return int(np.max(np.asarray(found.horizon)))
