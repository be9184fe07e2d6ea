"""Linear-quadratic fine-tuning: the exact optimum and policy iteration on affine means.

With means m0_t(y) = A_t y + b_t, noise covariances S_t = L_t L_t' and quadratic rewards, every
value is V_t(y) = ½ y'P_t y + p_t'y + c_t, and the best mean solves m = m0 + (S/β)(P_{t+1} m + p).
All constants are kept, so that V_0 is the objective itself. Source: arXiv 2412.18164
(`pift/optimality`, `pift/linear-convergence`).
"""

from fineq.pift.lq.exact import Solution, optimum
from fineq.pift.lq.iterations import Nested, improve, inner_iterations, nested, policy_iteration
from fineq.pift.lq.lanes import policy_iterations
from fineq.pift.lq.methods import LQNested, LQSweeps
from fineq.pift.lq.problem import LinearQuadratic, Policy, linear_quadratic, pretrained
from fineq.pift.lq.values import Outcome, backward, distance, evaluate, expected, objective, size

__all__ = [
    "LQNested",
    "LQSweeps",
    "LinearQuadratic",
    "Nested",
    "Outcome",
    "Policy",
    "Solution",
    "backward",
    "distance",
    "evaluate",
    "expected",
    "improve",
    "inner_iterations",
    "linear_quadratic",
    "nested",
    "objective",
    "optimum",
    "policy_iteration",
    "policy_iterations",
    "pretrained",
    "size",
]
