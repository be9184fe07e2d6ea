"""The linear rate of an error sequence, per seed and over seeds.

e_k ~ C ratio^k, so log e_k falls along a line whose slope is log(ratio). Each sequence is fitted
between burn-in and floor (`fineq.rates.sequence`); the rate is the median over seeds with its
interval from order statistics.
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fineq.arrays import host_array
from fineq.errors import InputError
from fineq.rates.intervals import LEVEL, Interval, check_confidence, finite_or_none, median_interval
from fineq.rates.sequence import SequenceRate, Verdict, fit_sequence, slope_margin

UNIT = "log error per iteration"
# Verdicts in the order in which a tie between seeds is broken: the worse news first.
_WORST_FIRST: tuple[Verdict, ...] = ("diverged", "stalled", "sublinear", "superlinear", "linear")


@dataclass(frozen=True, eq=False)
class Rate:
    """A measured linear rate.

    Attributes:
        quantity: what the errors are, for example `|K - K*|`.
        slope: change of log error per iteration, the median over the seeds used; nan without any.
        low: lower end of the interval of `slope`; nan without one.
        high: upper end.
        confidence: the level of the interval (smaller than asked for below 6 seeds).
        method: how `slope` and its interval were obtained, in words.
        burn_in: iteration from which on log error is straight (median over the seeds used).
        floor: level at which the errors stop falling (median over the seeds with the verdict of
            the whole that reach one); nan if none does.
        floor_at: iteration from which on they are there (median).
        r_squared: of the line between burn-in and floor (median).
        bend: relative change of the slope over that window (median); 0 is straight, positive slows
            down.
        verdict: the most frequent verdict of the seeds; None when none could be judged.
        verdicts: number of seeds by verdict.
        seeds: number of seeds given.
        seeds_used: seeds behind `slope`: those with the verdict of the whole.
        per_seed: the fit of every seed, S entries.

    """

    quantity: str
    slope: float
    low: float
    high: float
    confidence: float
    method: str
    burn_in: float
    floor: float
    floor_at: float
    r_squared: float
    bend: float
    verdict: Verdict | None
    verdicts: dict[str, int]
    seeds: int
    seeds_used: int
    per_seed: tuple[SequenceRate, ...] = field(repr=False)

    @property
    def value(self) -> float:
        """The slope: the number that `low` and `high` bracket."""
        return self.slope

    @property
    def ratio(self) -> Interval:
        """Factor by which the error changes per iteration, exp(slope), with its interval."""
        low, value, high = np.exp([self.low, self.slope, self.high])
        return Interval(float(value), float(low), float(high), self.confidence, self.seeds_used)

    @property
    def exponent(self) -> Interval:
        """Decay exponent -slope = -log(ratio) with its interval; compare rates in this."""
        return Interval(-self.slope, -self.high, -self.low, self.confidence, self.seeds_used)

    @property
    def seeds_diverged(self) -> int:
        """Number of seeds that diverged."""
        return self.verdicts.get("diverged", 0)

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for `summary.json`; numbers that do not exist are None."""
        numbers = {
            name: finite_or_none(getattr(self, name))
            for name in (
                "value",
                "low",
                "high",
                "burn_in",
                "floor",
                "floor_at",
                "r_squared",
                "bend",
            )
        }
        ratio = {
            name: finite_or_none(getattr(self.ratio, name)) for name in ("value", "low", "high")
        }
        return {
            "quantity": self.quantity,
            "method": self.method,
            **numbers,
            "unit": UNIT,
            "confidence": self.confidence,
            "ratio": ratio,
            "seeds": self.seeds,
            "seeds_used": self.seeds_used,
            "verdict": self.verdict,
            "verdicts": dict(self.verdicts),
        }


def linear_rate(
    iterations: ArrayLike,
    errors: ArrayLike,
    *,
    valid: np.ndarray | None = None,
    diverged: np.ndarray | None = None,
    confidence: float = LEVEL,
    quantity: str = "error",
) -> Rate:
    """Fit the linear rate of recorded errors.

    Per seed: the floor is found and everything near it left out; burn-in is what precedes the
    earliest record from which on log error is straight; the slope is fitted between. Verdicts of a
    seed:

    * `linear`: log error is straight over at least a quarter of the descent (in iterations or in
      log error), and no power law explains the whole descent better;
    * `sublinear`: it flattens all along, like a power law;
    * `superlinear`: it steepens all along;
    * `stalled`: it does not fall;
    * `diverged`: a value is not finite, `diverged` says so, or the error ends 10 times above its
      start, growing;
    * None: too few records between start and floor (4 are needed).

    For sub- and superlinear sequences the slope is the mean one over the last quarter of the
    descent. The interval is that of the median over seeds, widened by half of the median change of
    the slope over the window. For one seed it comes from the regression: Student's
    t, the error widened for correlated residuals, plus half the change of the slope.

    A floor that adds to the errors (a bias, or noise of one sign) flattens the last part of a
    descent: the slope is then too shallow, by about 0.5% after a fall of a factor 1e6, by 5% after
    100. The interval is widened on that side by a bound on it.

    Args:
        iterations: [R], at least 0, strictly increasing, with any spacing.
        errors: [S, R], or [R] for one seed. Zero and negative values count as below all that can be
            measured.
        valid: same shape as `errors`; records that are False are ignored (a stopped member).
        diverged: [S]; seeds known to have diverged, whatever their last good errors show.
        confidence: level of the interval.
        quantity: what the errors measure.

    Raises:
        InputError: for shapes that disagree, iterations that do not increase, a confidence outside
            (0, 1).

    """
    iterations, errors, valid, diverged = _checked(iterations, errors, valid, diverged)
    check_confidence(confidence)
    fits = tuple(
        SequenceRate(verdict="diverged") if lost else fit_sequence(iterations[keep], row[keep])
        for row, keep, lost in zip(errors, valid, diverged)
    )
    verdict = _overall([fit.verdict for fit in fits])
    alike = [fit for fit in fits if fit.verdict == verdict]
    used = [fit for fit in alike if np.isfinite(fit.slope)]
    interval, method = _interval(used, confidence)
    return Rate(
        quantity=quantity,
        slope=interval.value,
        low=interval.low,
        high=interval.high,
        confidence=interval.confidence,
        method=method,
        burn_in=_median(used, "burn_in"),
        floor=_median(alike, "floor"),
        floor_at=_median(alike, "floor_at"),
        r_squared=_median(used, "r_squared"),
        bend=_median(used, "bend"),
        verdict=verdict,
        verdicts=dict(Counter(str(fit.verdict or "undecided") for fit in fits)),
        seeds=len(fits),
        seeds_used=len(used),
        per_seed=fits,
    )


def _interval(used: list[SequenceRate], confidence: float) -> tuple[Interval, str]:
    fitted = "line through log error between burn-in and floor"
    if len(used) != 1:
        slopes = np.array([fit.slope for fit in used])
        found = median_interval(slopes, confidence=confidence)
        # Of a bend that all seeds share their scatter says nothing; noise cancels in the median.
        drift = abs(_median(used, "bend") * found.value) / 2
        found = found._replace(low=found.low - drift, high=found.high + drift)
        method = f"{fitted}; median over seeds, its interval widened by the bend they share"
    else:
        slope, margin = used[0].slope, slope_margin(used[0], confidence)
        found = Interval(slope, slope - margin, slope + margin, confidence, 1)
        method = f"{fitted}; one seed, interval of the regression"
    flattening = abs(_median(used, "flattening") * found.value)
    return found._replace(low=found.low - flattening), method


def _overall(verdicts: list[Verdict | None]) -> Verdict | None:
    counts = Counter(verdict for verdict in verdicts if verdict is not None)
    if not counts:
        return None
    return max(_WORST_FIRST, key=lambda verdict: (counts[verdict], -_WORST_FIRST.index(verdict)))


def _median(fits: list[SequenceRate], name: str) -> float:
    values = np.array([getattr(fit, name) for fit in fits], dtype=float)
    values = values[np.isfinite(values)]
    return float(np.median(values)) if values.size else float("nan")


def _checked(
    iterations: ArrayLike,
    errors: ArrayLike,
    valid: np.ndarray | None,
    diverged: np.ndarray | None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    iterations = host_array("iterations", iterations).astype(float)
    errors = host_array("errors", errors).astype(float)
    if iterations.ndim != 1 or errors.ndim not in (1, 2) or errors.shape[-1:] != iterations.shape:
        raise InputError(
            "iterations [R] and errors [S, R] or [R] must agree on R, "
            f"got {iterations.shape} and {errors.shape}"
        )
    if not (np.all(np.diff(iterations) > 0) and np.all(iterations >= 0)):
        raise InputError(f"iterations must increase from 0 or more, got {iterations}")
    valid = np.ones(errors.shape, dtype=bool) if valid is None else np.asarray(valid, dtype=bool)
    if valid.shape != errors.shape:
        raise InputError(f"valid {valid.shape} must have the shape of errors, {errors.shape}")
    errors, valid = np.atleast_2d(errors), np.atleast_2d(valid)
    lost = np.zeros(len(errors), dtype=bool) if diverged is None else np.atleast_1d(diverged)
    if lost.shape != errors.shape[:1]:
        raise InputError(f"diverged must have shape ({len(errors)},), got {lost.shape}")
    return iterations, errors, valid, lost.astype(bool)
