"""The claims of arXiv 2412.18164 that fineq measures, by id; `docs/theory.md` explains them."""

from fineq.claims import Entry, register
from fineq.claims import claim as claim

PAPER = "arXiv 2412.18164"

register(
    Entry(
        "pift/optimality",
        "The optimal control is the unique fixed point of the update; V is its value",
        PAPER,
        "V backward ~ J forward",
    ),
    Entry(
        "pift/linear-convergence",
        "The inner iteration contracts at q_t = σ_t² Lip(∇V_{t+1})/β_t, and so does PI-FT",
        PAPER,
        "exponent of |u - u*| ~ -log max_t ρ_t; of the value gap ~ twice that",
    ),
    Entry(
        "pift/regularity",
        "Lipschitz constants of the iterates' controls, values and value gradients stay bounded",
        PAPER,
        "measured constant <= bound, for every t and iteration",
    ),
    Entry(
        "pift/beta-tradeoff",
        "A larger β converges faster and stays closer to the pre-trained model",
        PAPER,
        "rate, path divergence and reward fall with β",
    ),
    Entry(
        "pift/threshold",
        "Plain PI-FT contracts exactly for β above the largest curvature of V along the noise",
        "fineq",
        "smallest contracting β ~ max_t |L'∇²V̄ L|",
    ),
    Entry(
        "pift/damping",
        "Damped and Newton steps converge wherever the problem is well posed",
        "fineq",
        "smallest converging β of damped and Newton steps ~ largest positive curvature",
    ),
    Entry(
        "pift/parametric",
        "With parametrised controls PI-FT converges to the best control of the class",
        PAPER,
        "control error after sweeps ~ that of the best in the class",
    ),
    Entry(
        "pift/continuous-time",
        "As steps shrink the problem tends to a controlled SDE whose optimum is Hopf-Cole's",
        PAPER,
        "order of the difference in the step size",
    ),
    Entry(
        "pift/terminal-law",
        "The optimal chain ends in the tilt p_pre e^{r/β}/Z of the pre-trained law",
        PAPER,
        "KL of the terminal law to the tilt falls with T",
    ),
    Entry(
        "pift/certificate",
        "No policy beats β log E_pre e^{r/β}",
        PAPER,
        "J(u) <= β log E e^{r/β}",
    ),
    Entry(
        "pift/standard-problems",
        "PI-FT reaches the exact discrete optimum of the standard problems of stochastic control",
        "fineq",
        "E ∫|u - u*|² dt <= that of the usual optimum",
    ),
)
