"""The claims of arXiv 2303.08431 that fineq measures, by id; `docs/theory.md` explains them."""

from fineq.claims import Registry, Statement

PAPER = "arXiv 2303.08431"

CLAIMS = Registry(
    "nlqr",
    {
        "nlqr/exact-recovery": Statement(
            "Least squares recovers A, B, C exactly once N is of the order n + p + d", PAPER
        ),
        "nlqr/landscape": Statement(
            "The cost is strongly convex and smooth on a ball around K_lin that contains K*", PAPER
        ),
        "nlqr/linear-convergence": Statement(
            "Descent converges linearly to the global minimum, down to the estimator's floor", PAPER
        ),
        "nlqr/initialisation": Statement(
            "Descent from K_lin ends lower than descent from a random policy or from zero", PAPER
        ),
        "nlqr/lipschitz-sweep": Statement(
            "From K_lin, descent converges for ℓ <= 4 and fails for ℓ >= 5", PAPER
        ),
        "nlqr/robustness": Statement(
            "At ℓ = 3, descent from K_lin lowers the cost of random systems", PAPER
        ),
        "nlqr/sample-complexity": Statement(
            "Accuracy ε needs r of order sqrt(ε), T of order log(1/ε), J of order 1/ε²", PAPER
        ),
        "nlqr/global": Statement(
            "Descent from every stabilising start reaches the same minimum", "fineq"
        ),
        "nlqr/truncation": Statement(
            "A finite cost over T steps hides a closed loop that does not stabilise", "fineq"
        ),
        "nlqr/riccati": Statement(
            "At ℓ = 0 the optimum is the linear-quadratic regulator's", "fineq"
        ),
    },
)
