"""Data in the cube [-1, 1]^d: checks, scaling, duplicates, and handwritten digits."""

from typing import NamedTuple

import numpy as np
from jax.typing import ArrayLike

from fineq.arrays import finite_rows, host_array
from fineq.errors import InputError

_SLACK = 1e-12  # rounding of data that were scaled to touch the cube


class Scaling(NamedTuple):
    """scaled = (x - center)/factor.

    Attributes:
        center: `[d]`.
        factor: one for all coordinates, so that distances keep their proportions.
    """

    center: np.ndarray
    factor: float

    def undo(self, scaled: ArrayLike) -> np.ndarray:
        """The data `[..., d]` that scaled ones came from."""
        return np.asarray(scaled) * self.factor + self.center


class Merged(NamedTuple):
    """Distinct points.

    Attributes:
        locations: `[S, d]`, in the order of their first appearance.
        weights: `[S]`, summing to 1.
        num_merged: rows that were joined to an earlier equal one.
        position: `[rows]`, which location each row became.
    """

    locations: np.ndarray
    weights: np.ndarray
    num_merged: int
    position: np.ndarray


class Digits(NamedTuple):
    """Handwritten digits on their leading principal axes.

    Attributes:
        locations: `[S, d]`, in the cube.
        weights: `[S]`.
        num_merged: images that coincide after the reduction.
        labels: `[S]`, the digit, of the first of merged images.
        scaling: from principal coordinates to the cube.
        mean: `[64]`, of the images, whose pixels lie in [0, 1].
        axes: `[d, 64]`, orthonormal; the entry of largest size of each is positive.
        explained: share of the images' variance that the axes carry.
    """

    locations: np.ndarray
    weights: np.ndarray
    num_merged: int
    labels: np.ndarray
    scaling: Scaling
    mean: np.ndarray
    axes: np.ndarray
    explained: float

    def images(self, locations: ArrayLike) -> np.ndarray:
        """Pixels `[..., 8, 8]` of points `[..., d]` of the cube."""
        pixels = self.mean + self.scaling.undo(locations) @ self.axes
        return pixels.reshape(*pixels.shape[:-1], 8, 8)


def check_cube(name: str, x: ArrayLike, advice: str = "`to_cube` scales them") -> np.ndarray:
    """The points `[S, d]` as float64, if they lie in [-1, 1]^d.

    Args:
        name: of the points, for the message.
        x: the points.
        advice: what to do where they do not.

    Raises:
        InputError: as `fineq.arrays.finite_rows`, and for points outside the cube.
    """
    rows = finite_rows(name, x).astype(np.float64)
    largest = float(np.abs(rows).max())
    if largest > 1 + _SLACK:
        outside = int(np.sum(np.any(np.abs(rows) > 1 + _SLACK, axis=1)))
        raise InputError(
            f"{name} must lie in [-1, 1]^{rows.shape[1]}, but {outside} of {rows.shape[0]} points "
            f"do not and the largest coordinate is {largest:g}: {advice}"
        )
    return rows


def to_cube(x: ArrayLike, name: str = "points") -> tuple[np.ndarray, Scaling]:
    """Points `[S, d]` moved to the middle of the cube and scaled by one factor until they touch it.

    A single point, whose size says nothing, goes to the origin with factor 1.

    Raises:
        InputError: as `fineq.arrays.finite_rows`.
    """
    rows = finite_rows(name, x).astype(np.float64)
    low, high = rows.min(axis=0), rows.max(axis=0)
    center, size = 0.5 * (low + high), float(np.max(high - low)) / 2
    scaling = Scaling(center, size if size > 0 else 1.0)
    return np.clip((rows - center) / scaling.factor, -1.0, 1.0), scaling


def merge(x: np.ndarray, weights: ArrayLike | None = None, name: str = "weights") -> Merged:
    """Join equal rows of `x [S, d]` and add their weights, equal ones unless given `[S]`.

    Raises:
        InputError: for weights that are no real numbers, of another length, not positive, or not
            summing to 1.
    """
    num = x.shape[0]
    w = np.full(num, 1 / num) if weights is None else host_array(name, weights).astype(np.float64)
    if w.shape != (num,):
        raise InputError(f"{name} has shape {w.shape}, but there are {num} points")
    if not np.all(np.isfinite(w) & (w > 0)):
        raise InputError(f"{name} must be positive and finite, got {w.min():g}")
    if abs(w.sum() - 1) > 1e-6:
        raise InputError(f"{name} must sum to 1, got {w.sum():g}")
    _, first, inverse = np.unique(x, axis=0, return_index=True, return_inverse=True)
    rank = np.argsort(np.argsort(first))
    position = rank[inverse.reshape(-1)]
    total = np.bincount(position, w, minlength=first.size)
    return Merged(x[np.sort(first)], total / total.sum(), num - first.size, position)


def digits(d: int = 8, name: str = "d") -> Digits:
    """The 1797 handwritten digits of scikit-learn on their d leading principal axes, in the cube.

    Args:
        d: number of axes.
        name: of d, for the message.

    Raises:
        InputError: for d outside 2..16.
    """
    if not 2 <= d <= 16:
        raise InputError(f"{name} must lie in 2..16 for digits, got {d}")
    from sklearn.datasets import load_digits  # half a second that few need to spend

    pixels, labels = load_digits(return_X_y=True)
    images = np.asarray(pixels, np.float64) / 16
    mean = images.mean(axis=0)
    _, singular, axes = np.linalg.svd(images - mean, full_matrices=False)
    axes = axes[:d]
    # An axis is known up to its sign only.
    axes *= np.sign(axes[np.arange(d), np.argmax(np.abs(axes), axis=1)])[:, None]
    scaled, scaling = to_cube((images - mean) @ axes.T)
    merged = merge(scaled)
    first = np.unique(merged.position, return_index=True)[1]
    explained = float(np.sum(singular[:d] ** 2) / np.sum(singular**2))
    return Digits(
        merged.locations,
        merged.weights,
        merged.num_merged,
        np.asarray(labels)[first],
        scaling,
        mean,
        axes,
        explained,
    )
