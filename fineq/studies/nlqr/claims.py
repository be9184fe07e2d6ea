"""The claims of arXiv 2303.08431 that fineq measures, by id; `docs/theory.md` explains them."""

from fineq.claims import Entry, register
from fineq.claims import claim as claim

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
