"""How nearly linear-quadratic control names the fields and dimensions of its results."""

import fineq.studies.nlqr.claims  # noqa: F401  (registers the claims)
from fineq.studies.common import Names
from fineq.studies.common import Slice as Slice
from fineq.studies.common import dim_name as dim_name
from fineq.studies.common import dims_of as dims_of
from fineq.studies.common import named_arrays as named_arrays

NAMES = Names(
    {
        "moment": "iteration",
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
coords_of = NAMES.coords_of
slices = NAMES.slices
