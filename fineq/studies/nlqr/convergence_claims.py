"""What descents of `linear_convergence` say: exponents, floors, and what is too short to judge."""

from functools import partial
from typing import NamedTuple

import numpy as np

from fineq.claims import Claim, Theory
from fineq.claims.counting import over_seeds, seeds_words, share_tried, transient, unless_holds
from fineq.rates import LEVEL, Rate, power_law, values_for
from fineq.studies.common import on
from fineq.studies.nlqr.arrays import Slice, slices
from fineq.studies.nlqr.claims import claim
from fineq.studies.nlqr.common import Study, independent
from fineq.sweep import SweepResult


class Goals(NamedTuple):
    """What exact descent is asked to reach in one precision.

    reached: relative suboptimality. stop: |K - K*| at which it ends, as far as K* itself is known.
    """

    reached: float
    stop: float


# A cost carries a few rounding units, and K* as many times h/μ more.
GOALS = {"float64": Goals(1e-10, 1e-11), "float32": Goals(1e-5, 1e-4)}
MARGIN = 0.1  # on measured over theoretical exponent, a limit seen over finitely many decades
CLEARLY_LESS = 0.7  # noise moves the medians of neighbouring stretches by less
FLOOR_SHARE = 4  # the last quarter of a zeroth-order descent is taken to be at its floor
NAMES = {"one_point": "one-point", "two_point": "antithetic pairs"}

Rates = list[dict[str, Rate]]


class Budget(NamedTuple):
    """What theory's own rate asks of exact descents, `[seed]`.

    Attributes:
        needed: steps from the first gap to the goal at the rate of the neighbourhood of K*.
        reached: the goal was reached.
        short: it was not, in fewer than twice as many steps: the way to K* may be as long again.
    """

    needed: np.ndarray
    reached: np.ndarray
    short: np.ndarray


def budget(gaps: np.ndarray, exponent: np.ndarray, goal: float, steps: int) -> Budget:
    """Compare the steps made with those needed; gaps `[seed, record]`, exponents `[seed]`."""
    reached = np.nanmin(gaps, axis=-1) <= goal
    with np.errstate(divide="ignore", invalid="ignore"):
        needed = np.maximum(np.log(gaps[:, 0] / goal), 0.0) / (2 * exponent)
    return Budget(needed, reached, ~reached & ~(2 * needed <= steps))


def too_short(found: Budget, steps: int, alike: bool = False) -> str:
    """Why descents were too short to be judged; empty where none was. `alike`: there is one."""
    if not found.short.any():
        return ""
    most = float(np.max(found.needed[found.short]))
    who = seeds_words(int(found.short.sum()), found.short.size)
    takes = f"{most:.0f} steps" if alike else f"up to {most:.0f} steps on {who} that did not arrive"
    made = f" and {steps} were made" if alike else f" in {steps}"
    return f"theory's own rate takes {takes}{made}: descent.num_steps={2 * most:.0f} decides"


def _relative(rate: Rate, exponent: np.ndarray, use: np.ndarray) -> np.ndarray:
    """Measured over theoretical exponent `[seed]`; NaN for seeds that are not to be used."""
    slopes = np.array([fit.slope for fit in rate.per_seed])
    return np.where(use & np.isfinite(slopes), -slopes / exponent, np.nan)


def exact_claims(
    study: Study, runs: dict[str, SweepResult], rates: Rates, exponent: np.ndarray
) -> list[Claim]:
    """Exact and natural descents against theory's exponents `[*axes]`, for every slice."""
    pieces = zip(slices(study.axes), rates, strict=True)
    return [c for piece, rate in pieces for c in _about(study, runs, piece, rate, exponent)]


def _about(
    study: Study,
    runs: dict[str, SweepResult],
    piece: Slice,
    rate: dict[str, Rate],
    exponent: np.ndarray,
) -> list[Claim]:
    """What exact and natural descents say of theory, at one combination of swept values."""
    goal, steps = GOALS[study.config.precision].reached, study.config.descent.num_steps
    theory = exponent[piece.index][independent(study)]
    gaps = runs["exact"].metrics["gap"][piece.index][independent(study)]
    within, total, alike = budget(gaps, theory, goal, steps), len(gaps), study.alike
    short = too_short(within, steps, alike)

    def where(used: int, who: str = "") -> str:
        return on(piece, seeds_words(used, total, who, alike))

    about = partial(claim, "nlqr/linear-convergence")

    def exponents(name: str, power: int, formula: str, what: str) -> Claim:
        fits = rate[name].per_seed
        use = np.array([fit.verdict == "linear" for fit in fits]) & ~within.short
        few = use.sum() < min(values_for(LEVEL), total)
        found = over_seeds(_relative(rate[name], power * theory, use), alike)
        expected = Theory(1.0, "~", formula, margin=MARGIN)
        used = [fit for fit, one in zip(fits, use, strict=True) if one]
        return about(
            found,
            expected,
            instance=where(int(use.sum()), "linear and long enough"),
            what=f"decay exponent of {what} near K*, over theory's",
            undecided=(few and short) or unless_holds(found, expected, transient(used, MARGIN / 2)),
        )

    return [
        about(
            share_tried(within.reached),
            Theory(1.0, ">=", "every seed"),
            instance=where(total),
            what=f"share of seeds where exact descent reaches a gap of {goal:g}",
            sampled=True,
            undecided=short if np.all(within.reached | within.short) else "",
        ),
        exponents("distance", 1, "-log(1 - ημ)", "|K - K*|"),
        exponents("gap", 2, "-2 log(1 - ημ)", "the cost gap"),
        *([_natural(study, runs["natural"], piece, goal)] if "natural" in runs else []),
    ]


def _natural(study: Study, result: SweepResult, piece: Slice, goal: float) -> Claim:
    gaps = result.metrics["gap"][piece.index][independent(study)]
    steps = _steps_to(result.iterations, gaps, goal)
    return claim(
        "nlqr/linear-convergence",
        over_seeds(steps, study.alike),
        instance=on(piece, seeds_words(steps.size, len(gaps), alike=study.alike)),
        what=f"natural gradient: steps to gap {goal:g}, where reached",
    )


def _steps_to(iterations: np.ndarray, gaps: np.ndarray, goal: float) -> np.ndarray:
    """First recorded iteration at which the goal is reached, of the seeds that reach it."""
    below = gaps <= goal
    first = iterations[np.argmax(below, axis=-1)]
    return first[below.any(axis=-1)].astype(float)


def floor_of(result: SweepResult) -> np.ndarray:
    """Median gap over the last quarter of a descent, `[*axes]`; infinite where it diverged."""
    last = result.iterations >= result.iterations[-1] * (1 - 1 / FLOOR_SHARE)
    level = np.median(result.metrics["gap"][..., last], axis=-1)
    return np.where(result.diverged, np.inf, level)


def falling(result: SweepResult) -> np.ndarray:
    """Whether the median gap of the last eighth is clearly below that of the eighth before.

    `[*axes]`; a descent that still falls has no floor yet.
    """
    last, size = result.iterations[-1], 1 / (2 * FLOOR_SHARE)
    early = (result.iterations >= last * (1 - 2 * size)) & (result.iterations < last * (1 - size))
    late = result.iterations >= last * (1 - size)
    gap = result.metrics["gap"]
    before, after = (np.median(gap[..., part], axis=-1) for part in (early, late))
    return after < CLEARLY_LESS * before


def floor_claims(study: Study, floors: dict[str, SweepResult]) -> list[Claim]:
    """How the floor of each estimator falls with J; nothing for a single J."""
    found = []
    counts = np.array(study.config.floors.num_rollouts, float)
    if len(counts) < 2:
        return found
    for name, result in floors.items():
        level, still = floor_of(result), falling(result)
        for piece in slices(study.axes):
            smallest = np.moveaxis(level, 0, -1)[(0, *piece.index)]
            falls = np.moveaxis(still, 0, -1)[(0, *piece.index)]
            least = f"r = {study.config.floors.radii[0]:g}"
            law = power_law(counts, smallest, quantity=f"floor of {NAMES[name]}, {piece.label}")
            seeds = seeds_words(law.seeds_used, law.seeds, "with a floor at two J or more")
            found.append(
                claim(
                    "nlqr/linear-convergence",
                    law,
                    Theory(-0.5, "<=", "J of order 1/ε²"),
                    instance=on(piece, least, seeds),
                    what=f"exponent in J of the floor, {NAMES[name]}",
                    undecided=_no_floor(falls, study.config.floors.num_steps),
                )
            )
    return found


def _no_floor(falls: np.ndarray, steps: int) -> str:
    """Why there is no floor to speak of, where most seeds still fall at some J, `[seed, J]`."""
    if not np.any(np.median(falls, axis=0) > 0):
        return ""
    return (
        f"after {steps} steps the gap still falls on most seeds at {int(np.sum(falls.any(axis=0)))}"
        f" of {falls.shape[1]} values of J, so that it is no floor yet: a larger floors.num_steps "
        "decides"
    )
