"""What of a difference may be rounding: of numbers of which nothing is random, entry by entry."""

import numpy as np


def rounding_of(precision: str) -> float:
    """Relative difference that rounding may make: half of the digits."""
    known = precision if precision in ("float32", "float64") else "float32"
    return float(np.sqrt(np.finfo(known).eps))


def last_digits(rounding: float) -> float:
    """A few units in the last place, of the precision of which half of the digits is `rounding`."""
    return 8 * rounding**2


def alike(a: np.ndarray, b: np.ndarray, rounding: float) -> bool:
    """Whether coordinates are the same up to a few of the last digits."""
    if a.shape != b.shape:
        return False
    if a.dtype.kind not in "biuf" or b.dtype.kind not in "biuf":
        return bool((a == b).all())
    return bool(np.allclose(a, b, rtol=last_digits(rounding), atol=0.0, equal_nan=True))


def difference(a: np.ndarray, b: np.ndarray, rounding: float) -> tuple[float, bool]:
    """The largest difference over the largest number, and whether all entries agree to rounding.

    An entry does by its own digits; below the last digits of the largest of all there are none.
    """
    x, y = a.astype(float), b.astype(float)
    same = (x == y) | (np.isnan(x) & np.isnan(y))
    if same.all():
        return 0.0, True
    finite = np.isfinite(x) & np.isfinite(y)
    if not finite[~same].all():
        return np.inf, False
    size = np.maximum(np.abs(x), np.abs(y))
    largest = max(float(np.max(size[finite])), 1e-300)
    away = np.abs(x - y)[~same]
    allowed = rounding * size[~same] + last_digits(rounding) * largest
    return float(np.max(away)) / largest, bool((away <= allowed).all())
