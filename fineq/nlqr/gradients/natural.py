"""The natural policy gradient `∇C(K) Σ_ψψ^{-1}` with `Σ_ψψ = E Σ_t ψ(x_t) ψ(x_t)'`.

For the linear-quadratic regulator it is `2 (R + B'PB)K - 2 B'PA`, P the value matrix of K, whatever
the initial law: far better conditioned than the gradient where x and φ(x) are nearly collinear.
"""

from typing import Any

import jax.numpy as jnp
from jax import Array, lax

from fineq.nlqr.cost import regressor_sum
from fineq.nlqr.gradients.info import Estimator, GradientInfo, Scalar
from fineq.nlqr.laws import Points, quadrature
from fineq.nlqr.problem import Problem, System


def natural(gradient: Array, K: Array, system: System, points: Points, horizon: int) -> Array:
    """Return `gradient Σ_ψψ^{-1}`, `[p, n + d]`, with Σ_ψψ over T = `horizon` steps under K.

    Directions that the regressors never visit (those of `Zero` features, for example) have no
    gradient either; the pseudo-inverse leaves them at 0. Raises as `fineq.nlqr.cost.cost`.
    """
    moment = regressor_sum(K, system, points, horizon)
    values, vectors = jnp.linalg.eigh((moment + moment.T) / 2)
    floor = len(moment) * jnp.finfo(moment.dtype).eps * values[-1]
    inverse = jnp.where(values > floor, 1 / jnp.where(values > floor, values, 1.0), 0.0)
    highest = lax.Precision.HIGHEST
    rotated = jnp.matmul(gradient, vectors, precision=highest) * inverse[None]
    return jnp.matmul(rotated, vectors.T, precision=highest)


def make_natural(estimator: Estimator, horizon: int, degree: int = 20) -> Estimator:
    """Bind an estimator of the gradient: its result is multiplied by the exact `Σ_ψψ^{-1}`.

    The law is taken as `make_exact` takes it. `noise` is no longer known and becomes NaN unless it
    was 0. Other fields are the estimator's.
    """

    def estimate(key: Any, K: Array, problem: Problem, radius: Scalar) -> GradientInfo:
        found = estimator(key, K, problem, radius)
        points = quadrature(problem.law, degree)
        direction = natural(found.gradient, K, problem.system, points, horizon)
        noise = jnp.where(found.noise == 0, found.noise, jnp.nan)
        return GradientInfo(direction, found.cost, noise)

    return estimate
