"""What claims say of a quantity: statistics over seeds, as entries of a recipe's table of claims.

Each is a frozen value; called with a view it gives a number with its interval and the seeds behind
it. What is computed once at a combination is shared by claims and figures.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from fineq.claims import HasInterval, Measured
from fineq.claims.counting import (
    curved,
    last_of,
    lost_words,
    over_seeds,
    share,
    share_tried,
    still_falling,
)
from fineq.figures import Fit
from fineq.rates import Interval, PowerLaw, power_law
from fineq.studies.common import listed
from fineq.studies.numbers import Numbers, numbers
from fineq.studies.view import View


class Got(NamedTuple):
    """A statistic.

    Attributes:
        measured: the number with its interval.
        used: of how many seeds it speaks; None: of all that there are.
        why: why it cannot say either, where it cannot; empty where it can.
        said: words in place of how many seeds it speaks of; None: how many.
    """

    measured: HasInterval | Measured
    used: int | None = None
    why: str = ""
    said: str | None = None


@dataclass(frozen=True)
class Exponent:
    """The exponent of a power law of a quantity along an axis, fitted seed by seed.

    Of a problem that is given nothing is random: what the fit misses is no scatter, and the number
    has no interval.

    Attributes:
        quantity: its name.
        over: dimension along which it is fitted: of an own axis, or a trailing one.
        margin: on the exponent; a range whose local exponents change by more is no limit yet;
            default: no limit is meant.
        larger: what to raise, to come closer to the limit.
        last: how many of the largest values are used; None: all.
        limit: theory's exponent: see `fineq.claims.counting.curved`.
        exact: the numbers are exact, and what a fit of one seed misses is no scatter: the interval
            is that over the seeds' exponents.
        lost: seeds that diverged are fitted too, where they have numbers.
        words: of what the fitted rate is called; default those of quantity and axis.
    """

    quantity: str
    over: str
    margin: float = np.inf
    larger: str = ""
    last: int | None = None
    limit: float | None = None
    exact: bool = False
    lost: bool = True
    words: str = ""

    def __call__(self, view: View) -> Got:
        """The exponent at a view."""
        law = self.law(view)
        alike = view.study.alike
        measured = over_seeds(law.seed_slopes, alike) if self.exact or alike else law
        why = curved(law, self.margin, self.larger, self.limit, exact=self.exact or alike)
        return Got(measured, law.seeds_used, why)

    def drawn(self, view: View) -> Fit | None:
        """The fitted law as figures draw it."""
        drawn = _fit_over(self.law(view), list(self._range(view)))
        return replace(drawn, low=None, high=None) if drawn and view.study.alike else drawn

    def law(self, view: View) -> PowerLaw:
        """The fitted law at a view."""
        key = self._key(view)
        if key not in view.laws:
            view.laws[key] = self._fitted(view)
        return view.laws[key]

    def _key(self, view: View) -> tuple[Any, ...]:
        return (self, view.piece.index, tuple(sorted(view.at.items())))

    def _range(self, view: View) -> np.ndarray:
        first = 0 if self.last is None else -self.last
        return np.asarray(view.values_of(self.over), float)[first:]

    def _fitted(self, view: View) -> PowerLaw:
        x = self._range(view)
        y = view.along(self.quantity, self.over, lost=self.lost)
        words = self.words or f"{view.quantities[self.quantity].text} in {self.over}"
        at = [view.word(dim) for dim in view.at]
        quantity = listed(words, *at, view.piece.label)
        return power_law(x, y[..., -x.size :], quantity=quantity)


@dataclass(frozen=True)
class Extrapolated:
    """The exponent that a power law's neighbouring points tend to, see `PowerLaw.extrapolated`."""

    exponent: Exponent

    def __call__(self, view: View) -> Got:
        """The exponent at a view, exact."""
        law = self.exponent.law(view)
        return Got(Measured.exact(law.extrapolated), law.seeds_used)


@dataclass(frozen=True)
class Median:
    """The median over seeds of a number per seed.

    Attributes:
        of: the quantity, or a function of the view to numbers `[seed]`; NaN leaves a seed out,
            inf is a loss.
        lost: seeds that diverged count as infinite; else they are left out.
        log: that of the logarithms, as ratios of times have it.
    """

    of: Numbers
    lost: bool = False
    log: bool = False

    def __call__(self, view: View) -> Got:
        """The median at a view."""
        values = numbers(self.of, view)
        if self.lost:
            values = np.append(values, np.full(np.sum(~view.kept), np.inf))
        found = over_seeds(np.log(values) if self.log else values, alike=view.study.alike)
        if self.log:
            value, low, high = np.exp([found.value, found.low, found.high]).tolist()
            found = found._replace(value=value, low=low, high=high)
        return Got(found, found.num_values)


@dataclass(frozen=True)
class Share:
    """The share of seeds for which something holds.

    Attributes:
        holds: a function of the view to booleans `[seed]`, or `[*tried, seed]`.
        tried: a claim about all x, of which these were tried: exact, and one against it refutes it.
        among: which seeds are asked, booleans `[seed]`; None: all.
    """

    holds: Callable[[View], np.ndarray]
    tried: bool = False
    among: Callable[[View], np.ndarray] | None = None

    def __call__(self, view: View) -> Got:
        """The share at a view."""
        mask = np.asarray(self.holds(view), bool)
        mask = mask if self.among is None else mask[self.among(view)]
        alike = view.study.alike
        return Got(share_tried(mask) if self.tried else share(mask, alike), mask.shape[-1])


@dataclass(frozen=True)
class Exact:
    """A number that is known to rounding, from a function of the view.

    Attributes:
        of: the function.
        said: words in place of how many seeds it speaks of; None: how many.
    """

    of: Callable[[View], Any]
    said: str | None = None

    def __call__(self, view: View) -> Got:
        """The number at a view."""
        return Got(Measured.exact(float(self.of(view))), said=self.said)


@dataclass(frozen=True)
class Last:
    """The median over seeds of a quantity after its last iteration, its last dimension.

    A seed that diverged counts as infinite, and the instance says how many did.

    Attributes:
        quantity: its name.
        over: another quantity `[seed]` that it is divided by.
        longer: what to raise for errors that still fall; empty: they may.
    """

    quantity: str
    over: str = ""
    longer: str = ""

    def __call__(self, view: View) -> Got:
        """The median at a view."""
        errors = view(self.quantity)
        ends = last_of(errors) / (view(self.over) if self.over else 1.0)
        why = still_falling(errors, self.longer) if self.longer else ""
        return Got(over_seeds(ends), why=why, said=lost_words(errors))


@dataclass(frozen=True)
class LimitingOrder:
    """The exponent of a quantity along an axis as its values tend to 0; see `limiting_order`.

    Attributes:
        quantity: its name.
        over: dimension of an own axis.
        below: the largest value used.
    """

    quantity: str
    over: str
    below: float

    def __call__(self, view: View) -> Got:
        """The order at a view."""
        found = limiting_order(*self.small(view), view.study.alike)
        return Got(found, found.num_values)

    def known(self, view: View) -> bool:
        """Whether there are two values to go by, and numbers."""
        x, y = self.small(view)
        return len(x) > 1 and bool(np.any(np.isfinite(y)))

    def law(self, view: View) -> PowerLaw:
        """The power law over the same values."""
        where = f" ({view.piece.label})" if view.piece.label else ""
        return power_law(*self.small(view), quantity=f"{self.quantity} against {self.over}{where}")

    def drawn(self, view: View) -> Fit | None:
        """The law as figures draw it."""
        return _fit_over(self.law(view), self.small(view)[0].tolist()) if self.known(view) else None

    def small(self, view: View) -> tuple[np.ndarray, np.ndarray]:
        """The small values, rising, `[x]`, and the quantity there, `[seed, x]`."""
        x = np.asarray(view.values_of(self.over), float)
        order = [i for i in np.argsort(x) if 0 < x[i] <= self.below]
        return x[order], view.along(self.quantity, self.over)[:, order]


def limiting_order(x: np.ndarray, y: np.ndarray, alike: bool = False) -> Interval:
    """The exponent of y `[S, L]` as x → 0: exponents between neighbours, extrapolated linearly.

    Quantities here are powers of x times 1 + O(x), so that exponents between neighbours miss the
    limit by O(x), and a fit over the whole range does too. Median over seeds with its interval.
    With two points there is nothing to extrapolate, and their exponent stands.
    """
    usable = np.all(np.isfinite(y) & (y > 0), axis=1)
    local = np.diff(np.log(y[usable]), axis=1) / np.diff(np.log(x))
    middle = np.sqrt(x[1:] * x[:-1])
    degree = min(1, len(middle) - 1)
    return over_seeds(np.array([np.polyfit(middle, row, degree)[-1] for row in local]), alike)


def _fit_over(law: PowerLaw, x: list) -> Fit | None:
    """A fitted power law as figures draw it over x; None where nothing could be fitted."""
    if not np.isfinite(law.slope):
        return None
    low, high = (v if np.isfinite(v) else None for v in (law.low, law.high))
    return Fit(law.slope, low, high, float(min(x)), float(max(x)))
