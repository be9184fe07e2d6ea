"""The exact gradient of the T-step cost over weighted initial states; see `fineq.nlqr.adjoint`."""

from typing import Any

import jax.numpy as jnp
from jax import Array

from fineq.nlqr.adjoint import cost_and_gradient
from fineq.nlqr.gradients.info import Estimator, GradientInfo, Scalar
from fineq.nlqr.gradients.sampling import check_counts
from fineq.nlqr.laws import quadrature
from fineq.nlqr.problem import Problem


def make_exact(horizon: int, degree: int = 20) -> Estimator:
    """Bind T = `horizon` and the degree of the quadrature that stands for the initial law.

    Returns `(key, K, problem, radius) -> GradientInfo` that ignores its key and radius. A law of
    weighted points is taken as it is; others through `fineq.nlqr.laws.quadrature`, which raises
    `InputError` for n > 3. Raises `InputError` for a horizon below 1.
    """
    check_counts(horizon, 1)

    def exact(key: Any, K: Array, problem: Problem, radius: Scalar) -> GradientInfo:
        del key, radius
        points = quadrature(problem.law, degree)
        found = cost_and_gradient(K, problem.system, points, horizon)
        return GradientInfo(found.gradient, found.cost, jnp.zeros((), K.dtype))

    return exact
