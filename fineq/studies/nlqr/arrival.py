"""Has a descent arrived: at a goal, in the steps that theory's rate takes, or at a floor?"""

from typing import NamedTuple

import numpy as np

from fineq.claims.counting import seeds_words

NEAR = 1e-2  # "near K*": the distance has fallen by this factor, and fast modes have died out
ESTIMATES = {"one_point": "one-point", "two_point": "antithetic pairs"}
CLEARLY_LESS = 0.7  # noise moves the medians of neighbouring stretches by less
FLOOR_SHARE = 4  # the last quarter of a zeroth-order descent is taken to be at its floor


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


def steps_to(iterations: np.ndarray, gaps: np.ndarray, goal: float) -> np.ndarray:
    """First recorded iteration at which gaps `[seed, record]` reach the goal; NaN where none does.

    A natural gradient is followed for a fixed number of steps, most of which lie below the goal.
    """
    below = gaps <= goal
    first = iterations[np.argmax(below, axis=-1)].astype(float)
    return np.where(below.any(axis=-1), first, np.nan)


def floor_of(iterations: np.ndarray, gap: np.ndarray, diverged: np.ndarray) -> np.ndarray:
    """Median gap over the last quarter of a descent, `[*axes]`; infinite where it diverged."""
    last = iterations >= iterations[-1] * (1 - 1 / FLOOR_SHARE)
    return np.where(diverged, np.inf, np.median(gap[..., last], axis=-1))


def falling(iterations: np.ndarray, gap: np.ndarray) -> np.ndarray:
    """Whether the median gap of the last eighth is clearly below that of the eighth before.

    `[*axes]`; a descent that still falls has no floor yet.
    """
    last, size = iterations[-1], 1 / (2 * FLOOR_SHARE)
    early = (iterations >= last * (1 - 2 * size)) & (iterations < last * (1 - size))
    late = iterations >= last * (1 - size)
    before, after = (np.median(gap[..., part], axis=-1) for part in (early, late))
    return after < CLEARLY_LESS * before


def no_floor(falls: np.ndarray, steps: int) -> str:
    """Why there is no floor to speak of, where most seeds still fall at some J, `[seed, J]`."""
    if not np.any(np.median(falls, axis=0) > 0):
        return ""
    return (
        f"after {steps} steps the gap still falls on most seeds at {int(np.sum(falls.any(axis=0)))}"
        f" of {falls.shape[1]} values of J, so that it is no floor yet: a larger floors.num_steps "
        "decides"
    )
