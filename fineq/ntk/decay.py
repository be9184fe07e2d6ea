"""How fast the eigenvalues of a Gram matrix decay (`ntk/generalisation`, arXiv 2401.15604)."""

import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from fineq.arrays import real_array

HEAD = 4  # the first eigenvalues follow no power yet, the last three quarters feel the finite N


def decay_exponent(values: ArrayLike) -> Array:
    """Exponent b of eigenvalues λ_i of order i^-b, by least squares over ranks HEAD..N/4.

    The risk at the stopping time is then of order N^{-b/(b+1)} for an f* in the RKHS.

    Args:
        values: λ, `[N]`, falling.

    Returns:
        b; NaN for so few eigenvalues that fewer than two ranks are left.

    Raises:
        InputError: for what is no vector of real numbers.
    """
    values = real_array("values", values, 1)
    last = values.shape[0] // 4
    if last < HEAD + 2:
        return jnp.array(jnp.nan, values.dtype)
    ranks = jnp.log(jnp.arange(HEAD, last, dtype=values.dtype))
    # Eigenvalues at rounding may come out as 0.
    logs = jnp.log(jnp.maximum(values[HEAD - 1 : last - 1], jnp.finfo(values.dtype).tiny))
    apart = ranks - jnp.mean(ranks)
    return -jnp.sum(apart * logs) / jnp.sum(apart**2)
