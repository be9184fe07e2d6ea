"""The studies of nearly linear-quadratic control, by name: `(config, given, stages) -> result`."""

from collections.abc import Callable

from fineq.nlqr.config import NlqrConfig
from fineq.nlqr.study import (
    exact_recovery,
    global_minimum,
    initialisation,
    landscape,
    linear_convergence,
    lipschitz_sweep,
    robustness,
    sample_complexity,
)
from fineq.nlqr.study.instances import Given as Given
from fineq.nlqr.study.instances import make_features as make_features
from fineq.results import StudyResult
from fineq.sweep.stages import Stages

STUDIES: dict[str, Callable[[NlqrConfig, Given, Stages], StudyResult]] = {
    "exact_recovery": exact_recovery.run,
    "global": global_minimum.run,
    "initialisation": initialisation.run,
    "landscape": landscape.run,
    "linear_convergence": linear_convergence.run,
    "lipschitz_sweep": lipschitz_sweep.run,
    "robustness": robustness.run,
    "sample_complexity": sample_complexity.run,
}
