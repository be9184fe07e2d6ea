"""Gradients of the cost, one method a file: `make_x(...) -> (key, K, problem, radius) -> info`."""

from fineq.nlqr.gradients.baseline import make_baseline
from fineq.nlqr.gradients.coordinates import make_coordinates
from fineq.nlqr.gradients.exact import make_exact
from fineq.nlqr.gradients.info import Estimator, GradientInfo
from fineq.nlqr.gradients.natural import make_natural, natural
from fineq.nlqr.gradients.one_point import make_one_point
from fineq.nlqr.gradients.two_point import make_two_point

__all__ = [
    "Estimator",
    "GradientInfo",
    "make_baseline",
    "make_coordinates",
    "make_exact",
    "make_natural",
    "make_one_point",
    "make_two_point",
    "natural",
]
