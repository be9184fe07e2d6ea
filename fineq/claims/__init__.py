"""Claims: what a theory says, what was measured, and the verdict, which is computed from both.

A measured number comes with an interval and the confidence of it; a theory allows a set of numbers.
The verdict is

    holds         the whole interval is allowed
    fails         none of it is: the claim is refuted on this instance
    inconclusive  part of it is, an interval of less than 95% says either, or no number could be had
                  that says anything; an end that is not known reaches to infinity
    not refuted   instead of the first and third, for a claim about all x of which some were tried
    None          there is a measurement but no theory to hold it against

and comes with a reason in a sentence, which for `inconclusive` says what would decide it.

Each area registers the ids, statements and sources of its claims, in
`fineq/studies/<area>/claims.py`.
"""

from fineq.claims.claim import Claim
from fineq.claims.measured import HasInterval, Measured, Relation, Theory
from fineq.claims.registry import REGISTRY, Entry, claim, register
from fineq.claims.verdict import Judgement, Verdict, judge

__all__ = [
    "REGISTRY",
    "Claim",
    "Entry",
    "HasInterval",
    "Judgement",
    "Measured",
    "Relation",
    "Theory",
    "Verdict",
    "claim",
    "judge",
    "register",
]
