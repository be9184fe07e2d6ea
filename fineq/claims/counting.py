"""How claims count seeds, and why a number may be no limit yet.

A seed that diverged is a loss: infinite in a median of errors, against the claim in a share. What a
seed does not have (a rate, a ratio of errors that are both lost) is NaN and left out, and the row
says of how many seeds it speaks. Where nothing random went in there are no seeds.

A claim about all x has no interval: the share of what was tried is exact (`share_tried`), one x
against it refutes it, and none leaves it not refuted. A claim about most seeds says "typical" or
"median", and is judged by an interval over them.
"""

from collections.abc import Sequence

import numpy as np

from fineq.claims import HasInterval, Measured, Theory, judge
from fineq.rates import (
    Interval,
    PowerLaw,
    SequenceRate,
    exact_value,
    median_interval,
    proportion,
)

SETTLED = 0.8  # an error that one iteration lowers to less than this is on its way


def over_seeds(values: np.ndarray, alike: bool = False) -> Interval:
    """Median over seeds with its interval; of seeds that are all alike, the number itself.

    Args:
        values: `[seed]`; NaN where a seed has no such number, which leaves it out; inf where it
            diverged, which is a loss.
        alike: nothing random went into them: there are no seeds, and no interval over them.
    """
    known = np.asarray(values, float)
    known = known[~np.isnan(known)]
    return exact_value(known[0]) if alike and known.size else median_interval(known)


def share(mask: np.ndarray, alike: bool = False) -> Interval:
    """The share of members for which something holds, with its interval; exact where all alike."""
    mask = np.asarray(mask, bool)
    if not mask.size:
        return median_interval(np.zeros(0))
    return exact_value(mask.mean()) if alike else proportion(int(mask.sum()), mask.size)


def share_tried(mask: np.ndarray) -> Measured:
    """The share of all that was tried for which something holds: exact, for claims about all x.

    Members need not be independent: they are not trials of a chance, but possible counterexamples.
    """
    mask = np.asarray(mask, bool)
    return Measured.exact(float(mask.mean()) if mask.size else np.nan)


def last_of(errors: np.ndarray) -> np.ndarray:
    """The last of errors `[seed, iteration]`, infinite for a seed that diverged: a loss."""
    return np.where(np.isfinite(errors[:, -1]), errors[:, -1], np.inf)


def lost_words(errors: np.ndarray) -> str:
    """How many seeds errors `[seed, iteration]` have, and how many of them diverged."""
    lost = int(np.isinf(last_of(errors)).sum())
    return seeds_words(len(errors), len(errors)) + (f", {lost} diverged" if lost else "")


def counted(number: int, noun: str) -> str:
    """A number of things in words: `one size`, `3 sizes`."""
    return f"one {noun}" if number == 1 else f"{number} {noun}s"


def seeds_words(used: int, given: int, who: str = "", alike: bool = False) -> str:
    """How many seeds a number speaks of: `6 seeds`, `4 of 6 seeds, those with a linear rate`."""
    if alike:
        return "one instance, nothing random"
    if used == given:
        return counted(given, "seed")
    return f"{used} of {given} seeds" + (f", those {who}" if who else "")


def transient(fits: Sequence[SequenceRate], margin: float) -> str:
    """Why fitted rates are no limits yet; empty where they are, or there are none.

    Args:
        fits: of the seeds used.
        margin: relative change of the rate over the fitted window that a limit may have.
    """
    bends = [abs(fit.bend) for fit in fits if np.isfinite(fit.bend)]
    if not bends or np.median(bends) <= margin:
        return ""
    return (
        f"the rate still changes by {np.median(bends):.0%} over the fitted iterations (median over "
        f"{len(bends)} seeds): the transient has not died out before the run, or rounding, ends "
        "it; a longer run of a slower instance decides"
    )


def curved(
    law: PowerLaw, margin: float, larger: str, limit: float | None = None, *, exact: bool = True
) -> str:
    """Why an exponent is not that of a limit yet; empty where one exponent describes the range.

    Args:
        law: fitted.
        margin: on the exponent; twice that is the change over the range that it may have.
        larger: what to raise or lower to come closer to the limit.
        limit: theory's exponent. Exact values that still come closer to it, however slowly, are on
            their way; values that scatter are where it lies among what the seeds' exponents
            between the last neighbours tend to, were the change to go on.
        exact: whether the values have no scatter.
    """
    local = law.local_slopes[np.isfinite(law.local_slopes)]
    if local.size < 2:
        return ""
    on_its_way = limit is not None and (
        abs(local[-1] - limit) < abs(local[0] - limit)
        if exact
        else _among(law.seed_extrapolated, limit)
    )
    if not on_its_way and abs(local[-1] - local[0]) <= 2 * margin:
        return ""
    return (
        f"the exponent between neighbouring points still changes, from {local[0]:.3g} to "
        f"{local[-1]:.3g}, and theory's is that of a limit: {larger} decide"
    )


def _among(values: np.ndarray, limit: float) -> bool:
    """Whether the interval over the seeds' values holds the limit."""
    interval = over_seeds(values)
    return bool(interval.low <= limit <= interval.high)


def still_falling(errors: np.ndarray, longer: str) -> str:
    """Why errors `[seed, iteration]` are not those of a limit; empty where they have settled."""
    if errors.shape[-1] < 2:
        return f"one iteration shows no limit: {longer} decide"
    with np.errstate(divide="ignore", invalid="ignore"):
        last = errors[:, -1] / errors[:, -2]
    last = last[np.isfinite(last)]
    if not last.size or np.median(last) > SETTLED:
        return ""
    return f"the last iteration still lowers the error, to {np.median(last):.0%}: {longer} decide"


def unless_holds(measured: HasInterval, theory: Theory | None, why: str) -> str:
    """`why`, where measurement and theory do not agree anyhow: for `undecided` of a claim."""
    if not why or theory is None:
        return ""
    return "" if judge(Measured.of(measured), theory).verdict == "holds" else why
