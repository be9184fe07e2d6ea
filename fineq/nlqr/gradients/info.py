"""What every gradient of the cost has in common: its signature and what it returns."""

from collections.abc import Callable
from typing import Any, NamedTuple

from jax import Array

from fineq.nlqr.problem import Problem

Scalar = Array | float


class GradientInfo(NamedTuple):
    """A gradient, or an estimate of one, and what came with it.

    Attributes:
        gradient: of the T-step cost in K, `[p, n + d]`.
        cost: the cost that was seen: exact for exact methods, otherwise the mean over rollouts,
            an unbiased estimate of the smoothed cost C_r(K).
        noise: standard error of the gradient, the root of `E |ĝ - E ĝ|²` estimated from the spread
            over rollouts; 0 for exact methods.
    """

    gradient: Array
    cost: Array
    noise: Array


# `(key, K, problem, radius) -> GradientInfo`: K is `[p, n + d]`, the radius r of smoothing a
# positive scalar that may be traced. Exact methods take a key and a radius too and ignore them.
Estimator = Callable[[Any, Array, Problem, Scalar], GradientInfo]
