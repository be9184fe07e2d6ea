"""The gradients that descents use, bound to their static choices."""

from jax import Array

from fineq.nlqr.descent import DescentProblem, Gradient
from fineq.nlqr.gradients import (
    Estimator,
    make_baseline,
    make_coordinates,
    make_exact,
    make_natural,
    make_one_point,
    make_two_point,
)
from fineq.nlqr.problem import Problem
from fineq.studies.nlqr.config import EstimatorConfig

ZEROTH_ORDER = {
    "one_point": make_one_point,
    "two_point": make_two_point,
    "baseline": make_baseline,
}


def exact(horizon: int) -> Gradient:
    """The gradient of the exact T-step cost over the weighted points."""
    return _over_points(make_exact(horizon))


def natural(horizon: int) -> Gradient:
    """The exact gradient times the inverse of Σ_ψψ, the natural policy gradient."""
    return _over_points(make_natural(make_exact(horizon), horizon))


def coordinates(horizon: int) -> Gradient:
    """Two-point differences along every coordinate, over all weighted points."""
    return _over_points(make_coordinates(horizon))


def zeroth_order(name: str, num_rollouts: int, horizon: int) -> Gradient:
    """An estimate from rollouts that start from draws of the law; its radius is the problem's."""
    estimator = ZEROTH_ORDER[name](num_rollouts, horizon)

    def gradient(key: Array, K: Array, problem: DescentProblem) -> tuple[Array, Array]:
        found = estimator(key, K, problem.problem, problem.radius)
        return found.gradient, found.cost

    return gradient


def configured(config: EstimatorConfig, horizon: int) -> Gradient:
    """The gradient that the configuration names, of the T-step cost."""
    match config.name:
        case "exact":
            return natural(horizon) if config.natural == "yes" else exact(horizon)
        case "coordinates":
            return coordinates(horizon)
        case _:
            return zeroth_order(config.name, config.num_rollouts, horizon)


def _over_points(estimator: Estimator) -> Gradient:
    """The same estimator with the weighted points in place of the law they stand for."""

    def gradient(key: Array, K: Array, problem: DescentProblem) -> tuple[Array, Array]:
        exactly = Problem(problem.problem.system, problem.points)
        found = estimator(key, K, exactly, problem.radius)
        return found.gradient, found.cost

    return gradient
