"""The one-point zeroth-order gradient with a baseline: the cost at K itself is subtracted.

`ĝ = (2/J) Σ_j (D/r²) (C(K + U_j, x_j) - b_j) U_j` over J/2 pairs, `D = p (n + d)`, with
`b_j = C(K, y_j)`. Since b_j does not depend on U_j and `E U_j = 0`, the mean is that of the
one-point estimator. With y_j = x_j what initial state and policy have in common cancels, and the
noise stays bounded as r -> 0; with y_j drawn independently only the mean cost cancels.
Not in arXiv 2303.08431.
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
class Baseline:
    """The estimate from J = `num_rollouts`, those of the baseline counted, of T = `horizon` steps.

    `same_state`: the baseline starts from the same initial state as its partner; otherwise from
    one drawn independently. The horizon is the problem's by default. Raises `InputError` unless J
    is even and both are positive.
    """

    num_rollouts: int
    horizon: int | None = None
    same_state: bool = True
    draws: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_counts(self.horizon, self.num_rollouts, least=2)

    def __call__(self, key: Array, K: Array, problem: Problem, radius: Scalar) -> GradientInfo:
        """The estimate at K with smoothing radius `radius`; memory is bounded for any J."""
        system, law = problem.system, problem.law
        horizon, num_pairs = horizon_of(problem, self.horizon), self.num_rollouts // 2

        def sums(key: Array, num: int) -> Sums:
            key_direction, key_state, key_baseline = jax.random.split(key, 3)
            directions = sphere_directions(key_direction, num, K.shape, K.dtype)
            x0 = law.sample(key_state, num).T
            y0 = x0 if self.same_state else law.sample(key_baseline, num).T

            # A loop over both, not one batch: XLA would draw the directions anew for each.
            def moved(given: tuple[Array, Array]) -> Array:
                step, start = given
                return rollout_costs(K[:, :, None] + step * directions, start, system, horizon)

            steps = radius * jnp.array([1, 0], K.dtype)
            costs, baseline = lax.map(moved, (steps, jnp.stack([x0, y0])))
            return weighted_sums(directions, K.size / radius * (costs - baseline), costs)

        return mean_over(sums, key, num_pairs)
