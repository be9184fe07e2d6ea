"""Central differences along every entry of K, over all points of the law: no randomness.

`g_ab = (C_T(K + r e_ab) - C_T(K - r e_ab)) / 2r` with exact expectations: 2 p (n + d) costs. What
the two-point estimator becomes when it uses all directions and all initial states; its error
against the gradient is `r²/6` times a third derivative, and rounding `ε C/r`.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import jax.numpy as jnp
from jax import Array

from fineq.nlqr.gradients.info import GradientInfo, Scalar, horizon_of, points_of
from fineq.nlqr.gradients.sampling import check_counts
from fineq.nlqr.problem import Problem
from fineq.nlqr.rollout import rollout_costs


@dataclass(frozen=True)
class Coordinates:
    """Central differences of step r of the cost of T = `horizon` steps, default the problem's.

    Raises `InputError` for a horizon below 1.
    """

    horizon: int | None = None
    draws: ClassVar[bool] = False

    def __post_init__(self) -> None:
        check_counts(self.horizon, 1)

    def __call__(self, key: Any, K: Array, problem: Problem, radius: Scalar) -> GradientInfo:
        """The differences at K; the key is not used."""
        del key
        points, horizon = points_of(problem), horizon_of(problem, self.horizon)
        x0, num = points.points.T, points.points.shape[0]
        steps = radius * jnp.eye(K.size, dtype=K.dtype)
        moved = K.ravel()[:, None] + jnp.concatenate([steps, -steps], axis=1)
        policies = jnp.repeat(moved.reshape(*K.shape, 2 * K.size), num, axis=2)
        costs = rollout_costs(policies, jnp.tile(x0, 2 * K.size), problem.system, horizon)
        ahead, back = jnp.sum(costs.reshape(2, K.size, num) * points.weights[None, None], axis=2)
        gradient = ((ahead - back) / (2 * radius)).reshape(K.shape)
        return GradientInfo(gradient, jnp.mean(ahead + back) / 2, jnp.zeros((), K.dtype))
