"""Fine-tuning diffusion models as stochastic control, and PI-FT (arXiv 2412.18164).

m0_t, σ_t, Y_0      `Chain`, of a data law by `ddpm_chain`; means `ScoreMean`, `AffineMean`
r, f_t, β_t         `Problem` by `make_problem`; rewards: `linear`, `quadratic`, `Wave`, `Custom`
u_t, m_t            a policy is a mean `(t, y) -> [d]`; `fineq.ddpm.control_of` makes u of it
c = β S^{-1}(m - m0)  a costate, what features and networks learn: `policy_of`, `costate_of`
J, KL, V            `simulate`, `lq.objective`, `grid.objective`; `lq.evaluate`, `grid.evaluate`
PI-FT               by whole sweeps, and nested, backwards in t with m_t inner iterations:
linear-quadratic    `linear_quadratic`  `LQSweeps`      `LQNested`
on a grid           `gridded`           `GridSweeps`    `GridNested`
linear features     `polynomial`, ...   `LinearSweeps`  `LinearNested`
a network           `network`           `NetworkSweeps`
and beside the last gradient ascent on J, `NetworkAscent`
continuous time     `bellman_equation`, `HJBIteration`; closed forms in `tilting`
u*, V*              `optimum` of any of the first three; `solve_separable`; `reference_on_paths`
makes them the reference of controls that are simulated
J <= β log E e^{r/β}  `certificate`, `affine_bounds`

arrays = pift.linear_quadratic(problem)
found = fineq.solve(arrays, pift.LQSweeps(), num_steps=50, reference=pift.optimum(arrays))
found.value, found.rate("distance")
"""

from fineq.pift import grid, hjb, lq, rewards, terminal, tilting
from fineq.pift.certificates import Bounds, Certificate, affine_bounds, certificate
from fineq.pift.grid import (
    Grid,
    Gridded,
    GridMean,
    GridNested,
    GridSweeps,
    grid_mean,
    gridded,
    law_bounds,
    make_grid,
)
from fineq.pift.hjb import BellmanEquation, HJBIteration, bellman_equation, make_domain
from fineq.pift.lq import LinearQuadratic, LQNested, LQSweeps, linear_quadratic
from fineq.pift.parametric import (
    LinearCostate,
    LinearNested,
    LinearSweeps,
    NetworkAscent,
    NetworkCostate,
    NetworkSweeps,
    Optimiser,
    Reference,
    costate_of,
    fourier,
    network,
    policy_of,
    polynomial,
    radial,
    reference_on_paths,
    separate,
    standard_scale,
)
from fineq.pift.problem import (
    AffineMean,
    Between,
    Chain,
    Problem,
    ScoreMean,
    ddpm_chain,
    make_problem,
    with_beta,
)
from fineq.pift.reference import optimum
from fineq.pift.rewards import (
    Custom,
    LogRatio,
    Quadratic,
    RunningQuadratic,
    Wave,
    linear,
    quadratic,
)
from fineq.pift.separable import solve_separable
from fineq.pift.simulation import Simulation, simulate, simulate_from

__all__ = [
    "AffineMean", "BellmanEquation", "Between", "Bounds", "Certificate", "Chain", "Custom", "Grid",
    "GridMean", "GridNested", "GridSweeps", "Gridded", "HJBIteration", "LQNested", "LQSweeps",
    "LinearCostate", "LinearNested", "LinearQuadratic", "LinearSweeps", "LogRatio", "NetworkAscent",
    "NetworkCostate", "NetworkSweeps", "Optimiser", "Problem", "Quadratic", "Reference",
    "RunningQuadratic", "ScoreMean", "Simulation", "Wave", "affine_bounds", "bellman_equation",
    "certificate", "costate_of", "ddpm_chain", "fourier", "grid", "grid_mean", "gridded", "hjb",
    "law_bounds", "linear", "linear_quadratic", "lq", "make_domain", "make_grid", "make_problem",
    "network", "optimum", "policy_of", "polynomial", "quadratic", "radial", "reference_on_paths",
    "rewards", "separate", "simulate", "simulate_from", "solve_separable", "standard_scale",
    "terminal", "tilting", "with_beta",
]  # fmt: skip
