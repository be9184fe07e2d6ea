"""Nearly linear-quadratic control: policy gradient and its optimum (arXiv 2303.08431).

    plant = nlqr.build_system(A, B, C, phi=nlqr.Sine(), scale=2.0)   x' = A x + B u + C φ(x)
    problem = nlqr.build_problem(plant, nlqr.Sphere(1.0, n))         C(K) = E Σ x'Qx + u'Ru
    star = nlqr.optimum(problem)                                      K*, C*, μ, h
    eta = 2 / (star.mu + star.h)
    fineq.solve(problem, nlqr.PolicyGradient(eta), reference=star, num_steps=1000).rate("distance")

The paper's symbols: ψ(x) = (x, φ(x)) `psi`; u = -K ψ(x) `control`; C_T(K) `cost`, C(K)
`infinite_cost`; K_lin and P `linear_policy`, of the equation that `dare` solves; the law D of x0
`Sphere`, `Ball`, `Gaussian`, `Points`; ℓ `scale` where φ is linear in it, else `phi.lipschitz`;
σ_x `sigma_x`; c1, ρ1 `policy_bound`; ∇C `Exact`, its estimates `OnePoint` (the paper's, with D̂, r,
J, T), `TwoPoint`, `Baseline`, `Coordinates`; ∇C Σ_ψψ^{-1} `Natural`; η `step_size`; μ, h
`Optimum`. Shapes: n states, p controls, d features; K `[p, n + d]`; `vmap` makes batches.
"""

from fineq.nlqr.adjoint import cost_and_gradient
from fineq.nlqr.build import build_problem
from fineq.nlqr.checks import build_system, law_from_arrays, system_from_arrays
from fineq.nlqr.costs import choose_horizon, cost, regressor_sum
from fineq.nlqr.doubling import EquationStatus
from fineq.nlqr.expansions import expansion
from fineq.nlqr.features import Custom, Products, Sine, Tanh, Zero, random_products
from fineq.nlqr.gradients import (
    Baseline,
    Coordinates,
    Estimator,
    Exact,
    GradientInfo,
    Natural,
    OnePoint,
    TwoPoint,
)
from fineq.nlqr.identification import IdentificationStatus, identify, one_step_samples
from fineq.nlqr.infinite import CostStatus, infinite_cost
from fineq.nlqr.landscape import curvature, curvature_profile
from fineq.nlqr.laws import (
    Ball,
    Gaussian,
    Points,
    Sphere,
    drawn_points,
    quadrature,
    sigma_x,
)
from fineq.nlqr.lbfgs import LBFGS
from fineq.nlqr.lyapunov import solve_lyapunov
from fineq.nlqr.minimise import optimum
from fineq.nlqr.newton import Newton
from fineq.nlqr.policies import identified_policy, linear_policy, random_policy, zero_policy
from fineq.nlqr.policy_gradient import PolicyGradient
from fineq.nlqr.problem import Features, InitialLaw, Problem, System, control, next_state, psi
from fineq.nlqr.random_systems import random_system, spectral_radius
from fineq.nlqr.reference import Optimum
from fineq.nlqr.riccati import DareSolution, dare
from fineq.nlqr.rollout import rollout_costs, trajectory
from fineq.nlqr.stability import linearisation, policy_bound, power_bound

__all__ = [
    "LBFGS", "Ball", "Baseline", "Coordinates", "CostStatus", "Custom", "DareSolution",
    "EquationStatus", "Estimator", "Exact", "Features", "Gaussian", "GradientInfo",
    "IdentificationStatus", "InitialLaw", "Natural", "Newton", "OnePoint", "Optimum", "Points",
    "PolicyGradient", "Problem", "Products", "Sine", "Sphere", "System", "Tanh", "TwoPoint", "Zero",
    "build_problem", "build_system", "choose_horizon", "control", "cost", "cost_and_gradient",
    "curvature", "curvature_profile", "dare", "drawn_points", "expansion", "identified_policy",
    "identify", "infinite_cost", "law_from_arrays", "linear_policy", "linearisation", "next_state",
    "one_step_samples", "optimum", "policy_bound", "power_bound", "psi", "quadrature",
    "random_policy", "random_products", "random_system", "regressor_sum", "rollout_costs",
    "sigma_x", "solve_lyapunov", "spectral_radius", "system_from_arrays", "trajectory",
    "zero_policy",
]  # fmt: skip
