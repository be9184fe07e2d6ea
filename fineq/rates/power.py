"""Power laws y = c x^slope: orders of convergence, sample-complexity exponents."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fineq.arrays import host_array
from fineq.errors import InputError
from fineq.rates.intervals import LEVEL, Interval, finite_or_none, median_interval, student_margin
from fineq.rates.regression import Line, fit_line


@dataclass(frozen=True, eq=False)
class PowerLaw:
    """A fitted power law.

    Attributes:
        quantity: what y is.
        slope: exponent of x, the median over seeds of their own fits' exponents; nan without any.
        low: lower end of its interval; nan without one.
        high: upper end.
        confidence: the level of the interval (smaller than asked for below 6 seeds).
        method: how slope and interval were obtained, in words.
        intercept: log y at x = 1 (median over seeds).
        r_squared: share of the variance of log y explained (median over seeds).
        local_slopes: [X - 1], exponents between neighbouring x (median over seeds; nan where no
            seed has both). They show whether one exponent describes the whole range.
        seeds: number of seeds given.
        seeds_used: seeds with at least 2 usable points.
        points_used: [X], number of seeds with a usable point at each x.
        seed_slopes: [S], exponent of every seed, nan where it has too few points.
        seed_extrapolated: [S], where every seed's exponents between neighbouring x tend to.

    """

    quantity: str
    slope: float
    low: float
    high: float
    confidence: float
    method: str
    intercept: float
    r_squared: float
    local_slopes: np.ndarray
    seeds: int
    seeds_used: int
    points_used: np.ndarray
    seed_slopes: np.ndarray = field(repr=False)
    seed_extrapolated: np.ndarray = field(repr=False)

    @property
    def value(self) -> float:
        """The exponent: the number that `low` and `high` bracket."""
        return self.slope

    @property
    def extrapolated(self) -> float:
        """Where exponents between x, 2x, 4x, ... tend to, were they affine in 1/x; from three."""
        return float(_continued(self.local_slopes))

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Return the fitted law at x, of the shape of x."""
        return np.exp(self.intercept) * np.asarray(x, dtype=float) ** self.slope

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for `summary.json`; numbers that do not exist are None."""
        names = ("value", "low", "high", "intercept", "r_squared")
        return {
            "quantity": self.quantity,
            "method": self.method,
            **{name: finite_or_none(getattr(self, name)) for name in names},
            "unit": "exponent",
            "confidence": self.confidence,
            "local_slopes": [finite_or_none(slope) for slope in self.local_slopes],
            "seeds": self.seeds,
            "seeds_used": self.seeds_used,
            "verdict": None,
        }


def power_law(
    x: np.ndarray,
    y: np.ndarray,
    *,
    weights: np.ndarray | None = None,
    valid: np.ndarray | None = None,
    confidence: float = LEVEL,
    quantity: str = "error",
) -> PowerLaw:
    """Fit log y = intercept + slope log x by least squares, per seed.

    Points where y is not finite or not positive, or `valid` is False, are left out and counted. The
    interval is that of the median over seeds; for one seed it is Student's t of the regression,
    which needs 3 points.

    Args:
        x: [X], positive, strictly increasing, X >= 2.
        y: [S, X], or [X] for one seed.
        weights: [X], non-negative: inverse variances of log y up to a common factor; a point of
            weight 0 is left out.
        valid: same shape as `y`.
        confidence: level of the interval.
        quantity: what y measures.

    Raises:
        InputError: for shapes that disagree, x not positive or not increasing, negative weights, a
            confidence outside (0, 1).

    """
    x, y, weights, valid = _checked(x, y, weights, valid)
    usable = valid & np.isfinite(y) & (y > 0) & (weights > 0)
    log_x, log_y = np.log(x), np.log(np.where(usable, y, 1.0))
    fits = [
        fit_line(log_x[keep], row[keep], weights[keep]) if np.sum(keep) >= 2 else None
        for row, keep in zip(log_y, usable)
    ]
    found = [fit for fit in fits if fit is not None]
    interval, method = _interval(found, confidence)
    both = usable[:, 1:] & usable[:, :-1]
    local = np.where(both, np.diff(log_y, axis=1) / np.diff(log_x), np.nan)
    return PowerLaw(
        quantity=quantity,
        slope=interval.value,
        low=interval.low,
        high=interval.high,
        confidence=interval.confidence,
        method=method,
        intercept=_median(np.array([fit.intercept for fit in found])),
        r_squared=_median(np.array([fit.r_squared for fit in found])),
        local_slopes=np.array([_median(column) for column in local.T]),
        seeds=len(y),
        seeds_used=len(found),
        points_used=np.sum(usable, axis=0),
        seed_slopes=np.array([np.nan if fit is None else fit.slope for fit in fits]),
        seed_extrapolated=_continued(local),
    )


def paired_exponents(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The exponent of y in x, both `[S, X]` and positive, by least squares in logarithms, `[S]`.

    For points that are measured themselves, and differ between seeds; nan where one is not finite.
    """
    x, y = (np.log(v) - np.mean(np.log(v), axis=-1, keepdims=True) for v in (x, y))
    return np.sum(x * y, axis=-1) / np.sum(x * x, axis=-1)


def _continued(local: np.ndarray) -> np.ndarray:
    """Exponents `[..., X - 1]` between neighbours, continued past the last; nan below two."""
    if local.shape[-1] < 2:
        return np.full(local.shape[:-1], np.nan)
    return 2 * local[..., -1] - local[..., -2]


def _interval(found: list[Line], confidence: float) -> tuple[Interval, str]:
    fitted = "least squares of log y on log x"
    if len(found) != 1 or found[0].num_points < 3:
        slopes = np.array([line.slope for line in found])
        return median_interval(slopes, confidence=confidence), f"{fitted}; median over seeds"
    line = found[0]
    margin = student_margin(line.stderr, line.num_points - 2, confidence)
    interval = Interval(line.slope, line.slope - margin, line.slope + margin, confidence, 1)
    return interval, f"{fitted}; one seed, interval of the regression"


def _median(values: np.ndarray) -> float:
    values = values[np.isfinite(values)]
    return float(np.median(values)) if values.size else float("nan")


def _checked(
    x: np.ndarray, y: np.ndarray, weights: np.ndarray | None, valid: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    x, y = host_array("x", x).astype(float), host_array("y", y).astype(float)
    if x.ndim != 1 or x.size < 2 or y.ndim not in (1, 2) or y.shape[-1:] != x.shape:
        raise InputError(
            f"x [X] and y [S, X] or [X] must agree on X >= 2, got {x.shape} and {y.shape}"
        )
    if not (np.all(x > 0) and np.all(np.diff(x) > 0) and np.all(np.isfinite(x))):
        raise InputError(f"x must be positive and increasing, got {x}")
    weights = np.ones(x.size) if weights is None else np.asarray(weights, dtype=float)
    if weights.shape != x.shape or not np.all(weights >= 0):
        raise InputError(f"weights must be {x.size} non-negative numbers, got {weights}")
    valid = np.ones(y.shape, dtype=bool) if valid is None else np.asarray(valid, dtype=bool)
    if valid.shape != y.shape:
        raise InputError(f"valid {valid.shape} must have the shape of y, {y.shape}")
    return x, np.atleast_2d(y), weights, np.atleast_2d(valid)
