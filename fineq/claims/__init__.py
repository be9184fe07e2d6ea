"""Claims: what a theory says, what was measured, and the verdict, which is computed from both.

A measured number comes with an interval; a theory allows a set of numbers. The verdict is

    holds         the whole interval is allowed
    fails         none of it is
    inconclusive  part of it is; an end of the interval that is not known reaches to infinity
    not refuted   instead of the first and third, for a claim about all x of which some were tried
    None          there is a measurement but no theory to hold it against

Each area registers the ids, statements and sources of its claims in `fineq/<area>/claims.py`.
"""

from fineq.claims.claim import Claim, HasInterval, Measured, Relation, Theory, Verdict, judge
from fineq.claims.registry import REGISTRY, Entry, claim, make_claim, register

__all__ = [
    "REGISTRY",
    "Claim",
    "Entry",
    "HasInterval",
    "Measured",
    "Relation",
    "Theory",
    "Verdict",
    "claim",
    "judge",
    "make_claim",
    "register",
]
