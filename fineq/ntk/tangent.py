"""The limiting tangent kernel of the wide two-layer network.

`κ(z, z') = z·z' (π - ∠(z, z')) / (2π) = z·z' P(w·z > 0, w·z' > 0)`, w standard normal, is the limit
of `(1/m) Σ_r 1{w_r·z > 0} 1{w_r·z' > 0} z·z'` (`ntk/kernel-limit`, arXiv 2401.15604). The network
has d outputs and the limit of its kernel is `κ ⊗ I_d`, which acts on labels `[N, d]` column by
column: no function here forms it.

Values are accurate to 5e-15 |z| |z'| in float64 and 3e-6 |z| |z'| in float32 (`ACCURACY`) at
every angle, also where points coincide or oppose each other, and finite for every finite input
whose κ is.

κ has a cone where z and z' are parallel, and at z = 0. There the derivative in z, in both modes, is
the mean over directions: `z'/2` where they coincide in direction, 0 where they oppose, `z'/4` at
z = 0.
"""

from functools import partial

import chex
import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.typing import ArrayLike, DTypeLike

from fineq.arrays import real_array
from fineq.errors import InputError
from fineq.fast.blocks import in_blocks, split
from fineq.ntk.pairs import entries, half_angles, own_entries, polar, products, turn

Pair = tuple[Array, Array]
BLOCK = 512
ACCURACY = {"float64": 5e-15, "float32": 3e-6}  # of κ(z, z'), beside |z| |z'|


def kernel(z1: ArrayLike, z2: ArrayLike) -> Array:
    """κ between the rows of z1 `[N1, D]` and z2 `[N2, D]`, as `[N1, N2]`.

    For a set of points with itself `gram` is faster. Nothing else of the size of the result is
    held. float64 if one of the arguments is, else float32. Raises `InputError` for other shapes.
    """
    return _compiled_kernel(*as_points(z1, z2))


def gram(z: ArrayLike) -> Array:
    """κ between all rows of z `[N, D]`, as `[N, N]`; its diagonal is |z|²/2.

    Both halves are computed: to copy one into the other takes longer. Symmetric to rounding, and
    exactly so for D <= 8. Raises `InputError` if z has not two axes.
    """
    return _compiled_gram(as_points(z, z)[0])


def product(z1: ArrayLike, z2: ArrayLike, v: ArrayLike, block: int = BLOCK) -> Array:
    """`kernel(z1, z2) @ v` without the matrix, for v `[N2, k]` or `[N2]`; the same shape with N1.

    At most `block²` entries of κ are held at a time (2 MiB in float64 at the default 512), also by
    derivatives. Work: N1 N2 entries and k multiply-adds for each. `κ ⊗ I` applied to the labels
    `[N, d]` of a network with d outputs is the same call. Raises `InputError` for lengths that
    disagree or a block below 1.
    """
    z1, z2 = as_points(z1, z2)
    v = real_array("v", v).astype(z1.dtype)
    if v.ndim not in (1, 2) or v.shape[0] != z2.shape[0]:
        raise InputError(f"v must have one row for each of the {len(z2)} points, got {v.shape}")
    if block < 1:
        raise InputError(f"block must be at least 1, got {block}")
    out = _compiled_product(z1, z2, v.reshape(len(v), -1), block)
    return out.reshape(z1.shape[:1] + v.shape[1:])


def entry_error(dtype: DTypeLike) -> float:
    """The accuracy of κ(z, z') in that type beside √(κ(z, z) κ(z', z')) = |z| |z'|/2."""
    return 2 * ACCURACY[jnp.dtype(dtype).name]


def as_points(z1: ArrayLike, z2: ArrayLike) -> Pair:
    """Both as rows of one floating type; raises `InputError` if they are not real or not that."""
    z1, z2 = (real_array("points", z, floating=False) for z in (z1, z2))
    flat = z1.ndim == z2.ndim == 2 and z1.shape[1] == z2.shape[1]
    if not flat or 0 in z1.shape + z2.shape:
        raise InputError(
            "points must be the rows, at least one, of two arrays with as many columns, "
            f"got shapes {z1.shape} and {z2.shape}"
        )
    wide = jnp.float64 in (z1.dtype, z2.dtype) or not all(
        jnp.issubdtype(z.dtype, jnp.floating) for z in (z1, z2)
    )
    dtype = jax.dtypes.canonicalize_dtype(jnp.float64) if wide else jnp.float32
    return z1.astype(dtype), z2.astype(dtype)


@jax.custom_jvp
def _kernel(z1: Array, z2: Array) -> Array:
    chex.assert_shape([z1, z2], (None, z1.shape[-1]))
    return entries(polar(z1), polar(z2))


@jax.custom_jvp
def _gram(z: Array) -> Array:
    chex.assert_rank(z, 2)
    return own_entries(polar(z))


def _change(points: Pair, tangents: Pair) -> Array:
    """dκ = P(dz·z' + z·dz') + (cos / (2π sin)) |z| |z'| (du·u' + u·du'), of pairs `[N1, N2]`."""
    (z1, z2), (d1, d2) = points, tangents
    (u1, r1), (u2, r2) = polar(z1), polar(z2)
    c, q = half_angles(u1, u2)
    positive = q > 0
    q = jnp.where(positive, q, 0.25)
    y = jnp.where(positive, turn(q, jnp.sqrt(q)), 0)
    both = jnp.where(c < 0, y, 0.5 - y)
    both = jnp.where((r1 == 0)[:, None] | (r2 == 0)[None, :], 0.25, both)
    cosine = jnp.where(c < 0, 2 * q - 1, 1 - 2 * q)
    slope = jnp.where(positive & (c != 0), cosine / (4 * jnp.pi * jnp.sqrt(q * (1 - q))), 0)
    across1, across2 = (d - u * jnp.sum(u * d, 1, keepdims=True) for u, d in ((u1, d1), (u2, d2)))
    turned = r2[None, :] * products(across1, u2) + r1[:, None] * products(u1, across2)
    return both * (products(d1, z2) + products(z1, d2)) + slope * turned


@_kernel.defjvp
def _kernel_jvp(points: Pair, tangents: Pair) -> Pair:
    return _kernel(*points), _change(points, tangents)


@_gram.defjvp
def _gram_jvp(points: tuple[Array], tangents: tuple[Array]) -> Pair:
    (z,), (d,) = points, tangents
    return _gram(z), _change((z, z), (d, d))


_compiled_kernel, _compiled_gram = jax.jit(_kernel), jax.jit(_gram)


@partial(jax.jit, static_argnums=3)
def _compiled_product(z1: Array, z2: Array, v: Array, block: int) -> Array:
    # Zeros, for which κ is zero.
    right = split(z2, block, fill="constant"), split(v, block, fill="constant")

    def rows(z: Array) -> Array:
        @jax.checkpoint  # else a derivative would keep every tile
        def add(total: Array, tile: Pair) -> tuple[Array, None]:
            return total + _kernel(z, tile[0]) @ tile[1], None

        return lax.scan(add, jnp.zeros((z.shape[0], v.shape[1]), v.dtype), right)[0]

    return in_blocks(rows, block, z1)
