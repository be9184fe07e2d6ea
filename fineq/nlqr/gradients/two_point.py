"""The two-point zeroth-order gradient: antithetic pairs of rollouts from the same initial state.

`ĝ = (2/J) Σ_j (D/2r²) (C(K + U_j, x_j) - C(K - U_j, x_j)) U_j` over J/2 pairs, `D = p (n + d)`. By
the symmetry of U its mean is that of the one-point estimator, the gradient of the smoothed cost;
its noise stays bounded as r -> 0, about the gradient's own size times `√(2 D/J)`, because what
the two rollouts share cancels. Not in arXiv 2303.08431; Nesterov and Spokoiny 2017.
"""

from dataclasses import dataclass
from typing import ClassVar

import jax
import jax.numpy as jnp
from jax import Array, lax

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
class TwoPoint:
    """The estimate from J = `num_rollouts`, both of each pair counted, of T = `horizon` steps each.

    The horizon is the problem's by default. Raises `InputError` unless J is even and both are
    positive.
    """

    num_rollouts: int
    horizon: int | None = None
    draws: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_counts(self.horizon, self.num_rollouts, least=2)

    def __call__(self, key: Array, K: Array, problem: Problem, radius: Scalar) -> GradientInfo:
        """The estimate at K with smoothing radius `radius`; memory is bounded for any J."""
        system, law = problem.system, problem.law
        horizon, num_pairs = horizon_of(problem, self.horizon), self.num_rollouts // 2

        def sums(key: Array, num: int) -> Sums:
            key_direction, key_state = jax.random.split(key)
            directions = sphere_directions(key_direction, num, K.shape, K.dtype)
            x0 = law.sample(key_state, num).T

            # A loop over the two signs, not one batch: XLA would draw the directions anew for each.
            def moved(step: Array) -> Array:
                return rollout_costs(K[:, :, None] + step * directions, x0, system, horizon)

            steps = radius * jnp.array([1, -1], K.dtype)
            ahead, back = lax.map(moved, steps)
            slopes = (ahead - back) / (2 * radius)
            return weighted_sums(directions, K.size * slopes, (ahead + back) / 2)

        return mean_over(sums, key, num_pairs)
