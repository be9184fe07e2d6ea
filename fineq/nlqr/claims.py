"""The claims of arXiv 2303.08431 that fineq measures, by id; `docs/theory.md` explains them."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from fineq.claims import Claim, Entry, Measured, Theory, make_claim, register
from fineq.claims.claim import HasInterval

PAPER = "arXiv 2303.08431"

register(
    Entry(
        "nlqr/exact-recovery",
        "Least squares recovers A, B, C exactly once N is of the order n + p + d",
        PAPER,
        "share of exact recoveries ~ P(at least p of N inputs are not zero)",
    ),
    Entry(
        "nlqr/landscape",
        "The cost is strongly convex and smooth on a ball around K_lin that contains K*",
        PAPER,
        "μ >= σ_x σ > 0; |K* - K_lin| <= δ/3",
    ),
    Entry(
        "nlqr/small-lipschitz",
        "As ℓ falls to 0, K1 and the cost of K_lin tend to the optimal ones, K2 does not",
        "fineq",
        "|K_lin - K*| in K1 ~ ℓ, in K2 ~ 1; cost gap ~ ℓ²",
    ),
    Entry(
        "nlqr/linear-convergence",
        "Descent converges linearly to the global minimum, down to the estimator's floor",
        PAPER,
        "exponent of |K - K*| ~ -log(1 - ημ)",
    ),
    Entry(
        "nlqr/initialisation",
        "Descent from K_lin ends lower than descent from a random policy or from zero",
        f"{PAPER}, Fig. 1a",
        "final gap from K_lin over final gap from elsewhere <= 1",
    ),
    Entry(
        "nlqr/lipschitz-sweep",
        "From K_lin, descent converges for ℓ <= 4 and fails for ℓ >= 5",
        f"{PAPER}, Fig. 1b",
        "share of diverged members ~ 0 for ℓ <= 4, ~ 1 for ℓ >= 5",
    ),
    Entry(
        "nlqr/robustness",
        "At ℓ = 3, descent from K_lin lowers the cost of random systems",
        f"{PAPER}, Fig. 2",
        "share of systems whose cost falls ~ 1",
    ),
    Entry(
        "nlqr/sample-complexity",
        "Accuracy ε needs r of order sqrt(ε), T of order log(1/ε), J of order 1/ε²",
        PAPER,
        "exponents of the error in r, T, J",
    ),
    Entry(
        "nlqr/global",
        "Descent from every stabilising start reaches the same minimum",
        "fineq",
        "share of starts that reach the lowest minimum ~ 1",
    ),
    Entry(
        "nlqr/truncation",
        "A finite cost over T steps hides closed loops that do not stabilise",
        "fineq",
        "share of members with finite T-step and infinite true cost",
    ),
)


def claim(
    id: str,
    measured: HasInterval | Measured,
    theory: Theory | None = None,
    *,
    instance: str | Mapping[str, Any],
    what: str = "",
    unit: str = "1",
    sampled: bool = False,
) -> Claim:
    """Make a registered claim; `what` says what exactly was measured, in place of its statement.

    Args:
        id: a registered id.
        measured: a number with its interval.
        theory: what is allowed; None for a measurement alone.
        instance: what it was measured on.
        what: replaces the registered statement.
        unit: of the measured number.
        sampled: the claim is about all x, and only some were looked at.
    """
    number = measured if isinstance(measured, Measured) else Measured.of(measured, unit)
    made = make_claim(id, number, theory, instance=instance, sampled=sampled)
    return dataclasses.replace(made, statement=what or made.statement)
