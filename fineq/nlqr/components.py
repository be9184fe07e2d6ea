"""One step of many rollouts at once, batch last, in forms that XLA compiles to fast CPU code.

Rollouts stand in the last axis ("lanes"): states `[n, J]`, matrices `[a, b]` shared by all lanes or
`[a, b, J]`, one for each. Small products are written out entry by entry: then XLA emits one
vectorised loop over the lanes, where a sum over a middle axis or a batched product costs several
times as much (measured on CPU, float64, n = p = d = 3).
"""

import functools
import operator
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from fineq.arrays import real_array
from fineq.errors import InputError
from fineq.fast.sine import sine
from fineq.nlqr.features import Sine, Tanh
from fineq.nlqr.laws import Points
from fineq.nlqr.problem import System

# Entries up to which a product is written out: matrices shared by all lanes, and one per lane.
LARGEST_SHARED, LARGEST_OWN = 64, 512

# Kernels that act on each coordinate by itself, φ_i(x) = scale · f(x_i).
ELEMENTWISE: dict[type, Callable[[Array], Array]] = {Sine: sine, Tanh: jnp.tanh}

Entries = list[list[Array]]


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


def check_arrays(system: System) -> None:
    """Raise `InputError` unless the arrays of a system are real and their shapes agree."""
    n, p, d = system.n, system.p, system.d
    if 0 in (n, p):
        raise InputError(f"a system needs n >= 1 states and p >= 1 controls, got n = {n}, p = {p}")
    wanted = {"A": (n, n), "B": (n, p), "C": (n, d), "Q": (n, n), "R": (p, p), "scale": ()}
    for name, shape in wanted.items():
        array = real_array(f"system.{name}", getattr(system, name))
        if array.shape != shape:
            raise InputError(
                f"system.{name} must have shape {shape} for n = {n}, p = {p} and d = {d}, "
                f"got {array.shape}"
            )


def check_policy(K: Array, system: System, points: Points, horizon: int) -> None:
    """Raise `InputError` for arrays that are not real or do not fit, or a horizon below 1."""
    if horizon < 1:
        raise InputError(f"horizon must be at least 1, got {horizon}")
    check_arrays(system)
    real_array("K", K)
    real_array("points", points.points)
    real_array("weights", points.weights)
    if K.shape != system.policy_shape:
        raise InputError(f"K must have shape {system.policy_shape}, got {K.shape}")
    if points.points.shape[-1] != system.n:
        raise InputError(
            f"points must have shape (S, {system.n}) for this system, got {points.points.shape}"
        )
    if points.weights.shape != points.points.shape[:1] or not points.weights.size:
        raise InputError(
            f"weights must have shape (S,) for points of shape {points.points.shape}, at least "
            f"one, got {points.weights.shape}"
        )


def matmul(a: Array, b: Array) -> Array:
    """Return the product a b at full precision on every device."""
    return jnp.matmul(a, b, precision=lax.Precision.HIGHEST)


def entries(M: Array) -> Entries:
    """Return the entries of a matrix, scalars or lanes, as nested lists."""
    return [[M[i, j] for j in range(M.shape[1])] for i in range(M.shape[0])]


def dot(a: Sequence[Array], b: Sequence[Array]) -> Array:
    """Return `Σ_i a_i b_i` of equally long sequences of scalars or lanes."""
    return functools.reduce(operator.add, [x * y for x, y in zip(a, b, strict=True)])


def form(M: Entries, x: Sequence[Array]) -> Array:
    """Return the quadratic form x'Mx in entries."""
    return dot(x, [dot(row, x) for row in M])


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


def apply(M: Array, v: Array) -> Array:
    """Return M v lane by lane, `[a, b]` or `[a, b, J]` with `[b, J]` -> `[a, J]`."""
    if M.shape[0] * M.shape[1] <= (LARGEST_SHARED if M.ndim == 2 else LARGEST_OWN):
        return jnp.stack([dot(row, list(v)) for row in entries(M)])
    if M.ndim == 2:
        return matmul(M, v)
    return jnp.sum(M * v[None], axis=1)


def quadratic(M: Array, v: Array) -> Array:
    """Return v'Mv lane by lane, `[a, a]` with `[a, J]` -> `[J]`."""
    if M.size <= LARGEST_SHARED:
        return form(entries(M), list(v))
    return jnp.sum(v * apply(M, v), axis=0)


class Step(NamedTuple):
    """One step of many lanes: the regressors ψ before it `[n + d, J]`, the total cost after it
    `[J]`, and the next states `[n, J]`.
    """

    psi: Array
    total: Array
    following: Array


def advance(K: Array, loop: Array | None, system: System, lanes: Lanes) -> Step:
    """Make one step of the dynamics and add its cost: what all rollouts repeat.

    Args:
        K: the policy, `[p, n + d]`, or one for each lane, `[p, n + d, J]`.
        loop: `closed_loop(K, system)`, formed once outside the loop over time; None where that is
            dearer than the products with K, A, B and C.
        system: the system and its cost.
        lanes: states, their features and the costs so far.
    """
    psi = jnp.concatenate([lanes.x, lanes.features])
    against = apply(K, psi)
    total = lanes.total + quadratic(system.Q, lanes.x) + quadratic(system.R, against)
    if loop is not None:
        return Step(psi, total, apply(loop, psi))
    plant = jnp.concatenate([system.A, system.C], axis=1)
    return Step(psi, total, apply(plant, psi) - apply(system.B, against))


def at_states(system: System, x: Array, total: Array | None = None) -> Lanes:
    """Lanes at the states `x [n, J]`, with what they have cost, default nothing."""
    return Lanes(x, lane_features(system, x), jnp.zeros_like(x[0]) if total is None else total)
