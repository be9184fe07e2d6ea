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
# A run that ends while it reaches its floor bends up at the end. Up to three records, or a quarter
# of the iterations, may be left out there, when they lie above the line and the slope is then
# better known by the first factor, or is linear at last and better known by the second.
_MAX_DROPPED, _MAX_DROPPED_SHARE, _GAIN, _GAIN_OF_SHAPE = 3, 0.25, 5.0, 2.0
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
    error = slope_error(best.line, best.bend)
    if best.shape == "linear" and error <= _SLOPE_ERROR * abs(best.line.slope):
        return best
    target = error / (_GAIN if best.shape == "linear" else _GAIN_OF_SHAPE)
    for end in _ends(k):
        trial = _fit(k[:end], y[:end])
        error = slope_error(trial.line, trial.bend)
        if trial.shape == "linear" and error < target and _lifted(k[end:], y[end:], trial.line):
            best, target = trial, error
    return best


def _ends(k: np.ndarray) -> list[int]:
    """Return where a window may end before the last record."""
    shares = k[-1] - (k[-1] - k[0]) * np.linspace(0, _MAX_DROPPED_SHARE, 6)[1:]
    ends = {k.size - d for d in range(1, _MAX_DROPPED + 1)} | set(np.searchsorted(k, shares) + 1)
    return sorted((int(e) for e in ends if 2 * MIN_RECORDS <= e < k.size), reverse=True)


def _lifted(k: np.ndarray, y: np.ndarray, line: Line) -> bool:
    """Say whether records lie above a line, the last ones most."""
    excess = y - (line.intercept + line.slope * k)
    late = excess[excess.size // 2 :]
    return bool(np.median(excess) > 0 and np.min(late) > 0 and np.mean(late) > 2 * line.rms)


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
