"""The verdict that a measurement and a theory give together, and why."""

import math
from typing import Literal, NamedTuple

from fineq.claims.measured import Measured, Theory
from fineq.confidence import LARGEST
from fineq.rates.intervals import LEVEL, values_for

Verdict = Literal["holds", "fails", "inconclusive", "not refuted"]
#: What narrows most intervals.
MORE_SEEDS = "more seeds narrow it"


class Judgement(NamedTuple):
    """A verdict and, in a sentence, why it is what it is."""

    verdict: Verdict
    reason: str


def judge(
    measured: Measured, theory: Theory, sampled: bool = False, decides: str = MORE_SEEDS
) -> Judgement:
    """Return the verdict on a measurement; see `fineq.claims`.

    Args:
        measured: the number with its interval.
        theory: what is allowed.
        sampled: the claim is about all x and only some were looked at.
        decides: what narrows the interval, for the reason of a verdict that it leaves open.
    """
    if theory.value is None:
        return _open(f"theory gives no number here ({theory.formula}): an instance of one decides")
    if measured.confidence is None:
        return _open(_without_interval(measured))
    low = -math.inf if measured.low is None else measured.low
    high = math.inf if measured.high is None else measured.high
    if measured.value is None and math.isinf(low) and math.isinf(high):
        return _open("the median seed diverged: a setting in which fewer diverge decides")
    allowed_low, allowed_high = theory.allowed
    where = f"{_range(low, high)} against {_range(allowed_low, allowed_high)}"
    outside = high < allowed_low or low > allowed_high
    if measured.confidence < LEVEL and (outside or not sampled):
        return _open(_too_few(measured.confidence))
    if outside:
        return Judgement("fails", f"nothing that the interval holds is allowed, {where}")
    if sampled:
        return Judgement("not refuted", f"of all that it speaks of some were tried, {where}")
    if allowed_low <= low and high <= allowed_high:
        return Judgement("holds", f"all that the interval holds is allowed, {where}")
    return _open(f"part of what the interval holds is allowed, {where}: {decides}")


def _open(reason: str) -> Judgement:
    return Judgement("inconclusive", reason)


def _without_interval(measured: Measured) -> str:
    if measured.value is None:
        return "nothing could be measured: an instance on which there is such a number decides"
    return f"one seed gives no interval: {values_for(LEVEL)} seeds give one of {LEVEL:.0%}"


def _too_few(confidence: float) -> str:
    num = values_for(confidence)
    whose = f"of {num} seeds " if math.isclose(confidence, 1 - 2.0 ** (1 - num)) else ""
    return (
        f"the interval {whose}covers with {confidence:.0%} only and a verdict needs {LEVEL:.0%}: "
        f"{values_for(LEVEL)} seeds decide"
    )


def _range(low: float, high: float) -> str:
    if low == high:
        return f"{low:.4g}"
    if low == LARGEST:
        return "an infinite number"
    if math.isinf(low):
        return "any number" if math.isinf(high) else f"at most {high:.4g}"
    return f"at least {low:.4g}" if math.isinf(high) else f"{low:.4g} to {high:.4g}"
