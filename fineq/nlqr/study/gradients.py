"""The gradients descents use, bound to their static choices: `(key, K, problem) -> (g, cost)`."""

import jax
import jax.numpy as jnp
from jax import Array

from fineq.nlqr.config import EstimatorConfig
from fineq.nlqr.cost import regressor_sum
from fineq.nlqr.descent import DescentProblem, Gradient
from fineq.nlqr.gradients import make_baseline, make_coordinates, make_one_point, make_two_point
from fineq.nlqr.study.common import make_objective


def exact(horizon: int) -> Gradient:
    """The gradient of the exact T-step cost over the weighted points."""
    objective = make_objective(horizon)

    def gradient(key: Array, K: Array, problem: DescentProblem) -> tuple[Array, Array]:
        del key
        cost, g = jax.value_and_grad(objective)(K, problem)
        return g, cost

    return gradient


def natural(horizon: int) -> Gradient:
    """The exact gradient times the inverse of Σ_ψψ, the natural policy gradient."""
    plain = exact(horizon)

    def gradient(key: Array, K: Array, problem: DescentProblem) -> tuple[Array, Array]:
        g, cost = plain(key, K, problem)
        Sigma = regressor_sum(K, problem.problem.system, problem.points, horizon)
        return jnp.linalg.solve(Sigma, g.T).T, cost

    return gradient


def zeroth_order(name: str, num_rollouts: int, horizon: int) -> Gradient:
    """A zeroth-order estimate from rollouts; its radius is the problem's."""
    makers = {
        "one_point": make_one_point,
        "two_point": make_two_point,
        "baseline": make_baseline,
        "coordinates": make_coordinates,
    }
    estimator = makers[name](num_rollouts, horizon)

    def gradient(key: Array, K: Array, problem: DescentProblem) -> tuple[Array, Array]:
        found = estimator(key, K, problem.problem, problem.radius)
        return found.gradient, found.cost

    return gradient


def configured(config: EstimatorConfig, horizon: int, num_rollouts: int | None = None) -> Gradient:
    """The gradient that the configuration names."""
    if config.name == "exact":
        return natural(horizon) if config.natural == "yes" else exact(horizon)
    return zeroth_order(config.name, num_rollouts or config.num_rollouts, horizon)
