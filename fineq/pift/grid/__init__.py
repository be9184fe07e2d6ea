"""Fine-tuning on a grid in one or two dimensions: any smooth reward, exact to the grid's order.

`gridded` puts a problem on a `Grid`; `GridSweeps` and `GridNested` are PI-FT, `optimum` the truth,
`densities` and `objective` run a policy forward, `checks.check_grid` says whether the grid will do.
"""

from fineq.pift.grid import checks, regularity, threshold
from fineq.pift.grid.density import Outcome, carried, densities, objective, pretrained
from fineq.pift.grid.nested import GridNested, Nested
from fineq.pift.grid.policy import GridMean, grid_mean
from fineq.pift.grid.posed import Gridded, gridded
from fineq.pift.grid.solve import Curvature, Optimum, evaluate, optimum
from fineq.pift.grid.sweeps import GridSweeps
from fineq.pift.grid.tensor import Grid, law_bounds, make_grid

__all__ = [
    "Curvature",
    "Grid",
    "GridMean",
    "GridNested",
    "GridSweeps",
    "Gridded",
    "Nested",
    "Optimum",
    "Outcome",
    "carried",
    "checks",
    "densities",
    "evaluate",
    "grid_mean",
    "gridded",
    "law_bounds",
    "make_grid",
    "objective",
    "optimum",
    "pretrained",
    "regularity",
    "threshold",
]
