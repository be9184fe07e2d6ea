"""Where an error sequence stops falling: rounding, an estimator's noise, or a bias.

The slowest natural way to go on falling is a power law, a straight line of y = log error against
x = log iteration. A suffix of the records is a floor when it is flat and breaks with that: the
records before it fell at least `_STEEPER` times faster in x, or a flat end explains the whole
better than a line or a power law does. Hence neither the tail of 1/k nor a slow second phase is
taken for a floor.
"""

from typing import NamedTuple

import numpy as np

from fineq.rates.offset import approached_level
from fineq.rates.regression import fit_line, power_misfit, slope_of
from fineq.rates.trend import SIGNIFICANT, falls, log_time

# At a floor the fall per unit of x is at most 1 / _STEEPER of the fall before it.
_STEEPER = 4.0
# A bias floor is approached for ever, without noise: falling by less than 10%, or less than the
# noise, and by less than 2% of the fall (in logarithms) before it, counts as flat.
_SMALL_FALL, _SMALL_SHARE = 0.1, 0.02
# The fall to a floor must exceed this many standard deviations of its fluctuations.
_FALL_OVER_NOISE = 2.0
# A rate is fitted on errors a factor 10 above the floor, which changes them by 10% at most. After a
# deep fall one can afford more: its fourth root, up to a factor 100. Of a noisy floor's 95%
# quantile: a factor 3. Half of the fall is kept in any case.
_CLEAR, _MOST_CLEAR, _CLEAR_SHARE, _CLEAR_OF_NOISE = np.log(10.0), np.log(100.0), 0.25, np.log(3.0)
_MIN_RECORDS, _MIN_RECORDS_BEFORE = 2, 5
# Fewer flat records than this may fall by chance; only the break with what came before counts then.
_MIN_RECORDS_FOR_TREND = 6
# A few records are a floor when 3 in 4 lie a factor 2 above the line foretold for them, and half of
# them by this many of its residuals.
_FEW_RECORDS, _SURPRISE = 12, 4.0
_WAVES_SPANNED = 3
_MIN_STEPS = 3
_LONG_SHARE = 0.25


class Floor(NamedTuple):
    """The floor of one sequence.

    Attributes:
        start: index of the first record within the fluctuations of the floor, or a factor 3 of it.
        clear: number of leading records that lie clear of the floor; a rate is fitted on these.
        level: median of log error on the floor.

    """

    start: int
    clear: int
    level: float


def candidates(count: int, limit: int) -> np.ndarray:
    """Return at most `limit` indices of range(count), dense at the start and even after it."""
    if count <= limit:
        return np.arange(count)
    even = np.linspace(0, count - 1, limit // 2)
    growing = np.geomspace(1, count - 1, limit - limit // 2)
    return np.unique(np.concatenate([even, growing]).astype(int))


def find_floor(k: np.ndarray, y: np.ndarray) -> Floor | None:
    """Find the longest flat suffix that breaks with the descent before it.

    Args:
        k: iterations [R], increasing.
        y: log errors [R], finite.

    Returns:
        The floor, or None where the sequence falls to its end or never fell.

    """
    x = log_time(k)
    starts = [int(s) for s in candidates(y.size, 64) if 0 < s <= y.size - _MIN_RECORDS]
    for start in starts:
        raised = _without_dips(y, start)
        ends = _breaks(k, x, raised, start) and _flat(k, x, raised, start)
        if ends and _outlasts_waves(k, y, start):
            return _describe(y, start)
    start = _long_flat_end(k, x, y, starts)
    if start and _explains_more(k, y, start):
        return _describe(y, start)
    return _approached(k, x, y)


def _approached(k: np.ndarray, x: np.ndarray, y: np.ndarray) -> Floor | None:
    offset = approached_level(k, y) if falls(k, x, y) else None
    if offset is None:
        return None
    start = int(np.searchsorted(k, offset.knee))
    fall = float(np.mean(y[: min(start, 3)])) - offset.level
    margin = max(_CLEAR, min(_MOST_CLEAR, _CLEAR_SHARE * fall))
    return Floor(start, _crossing(y, offset.level + min(margin, fall / 2)), offset.level)


def _without_dips(y: np.ndarray, start: int) -> np.ndarray:
    """Return y with low outliers of the suffix raised: noise that happens to be near zero.

    The bound lies as deep below the median as twice the height of the 90% quantile above it:
    symmetric noise and straight or convex descents are left as they are.
    """
    suffix = y[start:]
    if suffix.size < _MIN_RECORDS_BEFORE:
        return y
    ordered = np.sort(suffix)
    median, high = ordered[suffix.size // 2], ordered[int(0.9 * (suffix.size - 1))]
    bound = median - 2 * (high - median)
    return y if ordered[0] >= bound else np.concatenate([y[:start], np.maximum(suffix, bound)])


def _breaks(k: np.ndarray, x: np.ndarray, y: np.ndarray, start: int) -> bool:
    """Say whether the fall per unit of x ends at `start`, against an equal stretch before it."""
    if start < 2:
        # Reached within a record or two: no descent to compare with, only the height of the step.
        drop = float(np.min(y[:start]) - np.max(y[start:]))
        return y.size - start >= _MIN_RECORDS_FOR_TREND and drop > _CLEAR_OF_NOISE
    few = y.size - start <= _FEW_RECORDS
    if few and (_stays_above(k, x, y, start) or _steps_onto(y, start)):
        return True
    slope = slope_of(x[start:], y[start:])
    equal = int(np.searchsorted(x, 2 * x[start] - x[-1]))
    begin = max(0, min(equal, start - _MIN_RECORDS_BEFORE))
    steep = slope_of(x[begin:start], y[begin:start])
    if steep >= 0 or slope <= steep / _STEEPER:
        return False
    after, before = fit_line(x[start:], y[start:]), fit_line(x[begin:start], y[begin:start])
    error = np.hypot(after.stderr, before.stderr if before.num_points > 2 else 0.0)
    return bool(slope - steep > SIGNIFICANT * error)


def _stays_above(k: np.ndarray, x: np.ndarray, y: np.ndarray, start: int) -> bool:
    """Say whether a short suffix lies above what the records before it foretell, in k and in x."""
    count = y.size - start
    recent = slice(max(0, start - max(8, 2 * count)), start)
    if start < _MIN_RECORDS_BEFORE:
        return False
    for t in (k, x):
        line = fit_line(t[recent], y[recent])
        excess = np.sort(y[start:] - (line.intercept + line.slope * t[start:]))
        if excess[count // 4] <= np.log(2.0) or excess[count // 2] < _SURPRISE * line.rms:
            return False
    return True


def _steps_onto(y: np.ndarray, start: int) -> bool:
    """Say whether steps down, ever larger than what follows, end at once (superlinear descents)."""
    steps = -np.diff(y[max(0, start - _MIN_STEPS) : start + 1])
    spread = float(np.ptp(y[start:]))
    enough = y.size - start >= _MIN_STEPS and steps.size == _MIN_STEPS
    return bool(enough and np.min(steps) > spread and steps[-1] > _STEEPER * spread)


def _flat(k: np.ndarray, x: np.ndarray, y: np.ndarray, start: int) -> bool:
    """Say whether the suffix, and its second half, fluctuate about a level that was fallen to."""
    fall = float(np.mean(y[: min(start, 3)]) - np.median(y[start:]))
    if fall < _SMALL_FALL or fall < _FALL_OVER_NOISE * fit_line(k[start:], y[start:]).rms:
        return False
    if y.size - start < _MIN_RECORDS_FOR_TREND:
        return True
    return all(_still(k[s:], x[s:], y[s:], fall) for s in (start, (start + y.size) // 2))


def _still(k: np.ndarray, x: np.ndarray, y: np.ndarray, fall: float) -> bool:
    if not falls(k, x, y):
        return True
    line = fit_line(k, y)
    further = -line.slope * (k[-1] - k[0])
    return further < max(_SMALL_FALL, line.rms) and further < _SMALL_SHARE * fall


def _outlasts_waves(k: np.ndarray, y: np.ndarray, start: int) -> bool:
    """Say whether the suffix spans a few of the waves (oscillation, noise) seen before it."""
    rises = np.diff(y[:start]) > 0
    peaks = 1 + np.flatnonzero(rises[:-1] & ~rises[1:])
    if peaks.size < _WAVES_SPANNED:
        return True
    return bool(k[-1] - k[start] >= _WAVES_SPANNED * np.median(np.diff(k[peaks])))


def _long_flat_end(k: np.ndarray, x: np.ndarray, y: np.ndarray, starts: list[int]) -> int:
    """Return the first start from which a quarter of the record or more is flat, else 0."""
    long = [s for s in starts if k[-1] - k[s] >= _LONG_SHARE * (k[-1] - k[0])]
    # When even the shortest of them falls, the longer ones hardly ever do not.
    if not long or not _flat(k, x, _without_dips(y, long[-1]), long[-1]):
        return 0
    return next(s for s in long if _flat(k, x, _without_dips(y, s), s))


def _explains_more(k: np.ndarray, y: np.ndarray, start: int) -> bool:
    """Compare a descent onto a constant with one line, one power law, by Schwarz's criterion."""
    if start < _MIN_RECORDS_BEFORE:
        return False
    before = min(_line_misfit(k[:start], y[:start]), power_misfit(k[:start], y[:start]))
    ended = before + float(np.var(y[start:])) * (y.size - start)
    whole = min(_line_misfit(k, y), power_misfit(k, y))
    return whole > ended * np.exp(2 * np.log(y.size) / y.size)


def _line_misfit(k: np.ndarray, y: np.ndarray) -> float:
    return fit_line(k, y).rms ** 2 * y.size


def _describe(y: np.ndarray, start: int) -> Floor:
    settled = y[start + (y.size - start) // 3 :]
    level, top = float(np.median(settled)), float(np.quantile(settled, 0.95))
    fall = float(np.mean(y[: min(start, 3)])) - level
    margin = max(_CLEAR, min(_MOST_CLEAR, _CLEAR_SHARE * fall), top - level + _CLEAR_OF_NOISE)
    clear = _crossing(y, max(level + min(margin, fall / 2), top))
    if clear < _MIN_RECORDS_BEFORE:
        clear = _crossing(y, max(level + _CLEAR_OF_NOISE, top))
    reached = y[clear:] <= max(top, level + _CLEAR_OF_NOISE)
    return Floor(clear + int(np.argmax(reached)), clear, level)


def _crossing(y: np.ndarray, margin: float) -> int:
    """Return how many leading records best separate those above the margin from those below."""
    score = np.cumsum(np.where(y > margin, 1, -1))
    return int(np.argmax(np.concatenate([[0], score])))
