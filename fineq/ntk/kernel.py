"""The limiting tangent kernel of the wide two-layer network, in one pass over pairs of points.

`κ(z, z') = z·z' (π - ∠(z, z')) / (2π)` is the limit of `(1/m) Σ_r 1{w_r·z > 0} 1{w_r·z' > 0} z·z'`
over standard normal w_r (`ntk/kernel-limit`, arXiv 2401.15604). The network has d outputs and the
limit of its kernel is `κ ⊗ I_d`, which acts on labels `[N, d]` column by column: no function here
ever forms it.
"""

import jax.numpy as jnp
from jax import Array, lax
from jax.typing import ArrayLike

from fineq.errors import InputError

BLOCK = 512


def kernel(z1: ArrayLike, z2: ArrayLike) -> Array:
    """κ between the rows of z1 `[N1, D]` and z2 `[N2, D]`, as `[N1, N2]`."""
    z1, z2 = _pair(z1, z2)
    (u1, r1), (u2, r2) = _polar(z1), _polar(z2)
    c = u1 @ u2.T
    sign = jnp.where(c >= 0, 1.0, -1.0).astype(c.dtype)
    difference = u1[:, None, :] - sign[..., None] * u2[None, :, :]
    q = jnp.minimum(0.25 * jnp.sum(difference**2, -1), 0.5)
    y = jnp.arcsin(jnp.sqrt(q)) / jnp.pi
    c = sign * (1 - 2 * q)
    return r1[:, None] * r2[None, :] * c * jnp.where(c >= 0, 0.5 - y, y)


def gram(z: ArrayLike) -> Array:
    """κ between all rows of z `[N, D]`, as a symmetric `[N, N]`."""
    return kernel(z, z)


def product(z1: ArrayLike, z2: ArrayLike, v: ArrayLike, block: int = BLOCK) -> Array:
    """`kernel(z1, z2) @ v` for v `[N2, k]` or `[N2]`, holding at most `block²` entries of κ."""
    z1, z2 = _pair(z1, z2)
    v = jnp.asarray(v)
    columns = v[:, None] if v.ndim == 1 else v
    left, right, given = _tiles(z1, block), _tiles(z2, block), _tiles(columns, block)

    def rows(z: Array) -> Array:
        def add(total: Array, tile: tuple[Array, Array]) -> tuple[Array, None]:
            return total + kernel(z, tile[0]) @ tile[1], None

        start = jnp.zeros((z.shape[0], columns.shape[1]), columns.dtype)
        return lax.scan(add, start, (right, given))[0]

    out = lax.map(rows, left).reshape(-1, columns.shape[1])[: z1.shape[0]]
    return out[:, 0] if v.ndim == 1 else out


def _tiles(x: Array, block: int) -> Array:
    """Rows in groups of `block`, the last filled up with zeros, for which κ is zero."""
    block = min(block, x.shape[0])
    count = -(-x.shape[0] // block)
    x = jnp.pad(x, ((0, count * block - x.shape[0]), (0, 0)))
    return x.reshape(count, block, x.shape[1])


def _polar(z: Array) -> tuple[Array, Array]:
    """Directions `[N, D]` (zero for a zero vector) and lengths `[N]`."""
    scale = jnp.max(jnp.abs(z), axis=1)
    w = z / jnp.where(scale > 0, scale, 1)[:, None]
    length = jnp.sqrt(jnp.sum(w * w, axis=1))
    return w / jnp.where(scale > 0, length, 1)[:, None], scale * length


def _pair(z1: ArrayLike, z2: ArrayLike) -> tuple[Array, Array]:
    z1, z2 = jnp.asarray(z1), jnp.asarray(z2)
    if z1.ndim != 2 or z2.ndim != 2 or z1.shape[1] != z2.shape[1]:
        raise InputError(
            "points must be rows of two arrays with as many columns, "
            f"got shapes {z1.shape} and {z2.shape}"
        )
    dtype = jnp.result_type(z1, z2, jnp.float32)
    return z1.astype(dtype), z2.astype(dtype)
