"""Reference optimum K*: Newton's method to the last digits, from many stabilising starts.

The cost is smooth near a stabilising policy but not convex far from one, so each step solves the
Newton system with the absolute values of the Hessian's eigenvalues and takes the best of a fixed
set of step lengths. Near a minimum this is Newton's method and converges quadratically.
The Newton decrement is `½ g' H^{-1} g`: to second order, the cost that is left to gain.
Where a dense Hessian does not fit: `fineq.nlqr.lbfgs`.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike

from fineq.nlqr.expansion import Expansion

Objective = Callable[[Array, Any], Array]
Expand = Callable[[Array, Any], Expansion]

# 1, 1/2, ..., 2^-12: below that a Newton direction that does not descend is rounding.
STEP_LENGTHS = tuple(0.5**i for i in range(13))
# Rounding units of the cost within which costs do not tell policies apart.
ROUNDING_UNITS = 64


class NewtonState(NamedTuple):
    """The policy `K [p, n+d]` and its cost."""

    K: Array
    cost: Array


class NewtonInfo(NamedTuple):
    """Quantities at the policy the step *started* from.

    Attributes:
        decrement: `½ g' |H|^{-1} g`, in units of cost.
        relative_decrement: the decrement over the cost.
        mu: smallest Hessian eigenvalue; negative where the cost is not convex.
        h: largest.
        step: accepted step length, 0 when no length lowered the cost.
    """

    decrement: Array
    relative_decrement: Array
    mu: Array
    h: Array
    step: Array


def hessian(objective: Objective, K: Array, problem: Any) -> Array:
    """Hessian of the objective in the entries of K (row-major), `[p(n+d), p(n+d)]`.

    Forward over reverse: one reverse pass, differentiated along each entry.
    """

    def gradient(flat: Array) -> Array:
        return jax.grad(objective)(flat.reshape(K.shape), problem).ravel()

    basis = jnp.eye(K.size, dtype=K.dtype)
    H = jax.vmap(lambda v: jax.jvp(gradient, (K.ravel(),), (v,))[1])(basis)
    return (H + H.T) / 2


def differentiated(objective: Objective) -> Expand:
    """Cost, gradient and Hessian of any objective, by automatic differentiation."""

    def expand(K: Array, problem: Any) -> Expansion:
        cost, gradient = jax.value_and_grad(objective)(K, problem)
        return Expansion(cost, gradient, hessian(objective, K, problem))

    return expand


def make_newton(objective: Objective, expand: Expand | None = None) -> Callable:
    """A deterministic kernel `(state, problem) -> (state, info)` that minimises `objective`.

    Args:
        objective: `(K, problem) -> scalar`, twice differentiable.
        expand: `(K, problem) -> Expansion` of it, where there is a faster way than differentiation.

    Returns:
        The kernel; its state is a `NewtonState`, its info a `NewtonInfo`.
    """
    expand = expand or differentiated(objective)

    def step(state: NewtonState, problem: Any) -> tuple[NewtonState, NewtonInfo]:
        here = expand(state.K, problem)
        values, vectors = jnp.linalg.eigh(here.hessian)
        direction, decrement = _newton_direction(here.gradient.ravel(), values, vectors)
        lengths = jnp.asarray(STEP_LENGTHS, state.K.dtype)
        candidates = state.K[None] - lengths[:, None, None] * direction.reshape(1, *state.K.shape)
        costs = jax.vmap(objective, in_axes=(0, None))(candidates, problem)
        costs = jnp.where(jnp.isfinite(costs), costs, jnp.inf)
        best, better = _choose(costs, state.cost, decrement, values[0])
        accepted = NewtonState(
            jnp.where(better, candidates[best], state.K), jnp.where(better, costs[best], state.cost)
        )
        length = jnp.where(better, lengths[best], 0.0)
        relative = decrement / state.cost
        return accepted, NewtonInfo(decrement, relative, values[0], values[-1], length)

    return step


def _choose(costs: Array, cost: Array, decrement: Array, mu: Array) -> tuple[Array, Array]:
    """The index of the step length to take, and whether to take it.

    The one of least cost, if it descends; near a minimum, where the gain is lost in the rounding
    of the costs, the full step: there Newton's method knows better than the costs.
    """
    rounding = ROUNDING_UNITS * jnp.finfo(cost.dtype).eps * jnp.abs(cost)
    final = (mu > 0) & (decrement <= rounding) & (costs[0] <= cost + rounding)
    best = jnp.where(final, 0, jnp.argmin(costs))
    return best, final | (costs[best] < cost)


def _newton_direction(g: Array, values: Array, vectors: Array) -> tuple[Array, Array]:
    """`|H|^{-1} g` and `½ g' |H|^{-1} g`, with eigenvalues floored at rounding of the largest."""
    largest = jnp.max(jnp.abs(values))
    floor = largest * g.size * jnp.finfo(g.dtype).eps + jnp.finfo(g.dtype).tiny
    coordinates = vectors.T @ g
    scaled = coordinates / jnp.maximum(jnp.abs(values), floor)
    return vectors @ scaled, jnp.sum(coordinates * scaled) / 2


def stabilising_starts(
    key: Array,
    K: Array,
    radius: ArrayLike,
    num: int,
    stabilises: Callable[[Array], Array],
) -> tuple[Array, Array]:
    """Random policies around K, with a mask of those that stabilise.

    Each is `K + s U` with U uniform on the Frobenius sphere and s uniform on [0, radius]; where it
    does not stabilise, s is halved up to ten times.

    Args:
        key: random key.
        K: centre `[p, n+d]`.
        radius: largest distance from the centre.
        num: how many starts (static).
        stabilises: `K -> bool`, jittable.

    Returns:
        `(starts [num, p, n+d], stable [num])`.
    """
    key_direction, key_length = jax.random.split(key)
    U = jax.random.normal(key_direction, (num, *K.shape), K.dtype)
    U = U / jnp.linalg.norm(U, axis=(1, 2), keepdims=True)
    length = radius * jax.random.uniform(key_length, (num,), K.dtype)

    def shrink(_: int, carry: tuple[Array, Array]) -> tuple[Array, Array]:
        length, stable = carry
        length = jnp.where(stable, length, length / 2)
        return length, stable | jax.vmap(stabilises)(K[None] + length[:, None, None] * U)

    stable = jax.vmap(stabilises)(K[None] + length[:, None, None] * U)
    length, stable = jax.lax.fori_loop(0, 10, shrink, (length, stable))
    return K[None] + length[:, None, None] * U, stable


class Minima(NamedTuple):
    """Distinct minima among the end points of several descents.

    Attributes:
        number: how many distinct minima.
        labels: which minimum each end point reached `[S]`; 0 is the lowest, -1 not converged.
        fraction: share of all end points that reached the lowest minimum.
    """

    number: int
    labels: np.ndarray
    fraction: float


def distinct_minima(
    costs: np.ndarray, policies: np.ndarray, converged: np.ndarray, tolerance: float = 1e-5
) -> Minima:
    """Group end points whose costs and policies agree.

    Two end points are the same minimum when both their costs and their policies agree to
    `tolerance`, relative to the lower of the two (policies: to one plus its norm).

    Args:
        costs: `[S]`.
        policies: `[S, p, n+d]`.
        converged: `[S]`; the others are labelled -1.
        tolerance: relative.
    """
    labels = np.full(len(costs), -1)
    representatives: list[int] = []
    for index in np.argsort(costs, kind="stable"):
        if not converged[index]:
            continue
        same = [
            label
            for label, other in enumerate(representatives)
            if _same(costs, policies, index, other, tolerance)
        ]
        labels[index] = same[0] if same else len(representatives)
        if not same:
            representatives.append(int(index))
    fraction = float(np.mean(labels == 0)) if len(labels) else 0.0
    return Minima(len(representatives), labels, fraction)


def _same(costs: np.ndarray, policies: np.ndarray, i: int, j: int, tolerance: float) -> bool:
    scale = 1.0 + np.linalg.norm(policies[j])
    close = np.linalg.norm(policies[i] - policies[j]) <= tolerance * scale
    return bool(close and abs(costs[i] - costs[j]) <= tolerance * abs(costs[j]))
