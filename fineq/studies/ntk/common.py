"""What the studies of score learning share: names of fields, axes, instances, notes."""

from collections.abc import Sequence
from typing import cast

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

import fineq.studies.ntk.claims  # noqa: F401  (registers its claims)
from fineq.errors import InputError, ResourceError
from fineq.ntk import memory
from fineq.ntk.rules import RULES
from fineq.ntk.spectral import stability_limit
from fineq.ntk.tangent import gram
from fineq.studies import common
from fineq.studies.fields import about_fields
from fineq.studies.ntk import instances
from fineq.studies.ntk.config import NtkConfig
from fineq.studies.view import View
from fineq.sweep import Axis
from fineq.sweep.memory import device_bytes
from fineq.sweep.stages import Member, Stages

INPUTS = {1: "(x, t - T0, 1)", 0: "(x, t - T0)"}
STARTS = {"symmetric": "output 0 at start", "subtracted": "f_0 subtracted", "plain": "f_0 kept"}
NAMES = common.Names(
    {
        "process.T0": "earliest time T₀",
        "process.T": "latest time T",
        "data.num": "training points N",
        "num": "training points N",
        "width": "width m",
        "time": "training time (steps) τ",
        "step": "training time (steps) τ",
        "start": "initialisation",
        "t": "diffusion time t",
        "rule": "stopping rule",
    },
    {"T0": "T₀", "T": "T", "num": "N", "width": "m", "g": "g", "step": "η"},
    {"start": STARTS, "rule": RULES, "constant": {str(k): text for k, text in INPUTS.items()}},
)
slices = NAMES.slices


class Study(common.Study[NtkConfig, instances.Given, instances.Instance]):
    """What a study of score learning works with."""

    __slots__ = ()

    def config_at(self, member: Member) -> NtkConfig:
        """The configuration with a member's values in place of its fields."""
        return instances.configured(self.config, member)

    @property
    def d(self) -> int:
        """Dimension of X_0."""
        return self.given.target.law.d


STORAGE = {
    "storage='float64'": "descent.method=stored",
    "storage='float32'": "precision=float32",
    "'blocked'": "descent.method=blocked",
}
KRYLOV = ("early_stopping", "generalisation")  # studies that go on where a path ends


def make_study(config: NtkConfig, given: instances.Given, stages: Stages, *own: Axis) -> Study:
    """Bind a configuration; `own` are the axes that a study lays itself, before those of the user.

    Raises:
        InputError: for a Krylov method where it has no use, and for a step size that is not stable.
        ResourceError: for an N whose Gram matrix would not fit.
    """
    axes = [*common.user_axes(config), common.seed_axis(config)]
    if config.descent.method != "spectral" and config.study not in KRYLOV:
        raise InputError(
            f"descent.method={config.descent.method}: study={config.study} needs all eigenpairs, "
            f"descent.method=spectral; {' and '.join(KRYLOV)} do not"
        )
    study = Study(config, given, stages, instances.make_instance(config, given), axes, tuple(own))
    sizes = next((axis.values for axis in own if axis.name == "data.num"), None)
    _check_fits(config, sizes or [config.data.num])
    _check_steps(study, [*own, *study.axes])
    return study


def _check_fits(config: NtkConfig, sizes: Sequence[int]) -> None:
    itemsize = np.dtype(config.precision).itemsize
    method = cast(memory.Storage, config.descent.method)
    if config.study in KRYLOV:
        with about_fields(STORAGE):
            memory.check_memory(max(sizes), method, itemsize)
        return
    needed, available = (
        memory.memory_bytes(max(sizes), method, itemsize),
        device_bytes(jax.local_devices()),
    )
    if needed > available:
        raise ResourceError(
            f"eigenpairs of {max(sizes)} points need about {needed / 2**30:.3g} GiB, but there are "
            f"{available / 2**30:.3g} GiB: take fewer points"
        )


def _check_steps(study: Study, axes: list[Axis]) -> None:
    """Raise `InputError` when a given step size is not stable on some member's data."""
    given = study.config.descent.step is not None or any(a.name == "descent.step" for a in axes)
    if not given or study.config.descent.forced:
        return

    def excess(member: Member) -> tuple[Array, Array]:
        z = study.instance(member).train.z
        limit = stability_limit(jnp.linalg.eigvalsh(gram(z))[-1] / z.shape[0])
        return jnp.asarray(study.config_at(member).descent.step) / limit, limit

    ratio, limit = (np.asarray(x) for x in study.stages.measure("stability", excess, axes))
    if np.any(ratio > 1):
        worst = np.unravel_index(np.argmax(ratio), ratio.shape)
        raise InputError(
            f"descent.step must be at most 2/λ_max = {limit[worst]:.4g}, the limit of stability, "
            f"got {ratio[worst] * limit[worst]:.4g}; descent.forced=true shows how it diverges"
        )


def all_lost(diverged: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Members that diverged, or of whose `values [*axes, x]` nothing finite is known, `[*axes]`."""
    return diverged | ~np.isfinite(values).any(axis=-1)


def any_kept(view: View) -> bool:
    """Whether some seed of a combination did not diverge."""
    return bool(view.kept.any())


def divergence_note(diverged: np.ndarray) -> dict[str, str]:
    """How many members diverged; what is no error of theirs is in no median."""
    if not diverged.any():
        return {}
    return {
        "divergence": f"{int(diverged.sum())} of {diverged.size} members diverged: their step size "
        "is above 2/λ_max, or their numbers are not finite"
    }


def times_of(config: NtkConfig) -> np.ndarray:
    """Training times τ from 1 to `descent.last`, equally spaced on a log scale, `[K]`."""
    return np.unique(np.geomspace(1.0, config.descent.last, config.descent.num_times).round())


def target_notes(given: instances.Given) -> dict[str, str]:
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


def named_instance(study: Study, piece: common.Slice) -> str:
    """Target, number of points, swept values and what is not usual, as claims name them."""
    return _named(study, piece, f"N = {study.config.data.num}")


def unsized_instance(study: Study, piece: common.Slice) -> str:
    """The same without the number of points, of studies along it."""
    return _named(study, piece, "")


def _named(study: Study, piece: common.Slice, size: str) -> str:
    config = study.config
    parts = [config.target.name, f"d = {study.d}", size, piece.label]
    if not config.data.constant:
        parts.append("no constant coordinate")
    if config.data.weight != "regression":
        parts.append(f"{config.data.weight} weight")
    if config.data.times != "uniform":
        parts.append(f"t {config.data.times.replace('_', '-')}")
    return common.listed(*parts)


def widths_of(config: NtkConfig) -> list[int]:
    """The configured widths m."""
    return [int(m) for m in config.network.widths]


def bind_widths(config: NtkConfig, given: instances.Given, stages: Stages) -> Study:
    """A study whose own axis is the width m of networks.

    Raises:
        InputError: as `make_study`, and for fewer than two widths.
    """
    widths = Axis("width", widths_of(config), static=True)
    study = make_study(config, given, stages)
    if len(widths) < 2:
        raise InputError(f"{config.study} needs 2 widths or more, got {config.network.widths}")
    return study._replace(own=(widths,))


def widths_in_words(view: View) -> str:
    """The range of widths, as claims name it."""
    widths = view.values_of("width")
    return f"m = {widths[0]} to {widths[-1]}"


def bind_sizes(config: NtkConfig, given: instances.Given, stages: Stages) -> Study:
    """A study whose own axis is the number of points N.

    Raises:
        InputError: as `make_study`.
    """
    return make_study(config, given, stages, sizes_of(config))


def sizes_of(config: NtkConfig) -> Axis:
    """The axis of configured numbers of points N."""
    return Axis("data.num", [int(n) for n in config.generalisation.sizes], static=True)


def sizes_in_words(view: View) -> str:
    """The range of N, as claims name it."""
    sizes = view.values_of("num")
    return f"N = {sizes[0]:g} to {sizes[-1]:g}"


def largest_in_words(view: View) -> str:
    """The largest N, as claims name it."""
    return f"N = {view.values_of('num')[-1]:g}"


def horizon_in_words(view: View) -> str:
    """The last training time, as claims name it."""
    return f"τ = {view.values_of('time')[-1]:g}"
