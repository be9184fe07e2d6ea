"""The natural policy gradient `∇C(K) Σ_ψψ^{-1}` with `Σ_ψψ = E Σ_t ψ(x_t) ψ(x_t)'`.

For the linear-quadratic regulator it is `2 (R + B'PB)K - 2 B'PA`, P the value matrix of K, whatever
the initial law: far better conditioned than the gradient where x and φ(x) are nearly collinear.
"""

from dataclasses import dataclass, field
from typing import Any

import jax.numpy as jnp
from jax import Array, lax

from fineq.nlqr.costs import regressor_sum
from fineq.nlqr.gradients.exact import Exact
from fineq.nlqr.gradients.info import (
    Estimator,
    GradientInfo,
    Scalar,
    check_gradient,
    draws,
    horizon_of,
    points_of,
)
from fineq.nlqr.gradients.sampling import check_counts
from fineq.nlqr.laws import Points
from fineq.nlqr.problem import Problem, System


def natural(gradient: Array, K: Array, system: System, points: Points, horizon: int) -> Array:
    """Return `gradient Σ_ψψ^{-1}`, `[p, n + d]`, with Σ_ψψ over T = `horizon` steps under K.

    Directions that the regressors never visit (those of `Zero` features, for example) have no
    gradient either; the pseudo-inverse leaves them at 0. Raises as `fineq.nlqr.cost`.
    """
    moment = regressor_sum(K, system, points, horizon)
    values, vectors = jnp.linalg.eigh((moment + moment.T) / 2)
    floor = len(moment) * jnp.finfo(moment.dtype).eps * values[-1]
    inverse = jnp.where(values > floor, 1 / jnp.where(values > floor, values, 1.0), 0.0)
    highest = lax.Precision.HIGHEST
    rotated = jnp.matmul(gradient, vectors, precision=highest) * inverse[None]
    return jnp.matmul(rotated, vectors.T, precision=highest)


@dataclass(frozen=True)
class Natural:
    """A gradient times the exact `Σ_ψψ^{-1}` over T = `horizon` steps, default the problem's.

    `noise` is no longer known and becomes NaN unless it was 0. Other fields are the gradient's.
    """

    gradient: Estimator = field(default_factory=Exact)
    horizon: int | None = None

    def __post_init__(self) -> None:
        check_gradient(self.gradient)
        check_counts(self.horizon, 1)

    @property
    def draws(self) -> bool:
        """Whether the gradient draws."""
        return draws(self.gradient)

    def __call__(self, key: Any, K: Array, problem: Problem, radius: Scalar) -> GradientInfo:
        """The natural gradient at K."""
        found = self.gradient(key, K, problem, radius)
        horizon = horizon_of(problem, self.horizon)
        direction = natural(found.gradient, K, problem.system, points_of(problem), horizon)
        noise = jnp.where(found.noise == 0, found.noise, jnp.nan)
        return GradientInfo(direction, found.cost, noise)
