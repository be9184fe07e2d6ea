"""The gradients that a configuration names."""

from fineq.nlqr.gradients import (
    Baseline,
    Coordinates,
    Estimator,
    Exact,
    Natural,
    OnePoint,
    TwoPoint,
)
from fineq.studies.nlqr.config import EstimatorConfig

ZEROTH_ORDER = {"one_point": OnePoint, "two_point": TwoPoint, "baseline": Baseline}


def configured(config: EstimatorConfig) -> Estimator:
    """The gradient that the configuration names, of the problem's cost."""
    match config.name:
        case "exact":
            return Natural() if config.natural == "yes" else Exact()
        case "coordinates":
            return Coordinates()
        case _:
            return ZEROTH_ORDER[config.name](config.num_rollouts)
