"""How far the tangent kernel of a finite network is from its limit κ I (arXiv 2401.15604).

At standard normal weights the kernel of width m is an average of m independent terms, so that its
distance from κ I falls as m^{-1/2} (`ntk/kernel-limit`).
"""

from typing import NamedTuple

import jax.numpy as jnp
from jax import Array

from fineq.fast.lapack import after
from fineq.ntk.empirical import two_layer_kernel
from fineq.ntk.tangent import gram


class Distances(NamedTuple):
    """Of the kernel of one network from κ I over its inputs.

    Attributes:
        typical: root mean square over entries, relative to that of κ I.
        largest: largest entry, relative to the largest of κ.
        operator: operator norm, relative to that of κ: what the dynamics of training can feel.
    """

    typical: Array
    largest: Array
    operator: Array


def kernel_distances(W: Array, A: Array, z: Array) -> Distances:
    """The distances of one two-layer network.

    Args:
        W: input weights `[m, D]`.
        A: output signs `[m, d]`.
        z: inputs `[N, D]`.
    """
    N, d = z.shape[0], A.shape[1]
    limit = gram(z)
    eye = jnp.eye(d, dtype=z.dtype)[:, :, None, None]
    apart = two_layer_kernel(W, A, z, z) - eye * limit[None, None]
    whole = apart.transpose(0, 2, 1, 3).reshape(d * N, d * N)
    # Relative to κ I, whose d diagonal blocks carry all of it.
    size = jnp.sqrt(jnp.mean(limit**2) / d)
    apart_norm = jnp.max(jnp.abs(jnp.linalg.eigvalsh((whole + whole.T) / 2)))
    return Distances(
        jnp.sqrt(jnp.mean(whole**2)) / size,
        jnp.max(jnp.abs(whole)) / jnp.max(jnp.abs(limit)),
        apart_norm / jnp.max(jnp.linalg.eigvalsh(after(apart_norm, limit))),
    )
