"""The studies of fine-tuning, by name: `(config, given, stages) -> result`."""

from collections.abc import Callable

from fineq.pift.config import PiftConfig
from fineq.pift.study import (
    benchmark_problems,
    beta,
    continuous_limit,
    linear_convergence,
    parametric,
    regularity,
    terminal_law,
    threshold,
)
from fineq.pift.study.instances import Given as Given
from fineq.results import StudyResult
from fineq.sweep.stages import Stages

STUDIES: dict[str, Callable[[PiftConfig, Given, Stages], StudyResult]] = {
    "benchmark_problems": benchmark_problems.run,
    "beta": beta.run,
    "continuous_limit": continuous_limit.run,
    "linear_convergence": linear_convergence.run,
    "parametric": parametric.run,
    "regularity": regularity.run,
    "terminal_law": terminal_law.run,
    "threshold": threshold.run,
}
