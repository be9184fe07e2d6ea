"""What is minimised, as methods see it: a cost of a policy, and its expansion to second order.

The cost of a `Problem` has an expansion of its own; that of any other objective comes from
automatic differentiation.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from fineq.nlqr.costs import cost
from fineq.nlqr.expansions import Expansion, expansion
from fineq.nlqr.gradients.info import horizon_of, points_of
from fineq.nlqr.problem import Problem

Objective = Callable[[Array, Any], Array]
Expand = Callable[[Array, Any], Expansion]


def expected_cost(K: Array, problem: Problem) -> Array:
    """Return `C_T(K)` of a problem, a scalar: `fineq.nlqr.cost` at its points and horizon."""
    return cost(K, problem.system, points_of(problem), horizon_of(problem, None))


def expanded_cost(K: Array, problem: Problem) -> Expansion:
    """Return `C_T(K)` of a problem with gradient and Hessian."""
    return expansion(K, problem.system, points_of(problem), horizon_of(problem, None))


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


def expander(objective: Objective, expand: Expand | None = None) -> Expand:
    """The expansion of an objective: the one given, the problem's own, or by differentiation."""
    if expand is not None:
        return expand
    return expanded_cost if objective is expected_cost else differentiated(objective)
