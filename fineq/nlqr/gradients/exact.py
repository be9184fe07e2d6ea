"""The exact gradient of the T-step cost over weighted initial states; see `fineq.nlqr.adjoint`."""

from dataclasses import dataclass
from typing import Any, ClassVar

import jax.numpy as jnp
from jax import Array

from fineq.nlqr.adjoint import cost_and_gradient
from fineq.nlqr.gradients.info import GradientInfo, Scalar, horizon_of, points_of
from fineq.nlqr.gradients.sampling import check_counts
from fineq.nlqr.problem import Problem


@dataclass(frozen=True)
class Exact:
    """The exact gradient over the points of the problem, of the cost of T = `horizon` steps.

    The horizon is the problem's by default. Raises `InputError` for a horizon below 1.
    """

    horizon: int | None = None
    draws: ClassVar[bool] = False

    def __post_init__(self) -> None:
        check_counts(self.horizon, 1)

    def __call__(self, key: Any, K: Array, problem: Problem, radius: Scalar) -> GradientInfo:
        """The gradient at K; key and radius are not used."""
        del key, radius
        horizon = horizon_of(problem, self.horizon)
        found = cost_and_gradient(K, problem.system, points_of(problem), horizon)
        return GradientInfo(found.gradient, found.cost, jnp.zeros((), K.dtype))
