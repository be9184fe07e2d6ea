"""A measured number, what a theory allows it to be, and the verdict computed from both."""

import math
from dataclasses import dataclass
from typing import Any, Literal, Protocol, get_args

from fineq.claims.reading import MAYBE_NUMBER, NUMBER, check_id, read

Relation = Literal["<=", ">=", "~"]
Verdict = Literal["holds", "fails", "inconclusive", "not refuted"]

_CLAIM_KINDS = {
    "id": str,
    "statement": str,
    "source": str,
    "instance": str,
    "measured": dict,
    "theory": (dict, type(None)),
    "sampled": bool,
    "verdict": (str, type(None)),
}
_MEASURED_KINDS = {
    "value": MAYBE_NUMBER,
    "low": MAYBE_NUMBER,
    "high": MAYBE_NUMBER,
    "unit": str,
}
_THEORY_KINDS = {
    "value": MAYBE_NUMBER,
    "relation": str,
    "formula": str,
    "margin": NUMBER,
    "note": str,
}


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


@dataclass(frozen=True)
class Measured:
    """A measured number.

    Attributes:
        value: the estimate; None when nothing could be measured. Non-finite numbers become None.
        low: lower end of its interval; None when unknown or unbounded.
        high: upper end.
        unit: the unit, `1` for a pure number.

    Raises:
        ValueError: when `low` exceeds `high`.

    """

    value: float | None
    low: float | None
    high: float | None
    unit: str = "1"

    def __post_init__(self):
        for name in ("value", "low", "high"):
            object.__setattr__(self, name, _finite(getattr(self, name)))
        if self.low is not None and self.high is not None and self.low > self.high:
            raise ValueError(f"low must not exceed high, got [{self.low}, {self.high}]")

    @classmethod
    def exact(cls, value: float, unit: str = "1") -> "Measured":
        """Return a number without uncertainty: a count, a result to rounding."""
        return cls(value, value, value, unit)

    @classmethod
    def of(cls, interval: HasInterval, unit: str = "1") -> "Measured":
        """Return a rate, an exponent, a proportion or a median with its interval."""
        return cls(interval.value, interval.low, interval.high, unit)


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


@dataclass(frozen=True)
class Claim:
    """One claim, measured on one instance.

    Attributes:
        id: `area/claim`, for example `nlqr/landscape`.
        statement: the claim in plain words.
        source: the paper (and figure) it is from, or `fineq`.
        instance: what it was measured on, for example `lipschitz=3, 64 seeds`.
        measured: the number with its interval.
        theory: what is allowed; None for a measurement alone.
        sampled: the claim is about all x (a ball, all starts) and only some were looked at.

    Raises:
        ValueError: for an id that is not of the form `area/claim`.

    """

    id: str
    statement: str
    source: str
    instance: str
    measured: Measured
    theory: Theory | None = None
    sampled: bool = False

    def __post_init__(self):
        check_id(self.id)

    @property
    def verdict(self) -> Verdict | None:
        """What measurement and theory together say; see `fineq.claims`."""
        return None if self.theory is None else judge(self.measured, self.theory, self.sampled)

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for `summary.json`."""
        return {
            "id": self.id,
            "statement": self.statement,
            "source": self.source,
            "instance": self.instance,
            "measured": dict(vars(self.measured)),
            "theory": None if self.theory is None else dict(vars(self.theory)),
            "sampled": self.sampled,
            "verdict": self.verdict,
        }

    @classmethod
    def from_dict(cls, data: Any) -> "Claim":
        """Read a claim from plain data that may come from anywhere.

        Raises:
            ValueError: naming the field, when one is missing, unknown or of the wrong type, or when
                the verdict given is not the one that follows from the numbers.

        """
        fields = read(data, "claim", _CLAIM_KINDS)
        verdict = fields.pop("verdict")
        fields["measured"] = Measured(**read(fields["measured"], "claim.measured", _MEASURED_KINDS))
        if fields["theory"] is not None:
            fields["theory"] = Theory(**read(fields["theory"], "claim.theory", _THEORY_KINDS))
        claim = cls(**fields)
        if verdict != claim.verdict:
            raise ValueError(
                f"claim.verdict of {claim.id} is {verdict!r}, but its numbers say {claim.verdict!r}"
            )
        return claim


def judge(measured: Measured, theory: Theory, sampled: bool = False) -> Verdict:
    """Return the verdict on a measurement; see `fineq.claims`."""
    low = -math.inf if measured.low is None else measured.low
    high = math.inf if measured.high is None else measured.high
    verdict: Verdict = "inconclusive"
    if theory.value is not None:
        allowed_low, allowed_high = theory.allowed
        if allowed_low <= low and high <= allowed_high:
            verdict = "holds"
        elif high < allowed_low or low > allowed_high:
            verdict = "fails"
    return "not refuted" if sampled and verdict != "fails" else verdict


def _finite(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else float(value)
