"""Claims: what a paper (or fineq) says, what was measured, what the theory allows, the verdict.

A verdict is computed, never given. It compares the whole measured interval with the theory:
`holds` when all of it satisfies the relation, `fails` when none of it does, else `inconclusive`.
A claim about all x that was only sampled cannot hold by sampling: it `fails` or is `not refuted`.
A measurement without a theory to compare with has no verdict.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, get_args

Relation = Literal["<=", ">=", "~"]
Verdict = Literal["holds", "fails", "inconclusive", "not refuted"]


class Statement(NamedTuple):
    """What a claim id stands for: one sentence, and the paper (or `fineq`) it comes from."""

    statement: str
    source: str


@dataclass(frozen=True)
class Measured:
    """A number with its interval; `low` and `high` equal `value` where it is exact.

    A NaN end means that no interval could be computed.
    """

    value: float
    low: float
    high: float
    unit: str = "1"


@dataclass(frozen=True)
class Theory:
    """What the theory allows.

    Attributes:
        value: the number on its side.
        relation: measured `<=`, `>=` or `~` value.
        formula: where the number comes from.
        note: what the reader should know.
        tolerance: for `~`: the relative distance from value within which the measured interval
            must lie.

    Raises:
        ValueError: for another relation, a negative tolerance, or a tolerance without `~`.
    """

    value: float
    relation: Relation
    formula: str = ""
    note: str = ""
    tolerance: float = 0.0

    def __post_init__(self) -> None:
        if self.relation not in get_args(Relation):
            raise ValueError(f"relation must be <=, >= or ~, got {self.relation!r}")
        if self.tolerance < 0 or (self.tolerance and self.relation != "~"):
            raise ValueError("tolerance must be at least 0, and 0 unless the relation is ~")

    @property
    def allowed(self) -> tuple[float, float]:
        """The closed interval of values that satisfy the relation."""
        if self.relation == "<=":
            return -math.inf, self.value
        if self.relation == ">=":
            return self.value, math.inf
        slack = self.tolerance * abs(self.value)
        return self.value - slack, self.value + slack


@dataclass(frozen=True)
class Claim:
    """One claim with its verdict.

    Attributes:
        id: `area/claim`.
        statement: what is claimed, in one sentence.
        source: the paper, or `fineq`.
        instance: for what it was measured.
        measured: the number with its interval.
        theory: what is allowed; None where there is only a measurement.
        sampled: the claim is about all x, and only some were looked at.
    """

    id: str
    statement: str
    source: str
    instance: str
    measured: Measured
    theory: Theory | None = None
    sampled: bool = field(default=False)

    @property
    def verdict(self) -> Verdict | None:
        """The verdict, from the measured interval and the theory alone."""
        if self.theory is None:
            return None
        verdict = compare(self.measured, self.theory)
        return "not refuted" if self.sampled and verdict != "fails" else verdict

    def to_dict(self) -> dict[str, Any]:
        """Plain data for `summary.json`; numbers that are not finite become None."""
        theory = self.theory and {
            "value": _finite(self.theory.value),
            "relation": self.theory.relation,
            "formula": self.theory.formula,
            "note": self.theory.note,
            "tolerance": self.theory.tolerance,
        }
        measured = {
            name: _finite(getattr(self.measured, name)) for name in ("value", "low", "high")
        }
        return {
            "id": self.id,
            "statement": self.statement,
            "source": self.source,
            "instance": self.instance,
            "measured": {**measured, "unit": self.measured.unit},
            "theory": theory,
            "sampled": self.sampled,
            "verdict": self.verdict,
        }


def compare(measured: Measured, theory: Theory) -> Verdict:
    """The verdict on an interval: `inconclusive` where a number does not exist.

    An infinite `value` is a number (a bound may be infinite); NaN is not. An interval with a NaN
    end reaches to infinity on that side.
    """
    if math.isnan(theory.value) or math.isnan(measured.value):
        return "inconclusive"
    low = -math.inf if math.isnan(measured.low) else measured.low
    high = math.inf if math.isnan(measured.high) else measured.high
    least, most = theory.allowed
    if least <= low and high <= most:
        return "holds"
    return "fails" if high < least or most < low else "inconclusive"


class Registry:
    """The claims of one area by id, so that a statement is written once."""

    def __init__(self, area: str, statements: Mapping[str, Statement]) -> None:
        """Raises `ValueError` for an id outside the area."""
        for name in statements:
            if not name.startswith(f"{area}/"):
                raise ValueError(f"claim {name!r} does not belong to the area {area!r}")
        self.statements = dict(statements)

    def claim(
        self,
        id: str,
        instance: str,
        measured: Any,
        theory: Theory | None = None,
        *,
        what: str = "",
        unit: str = "1",
        sampled: bool = False,
    ) -> Claim:
        """Make a claim about one instance.

        Args:
            id: a registered id; `KeyError` for another.
            instance: for what it was measured.
            measured: anything with value, low and high, such as `fineq.rates.Interval`.
            theory: what is allowed.
            what: what exactly was measured, in place of the registered statement.
            unit: of the measured number.
            sampled: see `Claim`.
        """
        known = self.statements[id]
        number = Measured(float(measured.value), float(measured.low), float(measured.high), unit)
        return Claim(id, what or known.statement, known.source, instance, number, theory, sampled)


def exactly(value: float) -> Measured:
    """A measured number without uncertainty."""
    return Measured(float(value), float(value), float(value))


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
