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

import chex
import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.core import Tracer
from jax.typing import ArrayLike

from fineq.arrays import real_array
from fineq.errors import InputError
from fineq.ntk.memory import check_memory
from fineq.ntk.spectral import Spectrum, eigenpairs
from fineq.ntk.tangent import BLOCK, as_points, entry_error, gram, kernel, product

Storage = Literal["float64", "float32", "blocked"]

PRODUCTS = 30
ROWS = 256  # rows of a stored Gram matrix computed, or turned to float64, at once


class Krylov(NamedTuple):
    """The Krylov space of k products of A = K/N with C columns of labels and probes, P = k C.

    Attributes:
        spectrum: Ritz pairs θ, v: what `spectral.descend` takes for these labels.
        residuals: |A v - θ v|/|v| of each, `[P]`: an eigenvalue of A lies that close to θ. Where
            the space ends before P vectors, the others have v = 0 and θ = 0, and here inf.
        trace: tr(K)/N.
        loads: V' Y in the basis V of Ritz vectors, `[P, labels]`.
        probe_loads: the same of the probes, `[P, probes]`.
        ends: what of each Ritz vector lies in the last C basis vectors, `[C, P]`.
        beyond: F'F and F'AF for A Q = Q Q'AQ + F, the part of the last product outside the space,
            `[2, C, C]`.
        rounding: bound on the error that the precision of K leaves in A, in the operator norm.
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
    z = as_points(z, z)[0]
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


def krylov(
    K: ArrayLike,
    labels: ArrayLike,
    products: int = PRODUCTS,
    probes: ArrayLike | None = None,
    entry: float | None = None,
) -> Krylov:
    """The Krylov space of a stored Gram matrix `[N, N]` and labels `[N, ...]`.

    K may be float32 beside float64 labels, which halves its memory: sums are float64 then. `entry`
    bounds the error of K_ij over √(K_ii K_jj); by default one rounding to the type of K.
    Raises `InputError` for arrays that are no real numbers or do not fit each other, and, outside
    `jit` and `vmap`, for a K that is not finite or not symmetric to rounding and `entry`.
    """
    K = real_array("K", K, 2)
    if K.shape[0] != K.shape[1] or len(K) == 0:
        raise InputError(f"K must be a square matrix of at least one row, got shape {K.shape}")
    given = _columns(labels, probes, len(K), products)
    entry = float(jnp.finfo(K.dtype).eps) / 2 if entry is None else entry
    if not isinstance(K, Tracer):
        _check_symmetric(K, entry)
    return _stored(K, *given, products, entry)


def _check_symmetric(K: Array, entry: float) -> None:
    finite, excess = _asymmetry(K)
    if not finite:
        raise InputError("K must be finite, but holds NaN or infinity")
    slack = 10 * len(K) * float(jnp.finfo(K.dtype).eps) + 2 * entry
    if excess > slack:
        raise InputError(
            "K must be symmetric, but two entries that mirror each other differ by "
            f"{float(excess):.2g} of √(K_ii K_jj), or of themselves where they are larger"
        )


@jax.jit
def _asymmetry(K: Array) -> tuple[Array, Array]:
    """Whether K is finite, and max |K_ij - K_ji| over √(K_ii K_jj) or |K_ij|, without a copy."""
    roots = jnp.sqrt(jnp.abs(jnp.diagonal(K)))

    def look(i: Array) -> tuple[Array, Array]:
        gap = jnp.abs(K[i] - K[:, i])
        scale = jnp.maximum(roots * roots[i], jnp.abs(K[i]))
        excess = jnp.where(gap > 0, gap / jnp.where(scale > 0, scale, gap), 0.0)
        return jnp.all(jnp.isfinite(K[i])), jnp.max(excess)

    finite, excess = lax.map(look, jnp.arange(len(K)), batch_size=ROWS)
    return jnp.all(finite), jnp.max(excess)


@partial(jax.jit, static_argnums=(3, 4))
def _stored(K: Array, labels: Array, probes: Array | None, products: int, entry: float) -> Krylov:
    trace = jnp.trace(K, dtype=labels.dtype) / K.shape[0]
    return _krylov(lambda v: multiply(K, v), labels, products, probes, trace, entry)


def krylov_blocked(
    z: ArrayLike,
    labels: ArrayLike,
    products: int = PRODUCTS,
    probes: ArrayLike | None = None,
    block: int = BLOCK,
) -> Krylov:
    """The same at points `[N, D]`, holding at most `block²` entries of K at once.

    Each of the k + 1 products computes the Gram matrix anew. Labels are taken in the precision of
    z. Raises `InputError` as `krylov`.
    """
    z = as_points(z, z)[0]
    columns, drawn = _columns(labels, probes, len(z), products)
    drawn = None if drawn is None else drawn.astype(z.dtype)
    return _unstored(z, columns.astype(z.dtype), drawn, products, block)


@partial(jax.jit, static_argnums=(3, 4))
def _unstored(z: Array, labels: Array, probes: Array | None, products: int, block: int) -> Krylov:
    trace = mean_diagonal(z)
    return _krylov(
        lambda v: product(z, z, v, block), labels, products, probes, trace, entry_error(z.dtype)
    )


def _columns(
    labels: ArrayLike, probes: ArrayLike | None, num: int, products: int
) -> tuple[Array, Array | None]:
    """Labels and probes, one row for each of `num` points; raises `InputError`."""
    if products < 1:
        raise InputError(f"products must be at least 1, got {products}")
    labels = real_array("labels", labels)
    probes = None if probes is None else real_array("probes", probes, 2)
    for name, given in (("labels", labels), ("probes", probes)):
        if given is not None and given.shape[:1] != (num,):
            raise InputError(f"{name} must be as many as the {num} points, got {given.shape}")
    return labels, probes


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
    z = as_points(z, z)[0]
    if storage not in get_args(Storage):
        raise InputError(f"storage must be one of {', '.join(get_args(Storage))}, got {storage}")
    labels, probes = _columns(labels, probes, len(z), products)
    columns = labels.size // len(labels) + (0 if probes is None else jnp.shape(probes)[1])
    vectors = 3 * products * columns
    if storage == "blocked":
        check_memory(len(z), "blocked", 8, available, vectors)
        return krylov_blocked(z, labels, products, probes, block)
    check_memory(len(z), "stored", jnp.dtype(storage).itemsize, available, vectors)
    entry = entry_error(z.dtype) + (storage != z.dtype) * float(jnp.finfo(storage).eps) / 2
    return krylov(stored_gram(z, storage), labels, products, probes, entry)


def draw_probes(key: Array, num: int, count: int, dtype: str = "float64") -> Array:
    """`count` independent columns of ±1 at `num` points."""
    return jax.random.rademacher(key, (num, count), dtype)


def _krylov(
    apply: Callable[[Array], Array],
    labels: Array,
    products: int,
    probes: Array | None,
    trace: Array,
    entry: float,
) -> Krylov:
    labels = labels.reshape(len(labels), -1)
    if probes is not None:
        chex.assert_shape(probes, (len(labels), None))
    start = labels if probes is None else jnp.concatenate([labels, probes], axis=1)
    count, width = start.shape
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
    # Orthonormal but for those that an exhausted space cannot fill: they are zero.
    vectors = basis.T @ rotation
    size = jnp.linalg.norm(vectors, axis=0)
    filled = size > jnp.finfo(start.dtype).eps ** 0.5
    residuals = length(beyond[0], ends) / jnp.where(filled, size, 1.0)
    return Krylov(
        Spectrum(values, vectors),
        jnp.where(filled, residuals, jnp.inf),
        trace,
        loads[:, : labels.shape[1]],
        loads[:, labels.shape[1] :],
        ends,
        beyond,
        # |ΔK_ij| <= entry √(K_ii K_jj) makes |ΔK| <= entry tr K, and equal rows reach it; the
        # products round beside.
        entry * trace + 10 * jnp.finfo(start.dtype).eps * values[0],
    )


def length(metric: Array, columns: Array) -> Array:
    """√(x' M x) of columns `[..., C, P]`: `[..., P]`."""
    squared = jnp.sum(columns * (metric @ columns), axis=-2)
    return jnp.sqrt(jnp.maximum(squared, 0))


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
