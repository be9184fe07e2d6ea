"""What the studies of fine-tuning share: names of fields, axes, instances, text for claims."""

import numpy as np

from fineq.rates import Rate
from fineq.studies import common
from fineq.studies.pift import claims as claims  # registers them
from fineq.studies.pift import instances
from fineq.studies.pift.config import PiftConfig
from fineq.sweep import Axis
from fineq.sweep.stages import Stages

NAMES = common.Names(
    {
        "beta": "price β",
        "reward.scale": "factor of the reward",
        "t": "generation step t",
        "inner": "inner iteration",
        "side": "side",
        "rule": "inner step",
        "times": "β over the plain threshold",
        "num_steps": "steps T",
    },
    {"beta": "β", "scale": "reward x", "end": "ᾱ_T"},
    {"variance": {"forward": "σ² = b", "posterior": "posterior variance"}},
)


Study = common.Study[PiftConfig, instances.Given, instances.Instance]


def is_linear_quadratic(study: Study) -> bool:
    """Gaussian data and a linear or quadratic reward: everything is exact."""
    config = study.config
    return (
        study.given.points is None
        and config.data.name == "gaussian"
        and config.reward.name in ("linear", "quadratic")
    )


def schedule_note(config: PiftConfig) -> dict[str, str]:
    """The floor of the last step's variance, which the posterior's formula puts at 0."""
    if config.schedule.variance != "posterior" or "schedule" in config.sweep:
        return {}
    last = float(instances.schedule_of(config).sigmas[-1]) ** 2
    kind = "that of the step before" if config.schedule.floor is None else "as given"
    return {"floor": f"posterior variances; σ² of the last step is floored at {last:.3g}, {kind}"}


def make_study(
    config: PiftConfig, given: instances.Given, stages: Stages, *, random: bool = False
) -> Study:
    """Bind a configuration.

    Args:
        config: validated.
        given: what the user brought.
        stages: runs the sweeps.
        random: the study draws by seed, beside its problems; where not, one seed of a problem that
            is given says all.
    """
    seeds = common.seed_axis(config)
    if not (random or instances.is_drawn(config, given)):
        seeds = Axis(seeds.name, seeds.values[:1])
    axes = [*common.user_axes(config), seeds]
    same = not (random or instances.is_drawn(config, given))
    return Study(config, given, stages, instances.make_instance(config, given), axes, alike=same)


def no_rate(rate: Rate, exponent: np.ndarray) -> str:
    """Why no seed has a linear rate to compare."""
    if not np.any(exponent > 0):
        return "no member contracts, max_t ρ_t >= 1: a larger beta decides"
    counts = ", ".join(f"{number} {verdict}" for verdict, number in rate.verdicts.items())
    return f"no seed shows a linear rate ({counts}): more of inner.num_sweeps decide"
