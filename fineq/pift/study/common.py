"""What the studies of fine-tuning share: names of fields, axes, instances, text for claims."""

from dataclasses import fields

from fineq import studies
from fineq.config import RunConfig
from fineq.errors import InputError
from fineq.fields import leaves
from fineq.pift.config import PiftConfig
from fineq.pift.study.instances import Given, Instance, make_instance, schedule_of
from fineq.studies import Names, seed_axis, user_axes
from fineq.sweep.stages import Stages

NAMES = Names(
    {
        "beta": "price β",
        "reward.scale": "factor of the reward",
        "schedule.num_steps": "steps T",
        "t": "generation step t",
        "inner": "inner iteration",
        "side": "side",
        "rule": "inner step",
        "times": "β over the plain threshold",
    },
    {"beta": "β", "scale": "reward x", "end": "ᾱ_T"},
)
coords_of = NAMES.coords_of
slices = NAMES.slices


Study = studies.Study[PiftConfig, Given, Instance]


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
    last = float(schedule_of(config).sigmas[-1]) ** 2
    kind = "that of the step before" if config.schedule.floor is None else "as given"
    return {"floor": f"posterior variances; σ² of the last step is floored at {last:.3g}, {kind}"}


def refuse_unused(config: PiftConfig, *used: str) -> None:
    """Refuse fields that a study with problems of its own would ignore.

    Args:
        config: validated.
        used: fields and groups that count, besides those of every run.

    Raises:
        InputError: for any other field that is not at its default.
    """
    usual = {leaf.path: leaf.value for leaf in leaves(PiftConfig(study=config.study))}
    common = {field.name for field in fields(RunConfig)}
    for leaf in leaves(config):
        if leaf.path.split(".")[0] not in common | set(used) and leaf.value != usual[leaf.path]:
            raise InputError(
                f"study={config.study} has its own problems: {leaf.path} has no effect there and "
                f"must stay {usual[leaf.path]}, got {leaf.value}"
            )


def make_study(config: PiftConfig, given: Given, stages: Stages) -> Study:
    """Bind a configuration.

    Raises:
        InputError: as `fineq.studies.user_axes`, and for both a list of prices and a sweep of one.
    """
    axes = [*user_axes(config), seed_axis(config)]
    if config.betas and any(axis.name == "beta" for axis in axes):
        raise InputError("betas gives β at every step: drop it, or sweep.beta")
    return Study(config, given, stages, make_instance(config, given), axes)
