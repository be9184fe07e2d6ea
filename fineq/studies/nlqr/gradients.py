"""The gradients that a configuration names."""

from fineq.nlqr import gradients
from fineq.studies.nlqr.config import EstimatorConfig

ZEROTH_ORDER = {
    "one_point": gradients.OnePoint,
    "two_point": gradients.TwoPoint,
    "baseline": gradients.Baseline,
}


def configured(config: EstimatorConfig) -> gradients.Estimator:
    """The gradient that the configuration names, of the problem's cost."""
    match config.name:
        case "exact":
            return gradients.Natural() if config.natural == "yes" else gradients.Exact()
        case "coordinates":
            return gradients.Coordinates()
        case _:
            return ZEROTH_ORDER[config.name](config.num_rollouts)
