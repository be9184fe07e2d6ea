"""Kernel gradient descent from products with the Gram matrix alone, for many points.

What gradient descent does to labels Y in τ steps is a polynomial in A = K/N, so the Krylov space
span{Y, A Y, ..., A^{k-1} Y} holds the first k steps exactly, and later ones nearly, as long as they
have not entered small eigenvalues. `krylov` builds an orthonormal basis Q of it from k products
(block Lanczos with full reorthogonalisation) and diagonalises Q' A Q; these Ritz pairs stand in
for the eigenpairs of `fineq.ntk.spectral`, whose `descend` and `predict` do the rest.
`fineq.ntk.accuracy` says until which training time that is good enough (`ntk/early-stopping`,
arXiv 2401.15604).

Columns drawn at random beside the labels (`probes`) estimate the degrees of freedom, and let the
space see eigenvectors to which the labels are orthogonal.
"""

from collections.abc import Callable
from functools import partial
from typing import Literal, NamedTuple, get_args

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.typing import ArrayLike, DTypeLike

from fineq.errors import InputError
from fineq.ntk.memory import check_memory
from fineq.ntk.spectral import Spectrum, eigenpairs
from fineq.ntk.tangent import BLOCK, gram, kernel, product

Storage = Literal["float64", "float32", "blocked"]

PRODUCTS = 30
ROWS = 256  # rows of a stored Gram matrix computed, or turned to float64, at once


class Krylov(NamedTuple):
    """The Krylov space of k products of A = K/N with C columns of labels and probes, P = k C.

    Attributes:
        spectrum: Ritz pairs θ, v: what `spectral.descend` takes for these labels.
        residuals: |A v - θ v| of each, `[P]`: an eigenvalue of A lies that close to θ.
        trace: tr(K)/N.
        loads: V' Y in the basis V of Ritz vectors, `[P, labels]`.
        probe_loads: the same of the probes, `[P, probes]`.
        ends: what of each Ritz vector lies in the last C basis vectors, `[C, P]`.
        beyond: F'F and F'AF for A Q = Q Q'AQ + F, the part of the last product outside the space,
            `[2, C, C]`.
        rounding: error that the precision of K leaves in A, in the operator norm.
    """

    spectrum: Spectrum
    residuals: Array
    trace: Array
    loads: Array
    probe_loads: Array
    ends: Array
    beyond: Array
    rounding: Array


@partial(jax.jit, static_argnames="dtype")
def stored_gram(z: ArrayLike, dtype: str = "float64") -> Array:
    """The Gram matrix `[N, N]` of points `[N, D]`, computed in the precision of z."""
    z = jnp.asarray(z)
    if z.dtype == dtype:
        return gram(z)
    return lax.map(lambda x: kernel(x[None], z)[0].astype(dtype), z, batch_size=ROWS)


@jax.jit
def mean_diagonal(z: ArrayLike) -> Array:
    """E κ(z, z) = tr(K)/N over points `[N, D]`."""
    return jnp.mean(jax.vmap(lambda x: kernel(x[None], x[None])[0, 0])(jnp.asarray(z)))


def multiply(K: Array, v: Array) -> Array:
    """K v for v `[N, C]` with sums in the precision of v, without a copy of K in it."""
    if K.dtype == v.dtype:
        return K @ v
    return lax.map(lambda row: row.astype(v.dtype) @ v, K, batch_size=ROWS)


@partial(jax.jit, static_argnames="products")
def krylov(
    K: Array, labels: ArrayLike, products: int = PRODUCTS, probes: ArrayLike | None = None
) -> Krylov:
    """The Krylov space of a stored Gram matrix `[N, N]` and labels `[N, ...]`.

    K may be float32 beside float64 labels, which halves its memory: sums are float64 then.
    """
    trace = jnp.trace(K) / K.shape[0]
    return _krylov(lambda v: multiply(K, v), labels, products, probes, trace, K.dtype)


@partial(jax.jit, static_argnames=("products", "block"))
def krylov_blocked(
    z: ArrayLike,
    labels: ArrayLike,
    products: int = PRODUCTS,
    probes: ArrayLike | None = None,
    block: int = BLOCK,
) -> Krylov:
    """The same at points `[N, D]`, holding at most `block²` entries of K at once.

    Each of the k + 1 products computes the Gram matrix anew.
    """
    z = jnp.asarray(z)
    return _krylov(
        lambda v: product(z, z, v, block), labels, products, probes, mean_diagonal(z), z.dtype
    )


def krylov_at(
    z: ArrayLike,
    labels: ArrayLike,
    products: int = PRODUCTS,
    probes: ArrayLike | None = None,
    *,
    storage: Storage = "float64",
    block: int = BLOCK,
    available: int | None = None,
) -> Krylov:
    """The Krylov space at points `[N, D]` and labels `[N, ...]`.

    Args:
        z: points.
        labels: columns, all of which share every product.
        products: k, how often K is applied; once more for the error.
        probes: random columns `[N, R]`, see `draw_probes`.
        storage: "float64" or "float32": the Gram matrix is stored so; "blocked": it is not.
        block: tile of "blocked".
        available: bytes of memory; default: the device's.

    Raises:
        InputError: for arguments that do not fit each other.
        ResourceError: before any work, if the Gram matrix or the space will not fit; says what
            they need and which storage avoids it.
    """
    z, labels = jnp.asarray(z), jnp.asarray(labels)
    if storage not in get_args(Storage):
        raise InputError(f"storage must be one of {', '.join(get_args(Storage))}, got {storage}")
    if labels.shape[:1] != z.shape[:1]:
        raise InputError(f"labels must be as many as the {len(z)} points, got {labels.shape}")
    columns = labels.size // len(labels) + (0 if probes is None else jnp.shape(probes)[1])
    vectors = 3 * products * columns
    if storage == "blocked":
        check_memory(len(z), "blocked", 8, available, vectors)
        return krylov_blocked(z, labels, products, probes, block)
    check_memory(len(z), "stored", jnp.dtype(storage).itemsize, available, vectors)
    return krylov(stored_gram(z, storage), labels, products, probes)


def draw_probes(key: Array, num: int, count: int, dtype: str = "float64") -> Array:
    """`count` independent columns of ±1 at `num` points."""
    return jax.random.rademacher(key, (num, count), dtype)


def _krylov(
    apply: Callable[[Array], Array],
    labels: ArrayLike,
    products: int,
    probes: ArrayLike | None,
    trace: Array,
    dtype: DTypeLike,
) -> Krylov:
    labels = jnp.asarray(labels, jnp.result_type(labels, float))
    labels = labels.reshape(len(labels), -1)
    start = labels if probes is None else jnp.concatenate([labels, jnp.asarray(probes)], axis=1)
    count, width = start.shape
    if products < 1:
        raise InputError(f"products must be at least 1, got {products}")
    size = products * width

    def step(j: Array, carry: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        basis, table, block = carry
        block = _orthonormal(basis, block)
        basis = lax.dynamic_update_slice_in_dim(basis, block, j * width, 0)
        image = apply(block.T).T / count
        table = lax.dynamic_update_slice_in_dim(table, basis @ image.T, j * width, 1)
        return basis, table, image

    zeros = jnp.zeros((size, count), start.dtype), jnp.zeros((size, size), start.dtype)
    basis, table, image = lax.fori_loop(0, products, step, (*zeros, start.T))
    # A column of the table was filled when the basis ended there: symmetry gives what is below.
    values, rotation = eigenpairs(jnp.triu(table) + jnp.triu(table, 1).T)
    rest = image - (image @ basis.T) @ basis
    beyond = jnp.stack([rest @ rest.T, rest @ apply(rest.T) / count])
    ends = rotation[-width:]
    loads = rotation.T @ (basis @ start)
    return Krylov(
        Spectrum(values, basis.T @ rotation),
        length(beyond[0], ends),
        trace,
        loads[:, : labels.shape[1]],
        loads[:, labels.shape[1] :],
        ends,
        beyond,
        values[0] * _rounding(dtype, start.dtype, count),
    )


def length(metric: Array, columns: Array) -> Array:
    """√(x' M x) of columns `[..., C, P]`: `[..., P]`."""
    squared = jnp.sum(columns * (metric @ columns), axis=-2)
    return jnp.sqrt(jnp.maximum(squared, 0))


def _rounding(stored: DTypeLike, summed: DTypeLike, count: int) -> float:
    """Relative error of K/N: of its products, and of entries rounded independently."""
    products, entries = 10 * jnp.finfo(summed).eps, jnp.finfo(stored).eps / count**0.5
    return float(max(products, entries))


def _orthonormal(basis: Array, block: Array) -> Array:
    """Rows of `block` made orthonormal, and orthogonal to the rows of `basis`.

    A row that lies in the span of the others becomes zero, and stays so in later products. Twice
    is enough: after the first round nothing cancels any more.
    """
    floor = 100 * jnp.finfo(block.dtype).eps * jnp.linalg.norm(block, axis=1)
    for smallest in (floor, jnp.full_like(floor, 0.5)):
        block = block - (block @ basis.T) @ basis

        def orthonormalise(j: Array, done: Array, smallest: Array = smallest) -> Array:
            before = jnp.where(jnp.arange(len(done)) < j, 1, 0)[:, None] * done
            row = done[j] - (before @ done[j]) @ before
            length = jnp.linalg.norm(row)
            row = jnp.where(length > smallest[j], row / jnp.where(length > 0, length, 1), 0)
            return lax.dynamic_update_index_in_dim(done, row, j, 0)

        block = lax.fori_loop(0, len(block), orthonormalise, block)
    return block
