"""Rollouts of `u = -K ψ(x)` by the million: the costs of many policies or many initial states.

`C_T = Σ_{t=0}^{T-1} x_t'Qx_t + u_t'Ru_t` with `x_{t+1} = A x_t + B u_t + C φ(x_t)`: T stage
costs, the first at x_0 and the last at x_{T-1}; x_T is not charged. Source: arXiv 2303.08431.

Two programs compute it. Short rollouts of small systems with a coordinatewise φ are written out in
full, all steps and entries, as one expression with one result: XLA compiles it to a single loop
over rollouts whose state never leaves the registers, split over the cores. The others scan over
time, on CPU in blocks of rollouts that stay in a core's cache.
"""

from collections.abc import Callable
from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.custom_batching import custom_vmap

from fineq.arrays import real_array
from fineq.errors import InputError
from fineq.fast.blocks import in_blocks
from fineq.fast.products import dot, entries, form
from fineq.nlqr.doors import check_arrays
from fineq.nlqr.lanes import (
    ELEMENTWISE,
    advance,
    at_states,
    closed_loop,
    closed_loop_entries,
)
from fineq.nlqr.problem import System, control, next_state, stage_cost

# Multiply-adds of one rollout that XLA's CPU compiler still keeps in one loop without computing
# anything twice: measured limits are 1500 to 1600 for n = 1 to 6, with a steep penalty beyond.
LARGEST_WHOLE = 1250
BLOCK = 256  # lanes: small enough that XLA does not split an operation over cores, which costs more
LARGEST_MERGED = 128  # entries of a closed loop worth keeping per lane instead of K, A, B and C
FEWEST_LANES = 64  # below it one member alone does not fill the vector units for long


class Trajectory(NamedTuple):
    """One rollout: `states [T + 1, n]` from x_0 to x_T, `controls [T, p]`, stage `costs [T]`."""

    states: Array
    controls: Array
    costs: Array


def trajectory(K: Array, x0: Array, system: System, horizon: int) -> Trajectory:
    """Roll out one policy K `[p, n + d]` from one state x0 `[n]` for `horizon` steps.

    The sum of `costs` is C_T. Raises `InputError` for shapes that disagree or a horizon below 1.
    """
    K, x0 = real_array("K", K), real_array("x0", x0, 1)
    _check(K, x0[:, None], system, horizon)

    def step(x: Array, _: None) -> tuple[Array, tuple[Array, Array, Array]]:
        u = control(system, K, x)
        return next_state(system, x, u), (x, u, stage_cost(system, x, u))

    last, (states, controls, costs) = lax.scan(step, x0, None, length=horizon)
    return Trajectory(jnp.concatenate([states, last[None]]), controls, costs)


def rollout_costs(K: Array, x0: Array, system: System, horizon: int) -> Array:
    """Return the cost `C_T` of each of J rollouts, `[J]`.

    Args:
        K: one policy `[p, n + d]` for all rollouts, or one for each, `[p, n + d, J]`.
        x0: initial states `[n, J]`, batch last.
        system: the system and its cost.
        horizon: T, the number of stage costs; static, at least 1.

    A rollout that overflows costs inf or NaN. `jax.vmap` over members, each with its own system and
    policies, is as fast as one member. Forward-mode derivatives work throughout, reverse mode only
    for short horizons: `fineq.nlqr.cost` is the differentiable one.

    Raises:
        InputError: shapes that disagree, or a horizon below 1.
    """
    K, x0 = real_array("K", K), real_array("x0", x0)
    _check(K, x0, system, horizon)
    if fits_whole(system, horizon):
        return _whole(K, x0, system, horizon)
    return _scanned(K, x0, system, horizon)


def fits_whole(system: System, horizon: int) -> bool:
    """Say whether a rollout of `horizon` steps is small enough to be written out in full."""
    n, p, d = system.n, system.p, system.d
    operations = (n + p) * (n + d) + n * n + p * p + 16 * d
    return type(system.phi) in ELEMENTWISE and horizon * operations <= LARGEST_WHOLE


def _check(K: Array, x0: Array, system: System, horizon: int) -> None:
    if horizon < 1:
        raise InputError(f"horizon must be at least 1, got {horizon}")
    check_arrays(system)
    if x0.ndim != 2 or x0.shape[0] != system.n:
        raise InputError(f"x0 must have shape ({system.n}, J) for this system, got {x0.shape}")
    if K.shape not in (system.policy_shape, (*system.policy_shape, x0.shape[1])):
        raise InputError(
            f"K must have shape {system.policy_shape}, with one more axis of length {x0.shape[1]} "
            f"for a policy per rollout, got {K.shape}"
        )


def _whole(K: Array, x0: Array, system: System, horizon: int) -> Array:
    chex.assert_rank([K, x0], [{2, 3}, 2])
    function = ELEMENTWISE[type(system.phi)]
    loop, gains = closed_loop_entries(K, system), entries(K)
    Q, R = entries(system.Q), entries(system.R)
    x, total = list(x0), jnp.zeros_like(x0[0])
    for t in range(horizon):
        psi = [*x, *(system.scale * function(xi) for xi in x)]
        total = total + form(Q, x) + form(R, [dot(row, psi) for row in gains])
        if t + 1 < horizon:
            x = [dot(row, psi) for row in loop]
    return total


def _scanned(K: Array, x0: Array, system: System, horizon: int) -> Array:
    leaves, structure = jax.tree.flatten(system)

    def core(K: Array, x0: Array, *leaves: Array) -> Array:
        return _scan(K, x0, jax.tree.unflatten(structure, leaves), horizon)

    return _by_members(core, x0.shape[1])(K, x0, *leaves)


def _scan(K: Array, x0: Array, system: System, horizon: int) -> Array:
    merged = closed_loop(K, system) if system.n * K.shape[1] <= LARGEST_MERGED else None
    start = at_states(system, x0)
    end = lax.scan(lambda x, _: (advance(K, merged, system, x)[0], None), start, length=horizon)[0]
    return end.total


def _by_members(core: Callable[..., Array], num_lanes: int) -> Callable[..., Array]:
    """`core(K, x0, ...)`, which under `vmap` on CPU goes through the members one after the other.

    A member's lanes then stay in cache for its whole rollout. Other devices take all at once.
    """
    if num_lanes < FEWEST_LANES:
        return core

    @custom_vmap
    def run(*arrays: Array) -> Array:
        return lax.platform_dependent(*arrays, cpu=lambda *a: _in_blocks(core, *a), default=core)

    @run.def_vmap
    def _(axis_size: int, batched: list[bool], *arrays: Array) -> tuple[Array, bool]:
        axes = [0 if b else None for b in batched]

        def one_by_one(*arrays: Array) -> Array:
            def member(i: Array) -> Array:
                return run(*(x[i] if b else x for x, b in zip(arrays, batched, strict=True)))

            return lax.map(member, jnp.arange(axis_size))

        together = jax.vmap(core, in_axes=axes)
        return lax.platform_dependent(*arrays, cpu=one_by_one, default=together), True

    return run


def _in_blocks(core: Callable[..., Array], K: Array, x0: Array, *leaves: Array) -> Array:
    if K.ndim == 2:
        return in_blocks(lambda x: core(K, x, *leaves), BLOCK, x0, axis=-1)
    return in_blocks(lambda K, x: core(K, x, *leaves), BLOCK, K, x0, axis=-1)
