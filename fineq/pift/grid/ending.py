"""Where a chain for data on a grid ends: the law of Y_T beside the tilted law, by densities."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from fineq.ddpm.laws import Law
from fineq.pift import terminal
from fineq.pift.grid.density import densities, mass_outside, pretrained
from fineq.pift.grid.posed import gridded
from fineq.pift.grid.solve import optimum
from fineq.pift.grid.tensor import Grid
from fineq.pift.problem import Problem
from fineq.pift.terminal import Terminal


class Ending(NamedTuple):
    """Laws of Y_T on a grid of P points.

    Attributes:
        apart: divergences of the optimal and the pre-trained Y_T from their targets.
        pretrained: density without control, `[P]`.
        optimal: density of the optimum, `[P]`.
        target: density of the tilt p e^{r/β}/Z of the data law, `[P]`.
        lost: the most mass that the optimal chain has off the grid at any step.
    """

    apart: Terminal
    pretrained: Array
    optimal: Array
    target: Array
    lost: Array


def ending(problem: Problem, law: Law, grid: Grid) -> Ending:
    """How the optimal chain of a problem with constant β and data `law` ends."""
    points = grid.points()
    everywhere = jnp.ones((problem.num_steps + 1, grid.num), bool)
    controlled = densities(problem, grid, optimum(gridded(problem, grid, everywhere)).mean)
    tuned, base = controlled[-1], densities(problem, grid, pretrained(problem, grid))[-1]
    gained = jax.vmap(problem.reward)(points) / problem.betas[0]
    log_data = jax.vmap(law.log_density)(points)
    log_base = jnp.log(jnp.maximum(base, jnp.finfo(base.dtype).tiny))
    target = jnp.exp(log_data + gained - jnp.max(log_data + gained))

    def apart(density: Array, log_target: Array) -> Array:
        return terminal.grid_divergence(density, log_target, grid.cell)

    divergences = Terminal(
        apart(tuned, log_base + gained), apart(tuned, log_data + gained), apart(base, log_data)
    )
    target = target / (jnp.sum(target) * grid.cell)
    return Ending(divergences, base, tuned, target, jnp.max(mass_outside(grid, controlled)))
