"""The studies of nearly linear-quadratic control, by name: `(config, given, stages) -> result`."""

from collections.abc import Callable

from fineq.nlqr.config import NlqrConfig
from fineq.nlqr.study import linear_convergence
from fineq.nlqr.study.instances import Given as Given
from fineq.nlqr.study.instances import make_features as make_features
from fineq.results import StudyResult
from fineq.sweep.stages import Stages

STUDIES: dict[str, Callable[[NlqrConfig, Given, Stages], StudyResult]] = {
    "linear_convergence": linear_convergence.run,
}
