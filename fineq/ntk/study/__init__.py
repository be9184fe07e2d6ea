"""The studies of score learning, by name: `(config, given, stages) -> result`."""

from collections.abc import Callable

from fineq.ntk.config import NtkConfig
from fineq.ntk.study import (
    assumptions,
    coupling,
    decomposition,
    digits,
    early_stopping,
    generalisation,
    inputs,
    kernel_limit,
    sampling,
)
from fineq.ntk.study.instances import Given as Given
from fineq.results import StudyResult
from fineq.sweep.stages import Stages

STUDIES: dict[str, Callable[[NtkConfig, Given, Stages], StudyResult]] = {
    "assumptions": assumptions.run,
    "coupling": coupling.run,
    "decomposition": decomposition.run,
    "digits": digits.run,
    "early_stopping": early_stopping.run,
    "generalisation": generalisation.run,
    "inputs": inputs.run,
    "kernel_limit": kernel_limit.run,
    "sampling": sampling.run,
}
