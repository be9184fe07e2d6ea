"""The expected cost of a policy over weighted initial states, and the horizon it needs.

`C_T(K) = Σ_s w_s Σ_{t=0}^{T-1} x_t'Qx_t + u_t'Ru_t` from x_0 = the s-th point: T stage costs, x_T
is not charged. C(K) is its limit, infinite where the closed loop does not bring every point to
rest. Source: arXiv 2303.08431, section 2.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.custom_derivatives import SymbolicZero
from jax.typing import ArrayLike

from fineq.arrays import real_array
from fineq.errors import InputError
from fineq.fast.products import matmul
from fineq.nlqr.adjoint import LONGEST_STORED, cost_and_gradient
from fineq.nlqr.doors import check_policy
from fineq.nlqr.infinite import CostStatus as CostStatus
from fineq.nlqr.infinite import InfiniteCost as InfiniteCost
from fineq.nlqr.infinite import infinite_cost as infinite_cost
from fineq.nlqr.lanes import Lanes, advance, at_states, closed_loop
from fineq.nlqr.laws import Points
from fineq.nlqr.problem import System, control, next_state, stage_cost
from fineq.nlqr.rollout import rollout_costs

Carry = TypeVar("Carry")


def repeat(step: Callable[[Carry], Carry], start: Carry, times: int) -> Carry:
    """Apply `step` `times` times; the reverse pass stores only about 2 √times carries.

    Long runs are cut into about √times stretches, of which the reverse pass keeps the first carry
    and computes the others anew, one stretch at a time.
    """

    def run(carry: Carry, length: int) -> Carry:
        return lax.scan(lambda c, _: (step(c), None), carry, None, length=length)[0]

    if times <= LONGEST_STORED:
        return run(start, times)
    length = math.isqrt(times)
    stretch = jax.checkpoint(lambda carry: run(carry, length), prevent_cse=False)
    carry = lax.scan(lambda c, _: (stretch(c), None), start, None, length=times // length)[0]
    return run(carry, times % length) if times % length else carry


def cost(K: Array, system: System, points: Points, horizon: int) -> Array:
    """Return `C_T(K)`, the expected cost of T = `horizon` steps over weighted points, a scalar.

    Differentiable in every array, in both modes and to any order. Derivatives in K come from
    `fineq.nlqr.adjoint`, those in the system and the points from the rollout; either way the
    reverse pass keeps about 2 √T states of each point. K is `[p, n + d]`; `horizon` is static.
    inf or NaN where a rollout overflows. Raises `InputError` for shapes that disagree or a horizon
    below 1.
    """
    K = real_array("K", K)
    check_policy(K, system, points, horizon)
    return _cost(horizon, K, system, points)


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def _cost(horizon: int, K: Array, system: System, points: Points) -> Array:
    return jnp.sum(points.weights * rollout_costs(K, points.points.T, system, horizon))


@partial(_cost.defjvp, symbolic_zeros=True)
def _cost_jvp(horizon: int, primals: Any, tangents: Any) -> tuple[Array, Array]:
    K, system, points = primals
    moved, *others = tangents
    if all(_still(t) for t in jax.tree.leaves(others, is_leaf=_still)):
        value, gradient = cost_and_gradient(K, system, points, horizon)
        return value, jnp.sum(gradient * moved)
    whole = jax.tree.map(
        lambda t: jnp.zeros(t.shape, t.dtype) if _still(t) else t, tangents, is_leaf=_still
    )
    return jax.jvp(partial(_rolled_out, horizon), primals, tuple(whole))


def _still(tangent: Any) -> bool:
    return isinstance(tangent, SymbolicZero)


def _rolled_out(horizon: int, K: Array, system: System, points: Points) -> Array:
    """The same cost by steps of single states, whose reverse pass XLA makes faster than lanes'."""

    def one(x: Array) -> tuple[Array, Array]:
        u = control(system, K, x)
        return next_state(system, x, u), stage_cost(system, x, u)

    def step(carry: tuple[Array, Array]) -> tuple[Array, Array]:
        x, total = carry
        x, costs = jax.vmap(one)(x)
        return x, total + costs

    with jax.default_matmul_precision("highest"):
        total = repeat(step, (points.points, jnp.zeros_like(points.weights)), horizon)[1]
    return jnp.sum(points.weights * total)


def regressor_sum(K: Array, system: System, points: Points, horizon: int) -> Array:
    """Return `Σ_ψψ = E Σ_{t<T} ψ(x_t) ψ(x_t)'`, `[n + d, n + d]`, over weighted points.

    Arguments as for `cost`; the matrix of the natural policy gradient.
    """
    K = real_array("K", K)
    check_policy(K, system, points, horizon)
    loop = closed_loop(K, system)

    def add(carry: tuple[Lanes, Array]) -> tuple[Lanes, Array]:
        lanes, total = carry
        lanes, psi = advance(K, loop, system, lanes)
        return lanes, total + matmul(psi * points.weights[None], psi.T)

    size = system.n + system.d
    start = at_states(system, points.points.T), jnp.zeros((size, size), points.points.dtype)
    return repeat(add, start, horizon)[1]


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
    that any of them needs. Raises `InputError` where one of them is not found stable.
    """
    K = jnp.asarray(K)
    flat = K.reshape(-1, *K.shape[-2:])

    def look(one: Array) -> InfiniteCost:
        return infinite_cost(one, system, points, tolerance=tolerance, max_horizon=max_horizon)

    found = jax.jit(jax.vmap(look))(flat)
    stable = np.asarray(found.status) == CostStatus.STABLE
    if not stable.all():
        raise InputError(
            f"no horizon is long enough: {int((~stable).sum())} of {len(flat)} policies were not "
            f"found stable within {max_horizon} steps"
        )
    return int(np.max(np.asarray(found.horizon)))
