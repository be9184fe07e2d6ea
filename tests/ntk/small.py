"""Points and labels on which kernel descent is compared with its eigenpairs."""

import jax
import jax.numpy as jnp

N, D = 160, 3


def make_problem():
    """Normal points with a constant coordinate `[N, D]`, labels of signs and noise `[N, 2]`."""
    keys = jax.random.split(jax.random.key(0), 2)
    z = jnp.concatenate([jax.random.normal(keys[0], (N, D - 1)), jnp.ones((N, 1))], axis=1)
    return z, jnp.sign(z[:, :2]) + jax.random.normal(keys[1], (N, 2))
