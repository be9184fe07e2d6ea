"""The rate of one error sequence."""

from typing import Literal, NamedTuple

import numpy as np

from fineq.rates.descent import MIN_RECORDS, fit_descent
from fineq.rates.floor import Floor, candidates, find_floor
from fineq.rates.intervals import student_margin
from fineq.rates.regression import Line, fit_bend, fit_line
from fineq.rates.trend import falls, log_time

Verdict = Literal["linear", "sublinear", "superlinear", "diverged", "stalled"]

# The search for floor and window looks at so many records; the line is fitted to all it finds.
_MAX_SEARCHED = 400
# A finite sequence has diverged when it ends this factor above its start, still growing.
_GROWTH = 10.0
_NAN = float("nan")


class SequenceRate(NamedTuple):
    """The fit to one sequence; nan where a quantity does not exist.

    Attributes:
        slope: change of log error per iteration in the window.
        intercept: log error of the fitted line at iteration 0.
        stderr: standard error of `slope`.
        burn_in: iteration at which the window begins.
        end: last iteration of the window.
        floor: level (median error) of the floor; 0 when zero was reached exactly.
        floor_at: iteration from which on the error is at the floor.
        r_squared: of the line in the window.
        bend: relative change of the slope over the window.
        flattening: largest share by which the floor, if it adds to the errors, makes the slope too
            shallow; 0 without a floor.
        num_records: number of records in the window.
        verdict: see `linear_rate`; None when there are too few records to tell.

    """

    slope: float = _NAN
    intercept: float = _NAN
    stderr: float = _NAN
    burn_in: float = _NAN
    end: float = _NAN
    floor: float = _NAN
    floor_at: float = _NAN
    r_squared: float = _NAN
    bend: float = _NAN
    flattening: float = 0.0
    num_records: int = 0
    verdict: Verdict | None = None


def fit_sequence(k: np.ndarray, errors: np.ndarray) -> SequenceRate:
    """Fit one sequence.

    Args:
        k: iterations [n], increasing.
        errors: [n]; non-finite means diverged, zero or negative (a cost gap below rounding) means
            below anything that can be measured.

    """
    if not np.all(np.isfinite(errors)):
        return SequenceRate(verdict="diverged")
    positive = errors > 0
    if not np.any(positive):
        at_zero = SequenceRate(
            verdict="stalled", floor=0.0, floor_at=float(k[0]) if k.size else _NAN
        )
        return at_zero if k.size else SequenceRate()
    zero_from = int(np.flatnonzero(positive)[-1]) + 1
    zero_at = float(k[zero_from]) if zero_from < k.size else _NAN
    k, y = k[positive], np.log(errors[positive])
    if y.size < MIN_RECORDS:
        return SequenceRate(floor=_NAN if np.isnan(zero_at) else 0.0, floor_at=zero_at)
    if _grows(k, y):
        return SequenceRate(verdict="diverged")
    floor = _find_floor(k, y)
    if floor is None:
        if not falls(k, log_time(k), y):
            level = float(np.exp(np.median(y)))
            return SequenceRate(verdict="stalled", floor=level, floor_at=float(k[0]))
        return _fit(k, y, floor=_NAN if np.isnan(zero_at) else 0.0, floor_at=zero_at)
    level, start = float(np.exp(floor.level)), float(k[floor.start])
    return _fit(k[: floor.clear], y[: floor.clear], floor=level, floor_at=start)


def slope_margin(fit: SequenceRate, confidence: float) -> float:
    """Half-width of an interval for the slope of a single sequence, before its flattening.

    Student's t with the error widened for correlated residuals, plus half the change of the slope
    over the window: with one sequence a bend cannot be told from noise that lasts.
    """
    if fit.num_records < 3:
        return _NAN
    margin = student_margin(fit.stderr, fit.num_records - 2, confidence)
    return margin + abs(fit.bend * fit.slope) / 2


def _fit(k: np.ndarray, y: np.ndarray, floor: float, floor_at: float) -> SequenceRate:
    if y.size < MIN_RECORDS:
        return SequenceRate(floor=floor, floor_at=floor_at)
    if not falls(k, log_time(k), y):
        return SequenceRate(floor=floor, floor_at=floor_at, verdict="stalled")
    index = _thin(y.size)
    descent = fit_descent(k[index], y[index])
    window = slice(int(index[descent.begin]), int(index[descent.end - 1]) + 1)
    line = fit_line(k[window], y[window])
    return SequenceRate(
        slope=line.slope,
        intercept=line.intercept,
        stderr=line.stderr,
        burn_in=float(k[window][0]),
        end=float(k[window][-1]),
        floor=floor,
        floor_at=floor_at,
        r_squared=line.r_squared,
        bend=fit_bend(k[window], y[window], line).value,
        flattening=_flattening(line, k[window], floor),
        num_records=line.num_points,
        verdict=descent.shape,
    )


def _flattening(line: Line, k: np.ndarray, floor: float) -> float:
    """Bound the relative error that an added floor causes in a slope.

    It lifts log error by floor / error, at the last record most, fading backwards like
    exp(slope distance): in sum lift / |slope|, with weight at most 6 / length^2 an iteration.
    """
    if not floor > 0:
        return 0.0
    lift = floor / float(np.exp(line.intercept + line.slope * k[-1]))
    return min(1.0, 6 * lift / (line.slope * float(k[-1] - k[0])) ** 2)


def _find_floor(k: np.ndarray, y: np.ndarray) -> Floor | None:
    index = _thin(y.size)
    floor = find_floor(k[index], y[index])
    if floor is None or index.size == y.size:
        return floor
    clear = int(index[floor.clear - 1]) + 1 if floor.clear else 0
    return Floor(int(index[floor.start]), clear, floor.level)


def _thin(count: int) -> np.ndarray:
    return candidates(count, _MAX_SEARCHED)


def _grows(k: np.ndarray, y: np.ndarray) -> bool:
    tenth = max(1, y.size // 10)
    if np.median(y[-tenth:]) - y[0] <= np.log(_GROWTH):
        return False
    half = slice(y.size // 2, None)
    return falls(k[half], log_time(k)[half], -y[half])
