"""One claim, measured on one instance, and its plain data."""

import dataclasses
from dataclasses import dataclass
from typing import Any

from fineq.claims.measured import Measured, Theory
from fineq.claims.reading import MAYBE_NUMBER, check_id, read
from fineq.claims.verdict import Judgement, Verdict, judge

_CLAIM_KINDS = {
    "id": str,
    "statement": str,
    "source": str,
    "instance": str,
    "measured": dict,
    "theory": (dict, type(None)),
    "margin": MAYBE_NUMBER,
    "sampled": bool,
    "confidence": MAYBE_NUMBER,
    "verdict": (str, type(None)),
    "reason": str,
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
    "note": str,
}


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
        undecided: why the numbers can neither confirm nor refute it, and what would decide it, in a
            sentence; the verdict is then `inconclusive` whatever they are.

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
    undecided: str = ""

    def __post_init__(self):
        check_id(self.id)

    @property
    def judgement(self) -> Judgement | None:
        """The verdict with its reason, None without a theory; see `fineq.claims`."""
        if self.theory is None:
            return None
        if self.undecided:
            return Judgement("inconclusive", self.undecided)
        return judge(self.measured, self.theory, self.sampled)

    @property
    def verdict(self) -> Verdict | None:
        """What measurement and theory together say; see `fineq.claims`."""
        return None if self.judgement is None else self.judgement.verdict

    @property
    def reason(self) -> str:
        """Why the verdict is what it is; empty without a theory."""
        return "" if self.judgement is None else self.judgement.reason

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for `summary.json`."""
        measured, theory = dict(vars(self.measured)), None
        if self.theory is not None:
            theory = {name: getattr(self.theory, name) for name in _THEORY_KINDS}
        return {
            "id": self.id,
            "statement": self.statement,
            "source": self.source,
            "instance": self.instance,
            "measured": {name: measured[name] for name in _MEASURED_KINDS},
            "theory": theory,
            "margin": None if self.theory is None else self.theory.margin,
            "sampled": self.sampled,
            "confidence": self.measured.confidence,
            "verdict": self.verdict,
            "reason": self.reason,
        }

    @classmethod
    def from_dict(cls, data: Any) -> "Claim":
        """Read a claim from plain data that may come from anywhere.

        Raises:
            ValueError: naming the field, when one is missing, unknown or of the wrong type, or when
                verdict and reason are not those that follow from the numbers. `inconclusive` may
                stand with any numbers, for the reason that it gives.

        """
        fields = read(data, "claim", _CLAIM_KINDS)
        verdict, reason = fields.pop("verdict"), fields.pop("reason")
        confidence, margin = fields.pop("confidence"), fields.pop("margin")
        measured = read(fields["measured"], "claim.measured", _MEASURED_KINDS)
        fields["measured"] = Measured(**measured, confidence=confidence)
        if fields["theory"] is not None:
            if margin is None:
                raise ValueError("claim.margin is missing though there is a theory")
            theory = read(fields["theory"], "claim.theory", _THEORY_KINDS)
            fields["theory"] = Theory(**theory, margin=margin)
        claim = cls(**fields)
        if verdict == "inconclusive" and reason and reason != claim.reason:
            claim = dataclasses.replace(claim, undecided=reason)
        for name, value in (("verdict", verdict), ("reason", reason)):
            own = getattr(claim, name)
            if value != own:
                raise ValueError(
                    f"claim.{name} of {claim.id} is {value!r}, but its numbers say {own!r}"
                )
        return claim
