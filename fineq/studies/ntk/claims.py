"""The claims of arXiv 2401.15604 that fineq measures, by id; `docs/theory.md` explains them."""

from fineq.claims import Entry, register

PAPER = "arXiv 2401.15604"

register(
    Entry(
        "ntk/score-identity",
        "Denoising and explicit score matching differ by the constant E|X_0 - f*|²",
        PAPER,
        "difference of the losses ~ E|X_0 - f*|²",
    ),
    Entry(
        "ntk/kernel-limit",
        "The tangent kernel of a finite network tends to κ I as its width m grows",
        PAPER,
        "exponent of the distance in m ~ -1/2",
    ),
    Entry(
        "ntk/coupling",
        "Network training and kernel gradient descent stay together, the closer the wider",
        PAPER,
        "exponent of the largest distance in m <= 0",
    ),
    Entry(
        "ntk/early-stopping",
        "Long training overfits noisy labels; a data-driven stopping time avoids it",
        PAPER,
        "risk at the rule's time over the least risk",
    ),
    Entry(
        "ntk/generalisation",
        "E|f_τ - f*|² at the stopping time falls with N",
        PAPER,
        "exponent in N",
    ),
    Entry(
        "ntk/error-decomposition",
        "The error is at most coupling + label mismatch + early stopping + approximation",
        PAPER,
        "total <= sum of the four",
    ),
    Entry(
        "ntk/assumptions",
        "The Gram matrix stays well conditioned, X_t bounded, f* Lipschitz, label noise known",
        PAPER,
        "measured",
    ),
    Entry(
        "ntk/sampling",
        "A score stopped early gives better samples than one trained to the end",
        PAPER,
        "distance to fresh data: early <= late",
    ),
)
