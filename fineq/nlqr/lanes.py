"""One step of many rollouts at once, batch last: the dynamics of `fineq.nlqr.problem`, fast.

Rollouts stand in the last axis ("lanes"): states `[n, J]`; matrices are shared by all lanes or one
for each, `[a, b, J]`. Products are those of `fineq.fast.products`.
"""

from collections.abc import Callable
from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp
from jax import Array, lax

from fineq.fast.products import Entries, apply, dot, entries, matmul, quadratic
from fineq.fast.sine import sine
from fineq.nlqr.features import Sine, Tanh
from fineq.nlqr.problem import System

# Kernels that act on each coordinate by itself, φ_i(x) = scale · f(x_i).
ELEMENTWISE: dict[type, Callable[[Array], Array]] = {Sine: sine, Tanh: jnp.tanh}


class Lanes(NamedTuple):
    """Rollouts under way: states `x [n, J]`, features φ(x) `[d, J]`, costs so far `[J]`.

    φ(x) is carried beside x: formed inside a step it would be computed anew for every use.
    """

    x: Array
    features: Array
    total: Array


def lane_features(system: System, x: Array) -> Array:
    """Return φ of each lane, `[n, J] -> [d, J]`; sines by `fineq.fast.sine`."""
    function = ELEMENTWISE.get(type(system.phi))
    if function is not None:
        return system.scale * function(x)
    return jax.vmap(system.phi, in_axes=(-1, None), out_axes=-1)(x, system.scale)


def closed_loop_entries(K: Array, system: System) -> Entries:
    """Return `(A, C) - B K`, the closed loop `x' = M ψ(x)`, entry by entry, `n` rows of n + d."""
    plant = entries(jnp.concatenate([system.A, system.C], axis=1))
    gains, inputs = entries(K), entries(system.B)
    columns = list(zip(*gains, strict=True))
    return [
        [m - dot(b, column) for m, column in zip(row, columns, strict=True)]
        for row, b in zip(plant, inputs, strict=True)
    ]


def closed_loop(K: Array, system: System) -> Array:
    """Return `(A, C) - B K`, `[n, n + d]`, or `[n, n + d, J]` for K `[p, n + d, J]`."""
    plant = jnp.concatenate([system.A, system.C], axis=1)
    if K.ndim == 2:
        return plant - matmul(system.B, K)
    moved = jnp.tensordot(system.B, K, axes=1, precision=lax.Precision.HIGHEST)
    return plant[:, :, None] - moved


def advance(K: Array, loop: Array | None, system: System, lanes: Lanes) -> tuple[Lanes, Array]:
    """Make one step of the dynamics and add its cost: what all rollouts repeat.

    Equal to `next_state` and `stage_cost` of `fineq.nlqr.problem` at `control`, lane by lane.

    Args:
        K: the policy, `[p, n + d]`, or one for each lane, `[p, n + d, J]`.
        loop: `closed_loop(K, system)`, formed once outside the loop over time; None where that is
            dearer than the products with K, A, B and C.
        system: the system and its cost.
        lanes: states, their features and the costs so far.

    Returns:
        The lanes after the step, and the regressors ψ before it, `[n + d, J]`.
    """
    n, m = system.n, system.n + system.d
    chex.assert_shape([lanes.x, lanes.features], [(n, None), (system.d, None)])
    chex.assert_shape(K, (system.p, m, ...))
    psi = jnp.concatenate([lanes.x, lanes.features])
    against = apply(K, psi)
    total = lanes.total + quadratic(system.Q, lanes.x) + quadratic(system.R, against)
    if loop is not None:
        chex.assert_shape(loop, (n, m, ...))
        return at_states(system, apply(loop, psi), total), psi
    plant = jnp.concatenate([system.A, system.C], axis=1)
    return at_states(system, apply(plant, psi) - apply(system.B, against), total), psi


def at_states(system: System, x: Array, total: Array | None = None) -> Lanes:
    """Lanes at the states `x [n, J]`, with what they have cost, default nothing."""
    return Lanes(x, lane_features(system, x), jnp.zeros_like(x[0]) if total is None else total)
