"""The two biases of a zeroth-order gradient at one policy: truncation and smoothing.

Truncation: the gradient
of the T-step cost against that of the infinite-horizon cost; what is left out decays like ρ^(2T), ρ
the spectral radius of the closed loop at rest. Smoothing: the gradient of
`C_r(K) = E C(K + V)`, V uniform on the ball `|V| <= r`, against that of C; of order r².
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.typing import ArrayLike

from fineq.nlqr.costs import cost
from fineq.nlqr.lanes import Lanes, advance, at_states, closed_loop
from fineq.nlqr.laws import Points
from fineq.nlqr.problem import Problem, System
from fineq.nlqr.random_systems import spectral_radius
from fineq.nlqr.stability import linearisation


class GradientBias(NamedTuple):
    """What is known exactly about the gradient at one policy.

    Attributes:
        policy: the policy K, `[p, n + d]`.
        gradient: of the T-step cost that rollouts see, `[p, n + d]`.
        size: its Frobenius norm.
        rms_cost: root of `E C(K, x0)²` of the same cost, over the initial states.
        rms_gradient: root of `E |∇C(K, x0)|²`.
        radius: spectral radius ρ of the closed loop at rest.
        cost_truncated: `C - C_T` over C for T = 1, 2, ..., `[T]`.
        gradient_truncated: `|∇C - ∇C_T|` over `|∇C|`, `[T]`.
        smoothed: `|∇C_r - ∇C|` over `|∇C|` for each radius, `[R]`, of the T-step cost.
    """

    policy: Array
    gradient: Array
    size: Array
    rms_cost: Array
    rms_gradient: Array
    radius: Array
    cost_truncated: Array
    gradient_truncated: Array
    smoothed: Array


def gradient_bias(
    problem: Problem, K: Array, horizon: int, longest: int, radii: Array
) -> GradientBias:
    """Measure both biases at K.

    Args:
        problem: with weighted points.
        K: `[p, n + d]`, stabilising.
        horizon: T of the rollouts.
        longest: a horizon that stands for the infinite one.
        radii: `[R]`.
    """
    system, points = problem.system, problem.points
    assert points is not None
    stages = stage_costs(K, system, points, longest)
    costs = jnp.cumsum(points.weights @ stages)
    moves = jax.jacfwd(lambda K: stage_costs(K, system, points, longest))(K)
    slopes = jnp.cumsum(jnp.tensordot(points.weights, moves, 1), axis=0)
    by_state = jnp.sum(moves[:, :horizon], axis=1)
    gradient = jnp.tensordot(points.weights, by_state, 1)
    size = jnp.linalg.norm(gradient)
    shift = lax.map(lambda r: smoothed_gradient(K, system, points, horizon, r) - gradient, radii)
    seen = jnp.sum(stages[:, :horizon], axis=1)
    return GradientBias(
        K,
        gradient,
        size,
        jnp.sqrt(points.weights @ seen**2),
        jnp.sqrt(points.weights @ _size(by_state) ** 2),
        spectral_radius(linearisation(system, K)),
        (costs[-1] - costs) / costs[-1],
        _size(slopes[-1:] - slopes) / _size(slopes[-1]),
        _size(shift) / size,
    )


def stage_costs(K: Array, system: System, points: Points, horizon: int) -> Array:
    """The costs of the first `horizon` steps from each point, `[S, horizon]`."""
    loop = closed_loop(K, system)

    def step(lanes: Lanes, _: None) -> tuple[Lanes, Array]:
        moved, _psi = advance(K, loop, system, lanes._replace(total=jnp.zeros_like(lanes.total)))
        return moved, moved.total

    return lax.scan(step, at_states(system, points.points.T), None, length=horizon)[1].T


def smoothed_gradient(
    K: Array, system: System, points: Points, horizon: int, radius: ArrayLike
) -> Array:
    """The gradient of the smoothed cost `C_r` at K, up to O(r⁴), without randomness.

    The mean of `∇C(K + V)` over the ball, by the rule of points `± r √(D/(D+2)) e_i` along the
    D = p (n + d) coordinates: exact for cubic `∇C`, so its r² term is the true one.
    """
    D = K.size
    directions = jnp.eye(D, dtype=K.dtype).reshape(D, *K.shape)
    moved = radius * jnp.sqrt(D / (D + 2)) * jnp.concatenate([directions, -directions])
    gradients = jax.vmap(lambda V: jax.grad(cost)(K + V, system, points, horizon))(moved)
    return jnp.mean(gradients, axis=0)


def _size(gradients: Array) -> Array:
    return jnp.linalg.norm(gradients, axis=(-2, -1))
