"""What claims say of a quantity: statistics over seeds, as entries of a recipe's table of claims.

Each is a frozen value; called with a view it gives a number with its interval and the seeds behind
it. What is computed once at a combination is shared by claims and figures.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from fineq.claims import HasInterval, Measured
from fineq.claims.counting import curved, over_seeds, share, share_tried
from fineq.figures import Fit
from fineq.rates import PowerLaw, power_law
from fineq.studies.common import drawn_fit
from fineq.studies.view import View


class Got(NamedTuple):
    """A statistic.

    Attributes:
        measured: the number with its interval.
        used: of how many seeds it speaks; None: of all that there are.
        why: why it cannot say either, where it cannot; empty where it can.
    """

    measured: HasInterval | Measured
    used: int | None = None
    why: str = ""


@dataclass(frozen=True)
class Exponent:
    """The exponent of a power law of a quantity along an axis, fitted seed by seed.

    Attributes:
        quantity: its name.
        over: dimension along which it is fitted.
        margin: on the exponent; a range whose local exponents change by more is no limit yet.
        larger: what to raise, to come closer to the limit.
        last: how many of the largest values are used; None: all.
        limit: theory's exponent, for exact values: see `fineq.claims.counting.curved`.
        exact: the numbers are exact, and what a fit of one seed misses is no scatter: the interval
            is that over the seeds' exponents.
        lost: seeds that diverged are fitted too, where they have numbers.
        words: of what the fitted rate is called; default those of quantity and axis.
    """

    quantity: str
    over: str
    margin: float
    larger: str
    last: int | None = None
    limit: float | None = None
    exact: bool = False
    lost: bool = True
    words: str = ""

    def __call__(self, view: View) -> Got:
        """The exponent at a view."""
        key = self._key(view)
        if key not in view.laws:
            view.laws[key] = self._fitted(view)
        law: PowerLaw = view.laws[key]
        measured = over_seeds(law.seed_slopes, view.study.alike) if self.exact else law
        return Got(measured, law.seeds_used, curved(law, self.margin, self.larger, self.limit))

    def drawn(self, view: View) -> Fit | None:
        """The fitted law as figures draw it."""
        self(view)
        return drawn_fit(view.laws[self._key(view)], list(self._range(view)))

    def _key(self, view: View) -> tuple[Any, ...]:
        return (self, view.piece.index, tuple(sorted(view.at.items())))

    def _range(self, view: View) -> np.ndarray:
        first = 0 if self.last is None else -self.last
        return np.asarray(view.values_of(self.over), float)[first:]

    def _fitted(self, view: View) -> PowerLaw:
        x = self._range(view)
        y = np.moveaxis(view(self.quantity, lost=self.lost), 0, -1)
        words = self.words or f"{view.quantities[self.quantity].text} in {self.over}"
        at = [str(value) for value in view.at.values()]
        quantity = ", ".join(filter(None, (words, *at, view.piece.label)))
        return power_law(x, y[..., -x.size :], quantity=quantity)


@dataclass(frozen=True)
class Median:
    """The median over seeds of a number per seed.

    Attributes:
        of: the quantity, or a function of the view to numbers `[seed]`; NaN leaves a seed out,
            inf is a loss.
        lost: seeds that diverged count as they were measured; else they are left out.
    """

    of: str | Callable[[View], np.ndarray]
    lost: bool = False

    def __call__(self, view: View) -> Got:
        """The median at a view."""
        values = view(self.of, lost=self.lost) if isinstance(self.of, str) else self.of(view)
        found = over_seeds(values, alike=view.study.alike)
        return Got(found, found.num_values)


@dataclass(frozen=True)
class Share:
    """The share of seeds for which something holds.

    Attributes:
        holds: a function of the view to booleans `[seed]`.
        tried: a claim about all x, of which these were tried: exact, and one against it refutes it.
    """

    holds: Callable[[View], np.ndarray]
    tried: bool = False

    def __call__(self, view: View) -> Got:
        """The share at a view."""
        mask = np.asarray(self.holds(view), bool)
        alike = view.study.alike
        return Got(share_tried(mask) if self.tried else share(mask, alike), mask.size)


@dataclass(frozen=True)
class Exact:
    """A number that is known to rounding, from a function of the view."""

    of: Callable[[View], Any]

    def __call__(self, view: View) -> Got:
        """The number at a view."""
        return Got(Measured.exact(float(self.of(view))))
