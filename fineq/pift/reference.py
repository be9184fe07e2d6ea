"""The exact truth that methods are measured against: `reference=` of `fineq.solve`."""

from typing import overload

from jax import Array

from fineq.errors import InputError
from fineq.pift import hjb, lq
from fineq.pift.grid import solve as grid
from fineq.pift.grid.posed import Gridded


@overload
def optimum(problem: lq.LinearQuadratic) -> lq.Solution: ...
@overload
def optimum(problem: Gridded) -> grid.Optimum: ...
@overload
def optimum(problem: hjb.BellmanEquation) -> Array: ...


def optimum(
    problem: lq.LinearQuadratic | Gridded | hjb.BellmanEquation,
) -> lq.Solution | grid.Optimum | Array:
    """The optimum of a problem in the form that the methods for it take as their reference.

    Args:
        problem: linear-quadratic, solved to machine precision; on a grid, solved by Newton's method
            to rounding of the grid's values; in continuous time, solved by the linear equation of
            Hopf and Cole on the same grid.

    Returns:
        `lq.Solution`, `grid.Optimum`, or V `[N + 1, n]`.

    Raises:
        InputError: for a problem in none of these forms.
    """
    if isinstance(problem, lq.LinearQuadratic):
        return lq.optimum(problem)
    if isinstance(problem, Gridded):
        return grid.optimum(problem)
    if isinstance(problem, hjb.BellmanEquation):
        return hjb.hopf_cole(problem)
    raise InputError(
        "an optimum is known of what linear_quadratic, gridded or bellman_equation make, got "
        f"{type(problem).__name__}"
    )
