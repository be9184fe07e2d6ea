"""A floor that a run only begins to reach: the error as an exponential plus a constant.

    y(k) = level + log(1 + exp(-speed (k - knee)))

It falls with slope -speed before the knee, where the exponential equals the constant, and flattens
after it.
"""

from typing import NamedTuple

import numpy as np
import scipy.optimize

from fineq.rates.regression import fit_bend, fit_line, power_misfit

# The run must go beyond the knee, and the descent before it must be a factor 3.
_MIN_FALL = np.log(3.0)
# Twice the gain in log likelihood over every other shape, beyond Schwarz's penalty.
_MIN_GAIN = 6.0
_MIN_RECORDS = 8
# Shares of the fall that a burn-in may have taken.
_BURN_INS = (0.0, 0.25, 0.5)
# Log residuals below this are rounding of the errors.
_ROUNDING = 1e-9


class Offset(NamedTuple):
    """The fitted shape, with the sum of squares it leaves."""

    level: float
    knee: float
    speed: float
    misfit: float


def approached_level(k: np.ndarray, y: np.ndarray) -> Offset | None:
    """Fit the shape to the whole or to the later part of a descent.

    Args:
        k: iterations [n], increasing.
        y: log errors [n], falling over the whole.

    Returns:
        The shape where the records are convex, it explains them better than a line, two lines and a
        power law, and the run has passed its knee; else None.

    """
    line = fit_line(k, y)
    bend = fit_bend(k, y, line)
    if bend.value <= bend.stderr:
        return None
    done = (y[0] - np.minimum.accumulate(y)) / max(float(np.ptp(y)), 1e-300)
    for begin in sorted({int(np.argmax(done >= share)) for share in _BURN_INS}):
        t, z = k[begin:], y[begin:]
        if t.size < _MIN_RECORDS:
            return None
        fit = fit_offset(t, z)
        reached = fit.knee < t[-1] and fit.speed * (fit.knee - t[0]) > _MIN_FALL
        if fit.speed > 0 and reached and _explains_best(t, z, fit):
            return fit
    return None


def fit_offset(k: np.ndarray, y: np.ndarray) -> Offset:
    """Fit the shape to k and y [n] by least squares, starting from the best of a grid."""
    span = k[-1] - k[0]
    start = _grid(k, y, span)

    def residual(x: np.ndarray) -> np.ndarray:
        return y - x[0] - np.logaddexp(0.0, -np.exp(x[2]) * ((k - k[0]) / span - x[1]))

    found = scipy.optimize.least_squares(residual, start, method="lm", max_nfev=60)
    level, knee, log_speed = found.x
    misfit = float(np.sum(found.fun**2))
    return Offset(float(level), float(k[0] + span * knee), float(np.exp(log_speed) / span), misfit)


def _grid(k: np.ndarray, y: np.ndarray, span: float) -> np.ndarray:
    """Return level, knee and log speed, with time as a share of the span."""
    t = (k - k[0]) / span
    fall = max(float(y[0] - np.min(y)), 1.0)
    knees, factors = np.meshgrid([0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9, 0.97], [0.6, 1.0, 1.6])
    speeds = factors * fall / knees
    shape = np.logaddexp(0.0, -speeds[..., None] * (t - knees[..., None]))
    levels = np.mean(y - shape, axis=-1)
    best = np.argmin(np.sum((y - shape - levels[..., None]) ** 2, axis=-1))
    return np.array([levels.flat[best], knees.flat[best], np.log(speeds.flat[best])])


def _explains_best(k: np.ndarray, y: np.ndarray, fit: Offset) -> bool:
    n, rounding = k.size, k.size * _ROUNDING**2
    others = [
        (fit_line(k, y).rms ** 2 * n, 2),
        (power_misfit(k, y), 3),
        (_two_lines(k, y, fit.knee), 5),
    ]
    gains = [
        n * np.log((misfit + rounding) / (fit.misfit + rounding)) + (numbers - 3) * np.log(n)
        for misfit, numbers in others
    ]
    return min(gains) > _MIN_GAIN


def _two_lines(k: np.ndarray, y: np.ndarray, near: float) -> float:
    """Return the least sum of squares of two lines that part near an iteration."""
    width = (k[-1] - k[0]) / 6
    parts = np.unique(np.searchsorted(k, np.linspace(near - width, near + width, 9)))
    parts = [int(p) for p in parts if 2 <= p <= k.size - 2]
    return min(
        (
            sum(fit_line(k[s], y[s]).rms ** 2 * k[s].size for s in (slice(p), slice(p, None)))
            for p in parts
        ),
        default=float("inf"),
    )
