"""The one-point zeroth-order gradient, the paper's: one rollout under each perturbed policy.

`ĝ = (1/J) Σ_j (D/r²) C_j U_j`: U_j uniform on the sphere `|U|_F = r`, C_j the T-step cost of one
rollout under `K + U_j` from a fresh x0, `D = p (n + d)`. Its mean is the gradient of the smoothed
cost `C_r(K) = E C_T(K + V)`, V uniform on the ball `|V|_F <= r`; near a minimum its noise does not
vanish but grows like `D C / (r √J)`. Source: arXiv 2303.08431, Algorithm 1.
"""

from dataclasses import dataclass
from typing import ClassVar

import jax
from jax import Array

from fineq.nlqr.gradients.info import GradientInfo, Scalar, horizon_of
from fineq.nlqr.gradients.sampling import (
    Sums,
    check_counts,
    mean_over,
    sphere_directions,
    weighted_sums,
)
from fineq.nlqr.problem import Problem
from fineq.nlqr.rollout import rollout_costs


@dataclass(frozen=True)
class OnePoint:
    """The paper's estimate from J = `num_rollouts` rollouts of T = `horizon` steps each.

    The horizon is the problem's by default. Raises `InputError` unless both are positive.
    """

    num_rollouts: int
    horizon: int | None = None
    draws: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_counts(self.horizon, self.num_rollouts)

    def __call__(self, key: Array, K: Array, problem: Problem, radius: Scalar) -> GradientInfo:
        """The estimate at K with smoothing radius `radius`; memory is bounded for any J."""
        system, law = problem.system, problem.law
        horizon = horizon_of(problem, self.horizon)

        def sums(key: Array, num: int) -> Sums:
            key_direction, key_state = jax.random.split(key)
            directions = sphere_directions(key_direction, num, K.shape, K.dtype)
            x0 = law.sample(key_state, num).T
            costs = rollout_costs(K[:, :, None] + radius * directions, x0, system, horizon)
            return weighted_sums(directions, K.size / radius * costs, costs)

        return mean_over(sums, key, self.num_rollouts)
