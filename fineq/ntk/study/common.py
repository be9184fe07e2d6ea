"""What the studies of score learning share: names of fields, axes, instances, notes."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import NamedTuple, cast

import numpy as np

from fineq.errors import InputError
from fineq.ntk.config import NtkConfig
from fineq.ntk.memory import Storage, check_memory
from fineq.ntk.spectral import stability_limit
from fineq.ntk.study.instances import Given, Instance, Member, configured, make_instance
from fineq.ntk.training import largest_eigenvalue
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

    def config_at(self, member: Member) -> NtkConfig:
        """The configuration with a member's values in place of its fields."""
        return configured(self.config, member)

    @property
    def d(self) -> int:
        """Dimension of X_0."""
        return self.given.target.law.d


def make_study(
    config: NtkConfig, given: Given, stages: Stages, shapes: Collection[str] = ()
) -> Study:
    """Bind a configuration; `shapes` are fields that change shapes and may be swept all the same.

    Raises:
        InputError: as `fineq.studies.user_axes`, and for a step size that is not stable.
        ResourceError: for an N whose Gram matrix would not fit.
    """
    axes = [*user_axes(config, shapes), seed_axis(config)]
    study = Study(config, given, stages, make_instance(config, given), axes)
    check_fits(config, [config.data.num])
    _check_steps(study)
    return study


def check_fits(config: NtkConfig, sizes: Sequence[int]) -> None:
    """Raise `ResourceError` when the Gram matrix of the largest N would not fit."""
    storage = cast(Storage, config.descent.method)
    check_memory(max(sizes), storage, np.dtype(config.precision).itemsize)


def _check_steps(study: Study) -> None:
    """Raise `InputError` when a given step size is not stable on the first member's data."""
    swept = {axis.name: axis.values for axis in study.axes}
    steps = swept.get("descent.step", [study.config.descent.step])
    if steps[0] is None or study.config.descent.forced:
        return
    z = study.instance({name: values[0] for name, values in swept.items()}).train.z
    limit = float(stability_limit(largest_eigenvalue(z)))
    if max(steps) > limit:
        raise InputError(
            f"descent.step must be at most 2/λ_max = {limit:.4g}, the limit of stability, got "
            f"{max(steps):g}; descent.forced=true shows how it diverges"
        )


def kept(values: Mapping[str, np.ndarray], piece: Slice) -> dict[str, np.ndarray]:
    """The arrays of one slice with those seeds that have not diverged, `[seed, ...]`."""
    good = ~values["diverged"][piece.index]
    return {name: x[piece.index][good] for name, x in values.items()}


def divergence_note(diverged: np.ndarray) -> dict[str, str]:
    """How many members diverged and are in no median."""
    if not diverged.any():
        return {}
    return {
        "divergence": f"{int(diverged.sum())} of {diverged.size} members diverged: their step size "
        "is above 2/λ_max; they are in no median"
    }


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
