"""What the studies of score learning share: names of fields, axes, instances, notes."""

from collections.abc import Callable, Collection
from typing import NamedTuple

import numpy as np

from fineq.errors import InputError
from fineq.ntk.config import NtkConfig
from fineq.ntk.study.instances import Given, Instance, Member, make_instance
from fineq.studies import Names, Slice, seed_axis, user_axes
from fineq.sweep import Axis
from fineq.sweep.stages import Stages

NAMES = Names(
    {
        "process.T0": "earliest time T0",
        "process.T": "latest time T",
        "data.num": "training points N",
        "num": "training points N",
        "width": "width m",
        "time": "training time (steps) τ",
        "step": "training time (steps) τ",
        "t": "diffusion time t",
    },
    {"T0": "T0", "T": "T", "num": "N", "width": "m", "g": "g", "step": "η"},
)
coords_of = NAMES.coords_of
slices = NAMES.slices


class Study(NamedTuple):
    """What every study works with.

    Attributes:
        config: the validated configuration.
        given: what the user brought.
        stages: runs the sweeps.
        instance: from a member to its data, pure.
        axes: swept fields, then seeds.
    """

    config: NtkConfig
    given: Given
    stages: Stages
    instance: Callable[[Member], Instance]
    axes: list[Axis]

    @property
    def d(self) -> int:
        """Dimension of X_0."""
        return self.given.target.law.d


def make_study(
    config: NtkConfig, given: Given, stages: Stages, shapes: Collection[str] = ()
) -> Study:
    """Bind a configuration; `shapes` are fields that change shapes and may be swept all the same.

    Raises:
        InputError: as `fineq.studies.user_axes`.
    """
    axes = [*user_axes(config, shapes), seed_axis(config)]
    return Study(config, given, stages, make_instance(config, given), axes)


def times_of(config: NtkConfig) -> np.ndarray:
    """Training times τ from 1 to `descent.last`, equally spaced on a log scale, `[K]`."""
    return np.unique(np.geomspace(1.0, config.descent.last, config.descent.num_times).round())


def target_notes(given: Given) -> dict[str, str]:
    """What was done to the data the user brought."""
    notes, made = {}, given.target
    if made.num_merged:
        notes["duplicates"] = f"{made.num_merged} duplicate points were merged, with weights"
    if made.scaling is not None:
        center = ", ".join(f"{x:.3g}" for x in made.scaling.center[:4])
        more = ", ..." if len(made.scaling.center) > 4 else ""
        notes["scaling"] = (
            f"points were moved by -({center}{more}) and divided by {made.scaling.factor:.4g}"
        )
    return notes


def refuse_swept(study: Study, *names: str) -> None:
    """Raise `InputError` for a sweep of a field that the study varies itself."""
    for axis in study.axes:
        if axis.name in names:
            raise InputError(f"sweep.{axis.name}: study={study.config.study} varies it itself")


def named_instance(study: Study, piece: Slice, size: str = "") -> str:
    """Target, number of points and swept values, as claims name them."""
    config = study.config
    size = size or f"N = {config.data.num}"
    return f"{config.target.name}, d = {study.d}, {size}, {piece.label}".removesuffix(", ")


def widths_of(config: NtkConfig) -> list[int]:
    """The configured widths m."""
    return [int(m) for m in config.network.widths]
