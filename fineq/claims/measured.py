"""A measured number with its interval, and what a theory allows it to be."""

import math
from dataclasses import dataclass
from typing import Literal, Protocol, get_args

from fineq.confidence import LARGEST

Relation = Literal["<=", ">=", "~"]


class HasInterval(Protocol):
    """A number with an interval (a `fineq.rates.Rate`, an `Interval`); nan where unknown."""

    @property
    def value(self) -> float:
        """The estimate."""
        ...

    @property
    def low(self) -> float:
        """The lower end."""
        ...

    @property
    def high(self) -> float:
        """The upper end."""
        ...

    @property
    def confidence(self) -> float:
        """How often such intervals cover the truth."""
        ...


@dataclass(frozen=True)
class Measured:
    """A measured number.

    Attributes:
        value: the estimate; None when nothing could be measured. Non-finite numbers become None.
        low: lower end of its interval; None when unknown or unbounded.
        high: upper end.
        unit: the unit, `1` for a pure number.
        confidence: how often such intervals cover the truth: 0.95 for a 95% interval, 0.75 for the
            range of 3 seeds, 1 for an exact number; None where there is no interval.

    Raises:
        ValueError: when `low` exceeds `high`, for an interval without its confidence, or one that
            does not lie in (0, 1].

    """

    value: float | None
    low: float | None
    high: float | None
    unit: str = "1"
    confidence: float | None = None

    def __post_init__(self):
        for name in ("value", "low", "high"):
            object.__setattr__(self, name, _finite(getattr(self, name)))
        if self.value is not None and (self.low, self.high) == (None, None):
            object.__setattr__(self, "confidence", None)
        if self.low is not None and self.high is not None and self.low > self.high:
            raise ValueError(f"low must not exceed high, got [{self.low}, {self.high}]")
        if self.confidence is None and (self.low, self.high) != (None, None):
            raise ValueError(f"an interval needs its confidence, got [{self.low}, {self.high}]")
        if self.confidence is not None and not 0 < self.confidence <= 1:
            raise ValueError(f"confidence must lie in (0, 1], got {self.confidence}")

    @classmethod
    def exact(cls, value: float, unit: str = "1") -> "Measured":
        """Return a number without uncertainty: a count, a result to rounding.

        An infinite one is known to lie above all finite numbers; NaN is nothing measured.
        """
        if value == math.inf:
            return cls(None, LARGEST, None, unit, 1.0)
        known = math.isfinite(value)
        return cls(value, value, value, unit, 1.0 if known else None)

    @classmethod
    def between(
        cls, value: float, low: float, high: float, unit: str = "1", confidence: float = 1.0
    ) -> "Measured":
        """Return a number known to lie between two others, for example by bisection."""
        return cls(value, low, high, unit, confidence)

    @classmethod
    def of(cls, interval: HasInterval, unit: str = "1") -> "Measured":
        """Return a rate, an exponent, a proportion or a median with its interval."""
        # Below two values there is no interval, and a confidence of 0.
        confidence = float(interval.confidence) or None
        return cls(interval.value, interval.low, interval.high, unit, confidence)


@dataclass(frozen=True)
class Theory:
    """What a theory allows the measured number to be.

    Attributes:
        value: the bound or the predicted number, computed for the same instance; None when it could
            not be computed (non-finite numbers become None), which leaves a claim inconclusive.
        relation: `<=` and `>=`: measured at most, at least `value`; `~`: measured equals `value`.
        formula: how `value` is computed, in symbols.
        margin: absolute, in the unit of `value`: how far from it still counts as equal (`~`), or
            the allowance for rounding (`<=`, `>=`).
        note: where theory and measurement differ, if they do.

    Raises:
        ValueError: for an unknown relation, a negative margin, or `~` without a margin: no
            measurement equals a number exactly, so the claim must say what counts as equal.

    """

    value: float | None
    relation: Relation
    formula: str
    margin: float = 0.0
    note: str = ""

    def __post_init__(self):
        object.__setattr__(self, "value", _finite(self.value))
        if self.relation not in get_args(Relation):
            raise ValueError(f"relation must be one of <=, >=, ~, got {self.relation!r}")
        if not (math.isfinite(self.margin) and self.margin >= 0):
            raise ValueError(f"margin must be finite and at least 0, got {self.margin}")
        if self.relation == "~" and self.margin == 0:
            raise ValueError("a theory with relation ~ needs a margin above 0")

    @property
    def allowed(self) -> tuple[float, float]:
        """Smallest and largest number allowed, infinite where there is no bound."""
        if self.value is None:
            raise ValueError("a theory without a value allows nothing definite")
        low = -math.inf if self.relation == "<=" else self.value - self.margin
        high = math.inf if self.relation == ">=" else self.value + self.margin
        return low, high


def _finite(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else float(value)
