"""Gradients of the cost, one a file: frozen objects, called with `(key, K, problem, radius)`."""

from fineq.nlqr.gradients.baseline import Baseline
from fineq.nlqr.gradients.coordinates import Coordinates
from fineq.nlqr.gradients.exact import Exact
from fineq.nlqr.gradients.info import Estimator, GradientInfo
from fineq.nlqr.gradients.natural_gradient import Natural, natural
from fineq.nlqr.gradients.one_point import OnePoint
from fineq.nlqr.gradients.two_point import TwoPoint

__all__ = [
    "Baseline",
    "Coordinates",
    "Estimator",
    "Exact",
    "GradientInfo",
    "Natural",
    "OnePoint",
    "TwoPoint",
    "natural",
]
