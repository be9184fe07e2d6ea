"""How good samples are: distances of laws, precision and recall, and the nearest data.

All take points `[N, d]`, which may be features of a network. They say different things: a model
that repeats its data has the best of distances, and `nearest` finds it out.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from fineq.errors import InputError
from fineq.fast.blocks import in_blocks

MOST = 512  # points whose distances to all others are held at once


def frechet(a: Array, b: Array) -> Array:
    """|μ - μ'|² + tr(S + S' - 2 (S S')^{1/2}) of the moments of points `[N, d]` and `[M, d]`, `[]`.

    The square of the Wasserstein distance of two Gaussians with these moments (Heusel et al. 2017).
    The trace of the root is that of the symmetric (S^{1/2} S' S^{1/2})^{1/2}, for features whose
    covariance may be singular.

    Raises:
        InputError: for points of different dimensions, or fewer than two.
    """
    _check(a, b, least=2)
    root = _root(jnp.cov(a, rowvar=False).reshape(a.shape[1], -1))
    other = jnp.cov(b, rowvar=False).reshape(root.shape)
    shared = jnp.sum(jnp.sqrt(jnp.maximum(jnp.linalg.eigvalsh(root @ other @ root), 0)))
    apart = jnp.mean(a, axis=0) - jnp.mean(b, axis=0)
    return apart @ apart + jnp.sum(root**2) + jnp.trace(other) - 2 * shared


def _root(covariance: Array) -> Array:
    values, vectors = jnp.linalg.eigh(covariance)
    return (vectors * jnp.sqrt(jnp.maximum(values, 0))[None]) @ vectors.T


def sliced_wasserstein(key: Array, a: Array, b: Array, num_projections: int = 256) -> Array:
    """The root mean square, over random directions, of the distance W2 of the projections, `[]`.

    Exact in each direction: with F^{-1} the quantiles, W2² = ∫ (F_a^{-1} - F_b^{-1})² over [0, 1].

    Args:
        key: of the directions.
        a: points `[N, d]`.
        b: points `[M, d]`.
        num_projections: number of directions.

    Raises:
        InputError: for points of different dimensions, or no direction.
    """
    _check(a, b)
    if num_projections < 1:
        raise InputError(f"num_projections must be at least 1, got {num_projections}")
    directions = jax.random.normal(key, (num_projections, a.shape[1]), a.dtype)
    directions = directions / jnp.linalg.norm(directions, axis=1, keepdims=True)
    # Quantile functions are constant between the multiples of 1/N and 1/M.
    N, M = len(a), len(b)
    ends = np.unique(np.concatenate([np.arange(1, N + 1) * M, np.arange(1, M + 1) * N]))
    widths = jnp.asarray(np.diff(ends, prepend=0) / (N * M), a.dtype)
    rows = [jnp.asarray((ends - 1) // count) for count in (M, N)]

    def square(direction: Array) -> Array:
        quantiles = [jnp.sort(x @ direction)[row] for x, row in zip((a, b), rows, strict=True)]
        return jnp.sum(widths * (quantiles[0] - quantiles[1]) ** 2)

    return jnp.sqrt(jnp.mean(jax.lax.map(square, directions)))


class Nearest(NamedTuple):
    """For each point the `distance` `[N]` to the nearest of others, and `which` it is `[N]`."""

    distance: Array
    which: Array


def nearest(a: Array, b: Array) -> Nearest:
    """For each of the points a `[N, d]` the nearest of b `[M, d]`: a sample's training data.

    Raises:
        InputError: for points of different dimensions.
    """
    _check(a, b)

    def of(rows: Array) -> Nearest:
        which = jnp.argmin(_squares(rows, b), axis=1)
        # From the difference itself: expanded squares lose small distances to rounding.
        return Nearest(jnp.linalg.norm(rows - b[which], axis=1), which)

    return in_blocks(of, MOST, a)


class Coverage(NamedTuple):
    """The share of samples among the data (`precision`), and of data among samples (`recall`)."""

    precision: Array
    recall: Array


def precision_recall(real: Array, fake: Array, k: int = 3) -> Coverage:
    """Precision and recall by manifolds of nearest neighbours.

    A point is among others where, for some of them, it is no further than that one's k-th nearest
    neighbour. Source: Kynkäänniemi et al. 2019.

    Args:
        real: data `[N, d]`.
        fake: samples `[M, d]`.
        k: number of neighbours.

    Raises:
        InputError: for points of different dimensions, or k that is not below both N and M.
    """
    _check(real, fake)
    if not 1 <= k < min(len(real), len(fake)):
        raise InputError(
            f"k must be at least 1 and below the {min(len(real), len(fake))} points, got {k}"
        )
    return Coverage(_among(fake, real, k), _among(real, fake, k))


def _among(points: Array, others: Array, k: int) -> Array:
    def radius(rows: Array) -> Array:
        # The nearest of all is the point itself.
        return -jax.lax.top_k(-_squares(rows, others), k + 1)[0][:, k]

    radii = in_blocks(radius, MOST, others)
    inside = in_blocks(lambda x: jnp.any(_squares(x, others) <= radii[None], 1), MOST, points)
    return jnp.mean(inside.astype(points.dtype))


def _squares(a: Array, b: Array) -> Array:
    """|a_i - b_j|², `[N, M]`."""
    # Far from zero, expanded squares would lose their difference to rounding.
    center = jnp.mean(b, axis=0)[None]
    a, b = a - center, b - center
    sizes = jnp.sum(a**2, axis=1)[:, None] + jnp.sum(b**2, axis=1)[None]
    return jnp.maximum(sizes - 2 * a @ b.T, 0)


def _check(a: Array, b: Array, least: int = 1) -> None:
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[1]:
        raise InputError(
            f"points must have shapes [N, d] and [M, d], got {tuple(a.shape)} and {tuple(b.shape)}"
        )
    if min(len(a), len(b)) < least:
        raise InputError(f"there must be at least {least} points, got {min(len(a), len(b))}")
