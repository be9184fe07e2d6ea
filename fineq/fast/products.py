"""Products of small matrices with many vectors, in forms that XLA compiles to fast CPU code.

Vectors stand in the last axis ("lanes"): `[b, J]`, matrices `[a, b]` shared by all lanes or
`[a, b, J]`, one for each. Small products are written out entry by entry: then XLA emits one
vectorised loop over the lanes, where a sum over a middle axis or a batched product costs several
times as much (measured on CPU, float64, n = p = d = 3).
"""

import functools
import operator
from collections.abc import Sequence

import jax.numpy as jnp
from jax import Array, lax

# Entries up to which a product is written out: matrices shared by all lanes, and one per lane.
LARGEST_SHARED, LARGEST_OWN = 64, 512

Entries = list[list[Array]]


def matmul(a: Array, b: Array) -> Array:
    """Return the product a b at full precision on every device."""
    return jnp.matmul(a, b, precision=lax.Precision.HIGHEST)


def entries(M: Array) -> Entries:
    """Return the entries of a matrix, scalars or lanes, as nested lists."""
    return [[M[i, j] for j in range(M.shape[1])] for i in range(M.shape[0])]


def dot(a: Sequence[Array], b: Sequence[Array]) -> Array:
    """Return `Σ_i a_i b_i` of equally long sequences of scalars or lanes."""
    return functools.reduce(operator.add, [x * y for x, y in zip(a, b, strict=True)])


def form(M: Entries, x: Sequence[Array]) -> Array:
    """Return the quadratic form x'Mx in entries."""
    return dot(x, [dot(row, x) for row in M])


def apply(M: Array, v: Array) -> Array:
    """Return M v lane by lane, `[a, b]` or `[a, b, J]` with `[b, J]` -> `[a, J]`."""
    if M.shape[0] * M.shape[1] <= (LARGEST_SHARED if M.ndim == 2 else LARGEST_OWN):
        return jnp.stack([dot(row, list(v)) for row in entries(M)])
    if M.ndim == 2:
        return matmul(M, v)
    return jnp.sum(M * v[None], axis=1)


def quadratic(M: Array, v: Array) -> Array:
    """Return v'Mv lane by lane, `[a, a]` with `[a, J]` -> `[J]`."""
    if M.size <= LARGEST_SHARED:
        return form(entries(M), list(v))
    return jnp.sum(v * apply(M, v), axis=0)
