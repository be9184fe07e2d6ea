"""How nearly linear-quadratic control names the fields and dimensions of its results."""

import fineq.studies.nlqr.claims  # noqa: F401  (registers the claims)
from fineq.studies.common import Names

NAMES = Names(
    {
        "moment": "iteration",
        "length": "rollout length $T$",
        "smoothing": "smoothing radius $r$",
        "rollouts": "rollouts per estimate $J$",
        "start": "initial policy",
        "system.lipschitz": "Lipschitz constant ℓ",
        "descent.step_size": "step size η",
        "estimator.radius": "smoothing radius r",
        "estimator.num_rollouts": "rollouts per estimate J",
        "descent.horizon": "rollout length T",
        "law.radius": "initial radius |x0|",
    },
    {
        "lipschitz": "ℓ",
        "step_size": "η",
        "num_rollouts": "J",
        "horizon": "T",
        "start_radius": "|K0|",
    },
)
slices = NAMES.slices
