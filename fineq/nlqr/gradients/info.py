"""What every gradient of the cost has in common: its signature and what it returns."""

from typing import Any, NamedTuple, Protocol

from jax import Array

from fineq.errors import InputError
from fineq.nlqr.laws import Points, quadrature
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


class Estimator(Protocol):
    """A gradient of the cost: a hashable object (a frozen dataclass, a function), static under jit.

    Called with `(key, K [p, n + d], problem, radius)`, the radius r of smoothing a positive scalar
    that may be traced. Exact ones take a key and a radius too and ignore them, and say so by an
    attribute `draws` that is False.
    """

    def __call__(self, key: Any, K: Array, problem: Problem, radius: Scalar) -> GradientInfo:
        """The gradient at K, or an estimate of it."""
        ...


def check_gradient(gradient: Any) -> None:
    """Raise `InputError` for what is no gradient, such as its class: `Exact` in place of `Exact()`.

    Gradients are static, so that this costs nothing where a method is rebuilt while tracing.
    """
    if isinstance(gradient, type) or not callable(gradient):
        given = gradient.__name__ if isinstance(gradient, type) else repr(gradient)
        raise InputError(f"gradient must be one of nlqr.gradients, such as Exact(), got {given}")


def draws(gradient: Estimator) -> bool:
    """Whether a gradient uses its key; so it does unless it says otherwise."""
    return getattr(gradient, "draws", True)


def horizon_of(problem: Problem, own: int | None) -> int:
    """T of a gradient: its own, or the problem's; `InputError` where neither has one."""
    horizon = problem.horizon if own is None else own
    if horizon is None:
        raise InputError("give the problem or the gradient a horizon: neither has one")
    return horizon


def points_of(problem: Problem) -> Points:
    """The weighted points that stand for the law, `InputError` where there are none."""
    return quadrature(problem.law) if problem.points is None else problem.points
