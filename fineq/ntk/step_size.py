"""How large a step of gradient descent may be on given inputs."""

import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from fineq.ntk.lanczos import krylov_at, mean_diagonal
from fineq.ntk.spectral import default_step, spectrum_at
from fineq.ntk.tangent import as_points

# Up to here all eigenvalues are taken; beyond, the largest Ritz value of a few products.
MOST_EXACT, PRODUCTS = 512, 16


def largest_eigenvalue(z: ArrayLike) -> Array:
    """λ_max of K/N at inputs `[N, D]`: a step above 2/λ_max is not stable.

    Raises `InputError` for inputs that are no rows of real numbers.
    """
    z = as_points(z, z)[0]
    if z.shape[0] <= MOST_EXACT:
        return spectrum_at(z).values[0]
    # The eigenvector is near the lengths of the inputs, and a Ritz value is second order in that.
    start = jnp.linalg.norm(z, axis=1)
    return jnp.max(krylov_at(z, start, PRODUCTS, storage="blocked").spectrum.values)


def step_or_default(step_size: ArrayLike | None, z: Array) -> Array:
    """The step size in the precision of the inputs `[N, D]`; 1/E κ(z, z) for None."""
    if step_size is None:
        return default_step(mean_diagonal(z))
    return jnp.asarray(step_size, z.dtype)
