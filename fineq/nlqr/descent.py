"""Policy gradient descent `K ← K - η ĝ(K)` as a kernel, with any gradient and any step rule.

Source: arXiv 2303.08431, Algorithm 1 (`nlqr/linear-convergence`); the paper's step is fixed.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
import optax
from jax import Array

from fineq.nlqr.laws import Points
from fineq.nlqr.problem import Problem


class DescentProblem(NamedTuple):
    """What one member descends on.

    Attributes:
        problem: system and the law that rollouts sample from.
        points: weighted points for exact expectations.
        step_size: η.
        radius: smoothing radius r of zeroth-order gradients.
        K_star: reference optimum `[p, n+d]`, for the record and for stopping.
        cost_star: its cost, for the record only.
        cost_limit: a cost above which the descent counts as diverged.
    """

    problem: Problem
    points: Points
    step_size: Array
    radius: Array
    K_star: Array
    cost_star: Array
    cost_limit: Array


class DescentState(NamedTuple):
    """The policy `K [p, n+d]` and the optimiser's own state."""

    K: Array
    optimiser: Any


class DescentInfo(NamedTuple):
    """What the step saw at the policy it started from.

    Attributes:
        gradient_norm: Frobenius norm of the gradient or its estimate.
        distance: Frobenius norm of K - K*.
        excess: cost over the limit beyond which the descent has diverged.
    """

    gradient_norm: Array
    distance: Array
    excess: Array


Gradient = Callable[[Array, Array, DescentProblem], tuple[Array, Array]]


def make_optimiser(rule: str) -> optax.GradientTransformation:
    """The direction of a unit step: the gradient itself, or Adam's."""
    return optax.scale_by_adam() if rule == "adam" else optax.identity()


def start_descent(K: Array, rule: str = "fixed") -> DescentState:
    """A descent before its first step."""
    return DescentState(K, make_optimiser(rule).init(K))


def make_descent(gradient: Gradient, rule: str = "fixed") -> Callable:
    """A stochastic kernel `(key, state, problem) -> (state, info)`.

    Args:
        gradient: `(key, K, problem: DescentProblem) -> (gradient [p, n+d], cost)`.
        rule: `adam`, or anything else for the plain gradient; η stands in the problem.
    """
    optimiser = make_optimiser(rule)

    def step(
        key: Array, state: DescentState, problem: DescentProblem
    ) -> tuple[DescentState, DescentInfo]:
        g, cost = gradient(key, state.K, problem)
        updates, inner = optimiser.update(g, state.optimiser)
        direction = jnp.asarray(updates)
        info = DescentInfo(
            jnp.linalg.norm(g),
            jnp.linalg.norm(state.K - problem.K_star),
            cost / problem.cost_limit,
        )
        return DescentState(state.K - problem.step_size * direction, inner), info

    return step


def has_diverged(state: DescentState, info: DescentInfo) -> Array:
    """Whether the new policy is not finite, or the cost it came from exceeds the limit."""
    return ~jnp.all(jnp.isfinite(state.K)) | ~(info.excess <= 1.0)
