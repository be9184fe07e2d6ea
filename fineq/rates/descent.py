"""The shape of a descent: which part of it is one straight line, and what it is when none is.

Burn-in is what precedes the earliest record from which on log error is straight to the end of the
descent. So a fast phase followed by a slow one gives the slow rate, and the other way round.
"""

from typing import Literal, NamedTuple

import numpy as np

from fineq.rates.floor import candidates
from fineq.rates.regression import Bend, Line, fit_bend, fit_line, power_misfit
from fineq.rates.trend import SIGNIFICANT

MIN_RECORDS = 4
# A window must hold this share of the descent, in iterations or in logarithms of the error.
_MIN_SHARE = 0.25
# The earliest window is taken whose slope is known to this share, or to this factor times the best.
_SLOPE_ERROR, _ERROR_OVER_BEST = 0.001, 1.5
# Relative change of the slope over the window that still counts as straight. The last quarter of
# k^-p has 0.29.
_STRAIGHT = 0.2
# Noise excuses a bend up to SIGNIFICANT of its standard errors, but none above this.
_MAX_BEND = 1.0
# The first records at a floor too short to be seen lie above the line. So many at the end may be
# left out, when this makes the slope better known by the factor _GAIN.
_MAX_DROPPED, _GAIN = 3, 5.0
# Log residuals below this are rounding of the errors.
_ROUNDING = 1e-9

Shape = Literal["linear", "sublinear", "superlinear"]


class Descent(NamedTuple):
    """The fitted descent of one sequence; its window holds the records begin, ..., end - 1."""

    shape: Shape
    begin: int
    end: int
    line: Line
    bend: Bend


class _Window(NamedTuple):
    begin: int
    line: Line
    bend: Bend


def fit_descent(k: np.ndarray, y: np.ndarray) -> Descent:
    """Fit the last straight part of a descent.

    Args:
        k: iterations [n], increasing, n >= MIN_RECORDS.
        y: log errors [n], finite, falling over the whole.

    Returns:
        Shape, window and line. When no window is straight, the window is the shortest of
        sufficient share and the line is the mean rate over it; it is `sublinear` when convex,
        `superlinear` when concave.

    """
    best = _fit(k, y)
    target = slope_error(best.line, best.bend) / _GAIN
    if target * _GAIN <= _SLOPE_ERROR * abs(best.line.slope):
        return best
    for end in range(k.size - 1, max(k.size - _MAX_DROPPED - 1, 2 * MIN_RECORDS - 1), -1):
        trial = _fit(k[:end], y[:end])
        lifted = np.all(y[end:] > trial.line.intercept + trial.line.slope * k[end:])
        error = slope_error(trial.line, trial.bend)
        if trial.shape == "linear" and lifted and error < target:
            best, target = trial, error
    return best


def slope_error(line: Line, bend: Bend) -> float:
    """Return the error of a slope: its standard error and the bend that noise does not explain."""
    # An infinite error of the bend (3 points) excuses all of it.
    excess = max(0.0, abs(bend.value) - SIGNIFICANT * bend.stderr)
    return float(np.hypot(line.stderr, excess * line.slope / 2))


def _fit(k: np.ndarray, y: np.ndarray) -> Descent:
    windows = _windows(k, y)
    errors = np.array([slope_error(w.line, w.bend) for w in windows])
    steepness = np.array([abs(w.line.slope) for w in windows])
    good = errors <= np.maximum(_SLOPE_ERROR * steepness, _ERROR_OVER_BEST * np.min(errors))
    begin, line, bend = windows[int(np.argmax(good))]
    if _straight(bend) and (_surely_straight(bend) or not _power_law_fits_better(k, y, begin)):
        return Descent("linear", begin, k.size, line, bend)
    begin, line, bend = windows[-1]
    # Where noise hides the bend of the last stretch, the whole descent shows it.
    sign = bend.value if abs(bend.value) > SIGNIFICANT * bend.stderr else windows[0].bend.value
    return Descent("sublinear" if sign > 0 else "superlinear", begin, k.size, line, bend)


def _windows(k: np.ndarray, y: np.ndarray) -> list[_Window]:
    """Return the windows of sufficient share that fall, the whole descent first."""
    whole = fit_line(k, y)
    duration = k[-1] - k[0]
    fall = max(y[0] - y[-1], -whole.slope * duration)
    windows = [_Window(0, whole, fit_bend(k, y, whole))]
    for begin in map(int, candidates(k.size - MIN_RECORDS + 1, 48)[1:]):
        line, span = fit_line(k[begin:], y[begin:]), k[-1] - k[begin]
        enough = span >= _MIN_SHARE * duration or -line.slope * span >= _MIN_SHARE * fall
        if enough and line.slope < 0:
            windows.append(_Window(begin, line, fit_bend(k[begin:], y[begin:], line)))
    return windows


def _straight(bend: Bend) -> bool:
    size = abs(bend.value)
    return size <= _STRAIGHT or (size <= SIGNIFICANT * bend.stderr and size <= _MAX_BEND)


def _surely_straight(bend: Bend) -> bool:
    return abs(bend.value) + SIGNIFICANT * bend.stderr <= _STRAIGHT


def _power_law_fits_better(k: np.ndarray, y: np.ndarray, begin: int) -> bool:
    """Compare a power law on all with a line on either side of `begin` (Schwarz's criterion)."""
    lines, numbers = fit_line(k[begin:], y[begin:]).rms ** 2 * (k.size - begin), 2
    if begin >= 2:
        lines, numbers = lines + fit_line(k[:begin], y[:begin]).rms ** 2 * begin, 5
    rounding = k.size * _ROUNDING**2
    gain = k.size * np.log((lines + rounding) / (power_misfit(k, y) + rounding))
    return bool(gain + (numbers - 3) * np.log(k.size) > 0)
