"""What a grid knows of fine-tuning on a mixture: starts, and masses of the tilted law."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from fineq import pift
from fineq.ddpm import Denoiser
from fineq.pift.grid.tensor import axis_sigmas, smoothed
from fineq.studies.finetune.config import DataConfig

REACH = 6.5  # standard deviations, of data or noise, that a grid covers beyond the means
STARTS = 5.5  # standard deviations within which all but 4e-8 of the starts lie, on a line


def grid_of(data: DataConfig, num_points: int) -> pift.Grid:
    """A grid on which noise and mixture lie, with as many points along each axis."""
    reach = np.full(data.d, REACH * max(1.0, data.size))
    reach[0] += data.spread
    return pift.make_grid(-reach, reach, num_points)


def start_weights(on: pift.Gridded) -> Array:
    """Quadrature weights of Y_0 at the points of the grid, `[P]`.

    None beyond `STARTS`: so far out, values rest on what is extrapolated beyond the edge.
    """
    points = on.grid.points()
    weights = jnp.exp(jax.vmap(on.problem.chain.start.log_density)(points)) * on.grid.cell
    return jnp.where(jnp.max(jnp.abs(points), axis=-1) <= STARTS, weights, 0.0)


def means_at(on_grid: pift.Grid, model: Denoiser) -> Array:
    """The means of a model at the points of the grid, `[T, P, d]`."""
    points = on_grid.points()
    return lax.map(lambda t: model.mean(t, points), jnp.arange(model.schedule.num_steps))


def log_mass(on: pift.Gridded) -> Array:
    """Log E[e^{r(Y_T)/β} | Y_0] of the base model at the points of the grid, `[P]`."""
    problem, points = on.problem, on.grid.points()
    sigmas = axis_sigmas(problem.chain.sigmas, on.grid.d)

    def step(after: Array, t: Array) -> tuple[Array, None]:
        m0 = jax.vmap(lambda y: problem.chain.mean(t, y))(points)
        # In logarithms masses range over many powers of e; their ratio to the largest does not.
        top = jnp.max(after)
        mass = on.grid.jet(smoothed(on.grid, jnp.exp(after - top), sigmas[t]), m0).value
        # A mean is no less than the least; beyond the grid's edge an interpolation may be.
        return top + jnp.log(jnp.maximum(mass, jnp.exp(least - top))), None

    last = jax.vmap(problem.reward)(points) / problem.betas[0]
    least = jnp.min(last)
    return lax.scan(step, last, jnp.arange(on.num_steps), reverse=True)[0]
