"""Intervals that carry a number into a claim: medians and other statistics over seeds, proportions.

All are deterministic: the bootstrap draws from a generator with a fixed seed.
"""

from collections.abc import Callable
from typing import Literal, NamedTuple

import numpy as np
import scipy.stats

_NUM_RESAMPLES = 4999
_RESAMPLING_SEED = 20230308


class Interval(NamedTuple):
    """A number with its confidence interval.

    Attributes:
        value: the estimate; nan when nothing could be estimated.
        low: lower end; nan when there is no interval.
        high: upper end; nan when there is no interval.
        confidence: the level reached; a few values cannot carry a high one (`median_interval`).
        num_values: number of values or trials behind it.
    """

    value: float
    low: float
    high: float
    confidence: float
    num_values: int


def median_interval(values: np.ndarray, *, confidence: float = 0.95) -> Interval:
    """Median with a percentile-bootstrap interval; non-finite values are refused.

    No distribution-free interval for a median from n values exceeds the confidence 1 - 2^(1-n) of
    [min, max]; where this is below `confidence` (n < 6 for 0.95), [min, max] and that level are
    returned.

    Args:
        values: [n], finite; n = 0 gives nan, n = 1 gives no interval.
        confidence: wanted level in (0, 1).

    Raises:
        ValueError: for non-finite values or a confidence outside (0, 1).
    """
    values = _checked(values, confidence)
    n = values.size
    if n < 2:
        value = float(values[0]) if n else float("nan")
        return Interval(value, float("nan"), float("nan"), 0.0, n)
    reachable = 1 - 2.0 ** (1 - n)
    if reachable < confidence:
        return Interval(
            float(np.median(values)), float(values.min()), float(values.max()), reachable, n
        )
    return bootstrap_interval(values, np.median, confidence=confidence, method="percentile")


def bootstrap_interval(
    values: np.ndarray,
    statistic: Callable[..., np.ndarray] = np.mean,
    *,
    confidence: float = 0.95,
    method: Literal["BCa", "percentile", "basic"] = "BCa",
) -> Interval:
    """Bootstrap interval of a statistic of independent values (`scipy.stats.bootstrap`).

    Args:
        values: [n], finite, n >= 2.
        statistic: maps an array and `axis=` to the statistic along that axis, like `numpy.mean`.
        confidence: level in (0, 1).
        method: BCa corrects bias and skewness of smooth statistics; a median wants `percentile`.

    Raises:
        ValueError: for fewer than 2 values, non-finite ones, or a confidence outside (0, 1).
    """
    values = _checked(values, confidence)
    if values.size < 2:
        raise ValueError(f"a bootstrap needs at least 2 values, got {values.size}")
    value = float(statistic(values, axis=-1))
    if np.ptp(values) == 0.0:
        return Interval(value, value, value, confidence, values.size)
    result = scipy.stats.bootstrap(
        (values,),
        statistic,
        n_resamples=_NUM_RESAMPLES,
        vectorized=True,
        confidence_level=confidence,
        method=method,
        rng=np.random.default_rng(_RESAMPLING_SEED),
    )
    low, high = (float(x) for x in result.confidence_interval)
    return Interval(value, low, high, confidence, values.size)


def proportion(
    successes: int,
    trials: int,
    *,
    confidence: float = 0.95,
    method: Literal["wilson", "exact"] = "wilson",
) -> Interval:
    """Share of successes with a binomial interval.

    `wilson` covers `confidence` on average over the true share; `exact` (Clopper-Pearson) covers at
    least that for every share and is wider.

    Raises:
        ValueError: unless 0 <= successes <= trials and trials >= 1.
    """
    if trials < 1 or not 0 <= successes <= trials:
        raise ValueError(f"need 0 <= successes <= trials >= 1, got {successes} of {trials}")
    check_confidence(confidence)
    interval = scipy.stats.binomtest(int(successes), int(trials)).proportion_ci(
        confidence_level=confidence, method=method
    )
    return Interval(
        successes / trials, float(interval.low), float(interval.high), confidence, int(trials)
    )


def _checked(values: np.ndarray, confidence: float) -> np.ndarray:
    check_confidence(confidence)
    values = np.asarray(values, dtype=np.float64)
    if values.ndim != 1:
        raise ValueError(f"values must have shape [n], got {values.shape}")
    if not np.all(np.isfinite(values)):
        raise ValueError(f"values must be finite, got {np.sum(~np.isfinite(values))} that are not")
    return values


def check_confidence(confidence: float) -> None:
    """Raise `ValueError` unless 0 < confidence < 1."""
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must lie in (0, 1), got {confidence}")
