"""What claims say of linear rates: the decay of an error over iterations, over that predicted."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from fineq.claims.counting import over_seeds, transient
from fineq.rates import Rate, linear_rate
from fineq.studies.common import listed
from fineq.studies.statistics import Got
from fineq.studies.view import View


def _all(view: View, errors: np.ndarray) -> Mapping[str, np.ndarray]:
    return {}


@dataclass(frozen=True)
class LinearRate:
    """The linear rate of a quantity over iterations, fitted seed by seed, once for a view.

    Of a problem that is given one seed says all.

    Attributes:
        quantity: its name, errors `[seed, over]`; negative ones are rounding, and count as 0.
        over: dimension of the iterations.
        words: of what the rate is called, after the quantity's.
        masks: from a view and the errors to `valid` and `diverged` of `fineq.rates.linear_rate`.
    """

    quantity: str
    over: str
    words: str = ""
    masks: Callable[[View, np.ndarray], Mapping[str, np.ndarray]] = _all

    def of(self, view: View) -> Rate:
        """The rate at a view."""
        key = (self, view.piece.index, tuple(sorted(view.at.items())))
        if key not in view.laws:
            errors = view.along(self.quantity, self.over)
            masks = self.masks(view, errors)
            seeds = slice(0, 1) if view.study.alike else slice(None)
            valid, diverged = (masks.get(name) for name in ("valid", "diverged"))
            text = view.quantities[self.quantity].text
            view.laws[key] = linear_rate(
                view.values_of(self.over),
                np.maximum(errors, 0.0)[seeds],
                quantity=listed(text, self.words, view.piece.label),
                valid=None if valid is None else valid[seeds],
                diverged=None if diverged is None else diverged[seeds],
            )
        return view.laws[key]


@dataclass(frozen=True)
class Decay:
    """A decay exponent, -log(ratio), over the one predicted: the median over seeds.

    Of a problem that is given nothing is random, and the number has no interval. Seeds without a
    linear rate, or without a prediction, are left out.

    Attributes:
        rate: what decays.
        predicted: from a view to exponents `[seed]`; NaN where there is none.
        margin: relative change of the rate over the fitted window that a limit may have.
        none: from rate and prediction to why no seed has both; default: nothing is said.
    """

    rate: LinearRate
    predicted: Callable[[View], np.ndarray]
    margin: float
    none: Callable[[Rate, np.ndarray], str] = lambda rate, exponent: ""

    def __call__(self, view: View) -> Got:
        """The exponent at a view."""
        rate = self.rate.of(view)
        slopes = np.array([fit.slope for fit in rate.per_seed])
        exponent = self.predicted(view)[: slopes.size]
        linear = np.array([fit.verdict == "linear" for fit in rate.per_seed])
        use = linear & np.isfinite(slopes) & np.isfinite(exponent)
        over = np.where(use, -slopes / exponent, np.nan)
        used = [fit for fit, one in zip(rate.per_seed, use, strict=True) if one]
        why = transient(used, self.margin) if used else self.none(rate, exponent)
        return Got(over_seeds(over, view.study.alike), len(used), why)
