"""Least squares of a line, with what a rate needs beside the slope: its error and its bend.

Residuals of an iteration are correlated in time, so the textbook error of a slope is too small. It
is multiplied by sqrt((1 + rho) / (1 - rho)), rho the lag-one correlation of the residuals (the
effective sample size of a first-order autoregression).
"""

import math
from typing import NamedTuple

import numpy as np

# With fewer points a lag-one correlation is mostly sampling error.
_MIN_POINTS_FOR_CORRELATION = 8
_MAX_CORRELATION = 0.98


class Line(NamedTuple):
    """A straight line y = intercept + slope t fitted to points.

    Attributes:
        slope: units of y per unit of t.
        intercept: y at t = 0.
        stderr: standard error of `slope`, widened for correlated residuals; inf below 3 points.
        r_squared: share of the variance of y explained; nan where y is constant.
        rms: root mean square of the residuals.
        num_points: number of points.

    """

    slope: float
    intercept: float
    stderr: float
    r_squared: float
    rms: float
    num_points: int


class Bend(NamedTuple):
    """How far points are from a straight line, by a parabola fitted to them.

    Attributes:
        value: (slope at the last t - slope at the first t) / |mean slope|; positive for convex y.
        stderr: its standard error, widened for correlated residuals; inf below 4 points.

    """

    value: float
    stderr: float


def slope_of(t: np.ndarray, y: np.ndarray) -> float:
    """Return the least-squares slope alone; t and y [n], n >= 2."""
    centred = t - np.add.reduce(t) / t.size
    return float(centred @ y) / float(centred @ centred)


def fit_line(t: np.ndarray, y: np.ndarray, weights: np.ndarray | None = None) -> Line:
    """Fit y = a + b t by (weighted) least squares.

    Args:
        t: abscissae [n], not all equal, n >= 2.
        y: ordinates [n], finite.
        weights: [n], positive: inverse variances up to a common factor; None means equal.

    """
    n = t.size
    w = np.ones(n) if weights is None else weights * (n / np.sum(weights))
    t_mean, y_mean = float(w @ t) / n, float(w @ y) / n
    tc, yc = t - t_mean, y - y_mean
    norm = float((w * tc) @ tc)
    slope = float((w * tc) @ yc) / norm
    residual = yc - slope * tc
    total, sse = float((w * yc) @ yc), float((w * residual) @ residual)
    return Line(
        slope=slope,
        intercept=y_mean - slope * t_mean,
        stderr=_stderr(sse, norm, residual, n - 2),
        r_squared=1.0 - sse / total if total > 0 else float("nan"),
        rms=math.sqrt(sse / n),
        num_points=n,
    )


def fit_bend(t: np.ndarray, y: np.ndarray, line: Line) -> Bend:
    """Fit a parabola to the residuals of a line fitted with equal weights to t and y [n]."""
    half = (t[-1] - t[0]) / 2
    z = (t - t[0]) / half - 1
    zc = z - np.add.reduce(z) / z.size
    square = z * z
    square = square - np.add.reduce(square) / z.size
    square = square - float(zc @ square) / float(zc @ zc) * zc
    norm = float(square @ square)
    residual = y - (line.intercept + line.slope * t)
    steepness = abs(line.slope) * half
    if steepness == 0 or norm < 1e-12 * z.size:
        return Bend(0.0, float("inf"))
    c = float(square @ residual) / norm
    left = residual - c * square
    stderr = _stderr(float(left @ left), norm, left, z.size - 3)
    # The parabola's slope goes from -2 c at z = -1 to 2 c at z = 1.
    return Bend(float(4 * c / steepness), float(4 * stderr / steepness))


def power_misfit(k: np.ndarray, y: np.ndarray) -> float:
    """Return the least sum of squares of y = a - p log(k + s) over a, p and s.

    s runs over a grid from 0 (or the first spacing, where the records start at 0) to the length of
    the record: beyond that a power law is as good as a line.
    """
    first = k[1] - k[0] if k[0] == 0 else 0.0
    shifts = first + (k[-1] - k[0]) * np.concatenate([[0.0], np.geomspace(1e-4, 1.0, 24)])
    x = np.log(k + shifts[:, None])
    x, y = x - np.mean(x, axis=1, keepdims=True), y - np.mean(y)
    slope = (x @ y) / np.sum(x * x, axis=1)
    return float(np.min(np.sum((y - slope[:, None] * x) ** 2, axis=1)))


def _stderr(sse: float, norm: float, residual: np.ndarray, dof: int) -> float:
    if dof < 1:
        return float("inf")
    return math.sqrt(sse / dof / norm) * _correlation_factor(residual)


def _correlation_factor(residual: np.ndarray) -> float:
    n = residual.size
    power = float(residual @ residual)
    if n < _MIN_POINTS_FOR_CORRELATION or power == 0.0:
        return 1.0
    rho = float(residual[:-1] @ residual[1:]) / power
    # First-order bias of the estimate after two coefficients were fitted (Marriott and Pope).
    rho = min(max(rho + (1 + 3 * rho) / n, 0.0), _MAX_CORRELATION)
    return math.sqrt((1 + rho) / (1 - rho))
