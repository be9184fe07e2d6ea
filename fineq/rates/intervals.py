"""Intervals that carry a number into a claim: the one room where a confidence interval is made.

Of a median: order statistics, whose coverage is binomial whatever the law of the values. Of a share
of successes: Clopper and Pearson. Of a mean: Student's t. Of an estimate with a known standard
error: the normal law. All say the confidence that they reach.
"""

import math
from typing import Any, NamedTuple

import numpy as np
import scipy.special
import scipy.stats

from fineq.arrays import host_array
from fineq.confidence import LEVEL as LEVEL
from fineq.errors import InputError


class Interval(NamedTuple):
    """A number with its confidence interval.

    Attributes:
        value: the estimate; nan when nothing could be estimated.
        low: lower end; nan when there is no interval.
        high: upper end; nan when there is no interval, infinite where losses leave none.
        confidence: the level that is reached: the one asked for, less where a few values cannot
            carry it (`median_interval`), 0 where there is no interval, 1 for an exact number.
        num_values: number of values or trials behind it.
    """

    value: float
    low: float
    high: float
    confidence: float
    num_values: int


def exact_value(value: float) -> Interval:
    """A number that nothing random went into: a point, of confidence 1."""
    return Interval(float(value), float(value), float(value), 1.0, 1)


def values_for(confidence: float) -> int:
    """The fewest values whose range covers their median with this confidence: 6 for 0.95.

    The range of n values misses it when all lie on one side, with probability 2^(1-n).
    """
    # A level that a range reaches exactly, 1 - 2^(1-n), must give its own n.
    return math.ceil(1 - math.log2(1 - confidence) - 1e-9)


def median_interval(values: np.ndarray, *, confidence: float = LEVEL) -> Interval:
    """Median with its interval from order statistics.

    The number of values below the true median is binomial, whatever their law: from the k-th
    smallest to the k-th largest the interval covers it with probability 1 - 2 P(Bin(n, 1/2) < k).
    k is the largest that keeps the confidence; below `values_for(confidence)` values none does, and
    their range is returned with the confidence that it has. Source: David and Nagaraja, Order
    Statistics (2003), section 7.1.

    Args:
        values: [n]; inf is a loss, larger than all that did not diverge. n = 0 gives nan, n = 1 no
            interval.
        confidence: wanted level in (0, 1).

    Raises:
        InputError: for nan or -inf, or a confidence outside (0, 1).
    """
    check_confidence(confidence)
    ordered = np.sort(_vector(values))
    wrong = np.isnan(ordered) | np.isneginf(ordered)
    if wrong.any():
        raise InputError(f"values must be numbers above -inf, got {wrong.sum()} that are not")
    n = ordered.size
    if n < 2:
        return Interval(float(ordered[0]) if n else math.nan, math.nan, math.nan, 0.0, n)
    k = max(int(scipy.stats.binom.ppf((1 - confidence) / 2, n, 0.5)), 1)
    reached = 1 - 2 * float(scipy.stats.binom.cdf(k - 1, n, 0.5))
    low, high = float(ordered[k - 1]), float(ordered[n - k])
    return Interval(float(np.median(ordered)), low, high, min(confidence, reached), n)


def mean_interval(values: np.ndarray, *, confidence: float = LEVEL) -> Interval:
    """Mean of independent draws with Student's interval.

    Args:
        values: [n]; below 2 values, or where some are not finite, there is no interval.
        confidence: level in (0, 1).

    Raises:
        InputError: for another shape, or a confidence outside (0, 1).
    """
    check_confidence(confidence)
    values = _vector(values)
    n = values.size
    value = float(values.mean()) if n else math.nan
    if n < 2 or not math.isfinite(value):
        return Interval(value, math.nan, math.nan, 0.0, n)
    stderr = float(values.std(ddof=1)) / math.sqrt(n)
    half = student_margin(stderr, n - 1, confidence)
    return Interval(value, value - half, value + half, confidence, n)


def pooled_interval(
    values: np.ndarray, margins: np.ndarray, *, confidence: float = LEVEL
) -> Interval:
    """Mean of independent estimates, each normal with a margin of its own at one level.

    The interval is that of the estimates' errors: what was estimated may differ among them.

    Args:
        values: [n]; where none is, or some are not finite, there is no interval.
        margins: [n], half widths at `confidence`, for example from `normal_margin`.
        confidence: level in (0, 1), that of the margins.

    Raises:
        InputError: for shapes that differ, or a confidence outside (0, 1).
    """
    check_confidence(confidence)
    values, margins = _vector(values), _vector(margins)
    if values.shape != margins.shape:
        raise InputError(f"one margin per value is needed, got {margins.shape}, {values.shape}")
    value = float(values.mean()) if values.size else math.nan
    half = float(np.sqrt(np.sum(margins**2))) / max(values.size, 1)
    if not math.isfinite(value + half):
        return Interval(value, math.nan, math.nan, 0.0, values.size)
    return Interval(value, value - half, value + half, confidence, values.size)


def normal_margin(stderr: Any, confidence: float = LEVEL) -> Any:
    """Half width of the interval of a normal estimate with this standard error, of any shape."""
    check_confidence(confidence)
    return float(scipy.special.ndtri((1 + confidence) / 2)) * stderr


def student_margin(stderr: float, dof: int, confidence: float = LEVEL) -> float:
    """Half width of the interval of an estimate whose standard error has `dof` freedoms."""
    check_confidence(confidence)
    return float(scipy.special.stdtrit(dof, (1 + confidence) / 2)) * stderr


def proportion(successes: int, trials: int, *, confidence: float = LEVEL) -> Interval:
    """Share of successes with the interval of Clopper and Pearson, see `proportion_ends`.

    Raises:
        InputError: unless 0 <= successes <= trials and trials >= 1.
    """
    if trials < 1 or not 0 <= successes <= trials:
        raise InputError(f"need 0 <= successes <= trials >= 1, got {successes} of {trials}")
    low, high = proportion_ends(np.array(successes), np.array(trials), confidence=confidence)
    return Interval(successes / trials, float(low), float(high), confidence, int(trials))


def proportion_ends(
    successes: np.ndarray, trials: np.ndarray, *, confidence: float = LEVEL
) -> tuple[np.ndarray, np.ndarray]:
    """Ends of the intervals of Clopper and Pearson, which cover at least `confidence`.

    The lower end p solves P(Bin(trials, p) >= successes) = (1 - confidence)/2, the upper end
    P(Bin(trials, p) <= successes) = (1 - confidence)/2. Source: Clopper and Pearson (1934).

    Args:
        successes: whole numbers of any shape, 0 <= successes <= trials.
        trials: of the same shape; nan where 0.
        confidence: level in (0, 1).
    """
    check_confidence(confidence)
    tail, failures = (1 - confidence) / 2, trials - successes
    none = np.where(trials > 0, 0.0, np.nan)
    with np.errstate(invalid="ignore"):
        low = scipy.special.betaincinv(successes, failures + 1, tail)
        high = scipy.special.betaincinv(successes + 1, failures, 1 - tail)
    low = np.where(successes > 0, low, 0.0) + none
    return low, np.where(failures > 0, high, 1.0) + none


def _vector(values: np.ndarray) -> np.ndarray:
    values = host_array("values", values).astype(np.float64)
    if values.ndim != 1:
        raise InputError(f"values must have shape [n], got {values.shape}")
    return values


def finite_or_none(value: float) -> float | None:
    """A number as plain data, where what is not finite is absent."""
    return float(value) if math.isfinite(value) else None


def check_confidence(confidence: float) -> None:
    """Raise `InputError` unless 0 < confidence < 1."""
    if not 0 < confidence < 1:
        raise InputError(f"confidence must lie in (0, 1), got {confidence}")
