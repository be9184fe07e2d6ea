"""From results over axes to named arrays: dimensions, coordinates, units, long names."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from fineq.fields import leaves
from fineq.nlqr.config import NlqrConfig
from fineq.results import Array as Named
from fineq.results import Arrays
from fineq.sweep import Axis

LONG_NAMES = {
    "seed": "seed",
    "iteration": "iteration",
    "moment": "iteration",
    "start": "initial policy",
    "system.lipschitz": "Lipschitz constant ℓ",
    "descent.step_size": "step size η",
    "estimator.radius": "smoothing radius r",
    "estimator.num_rollouts": "rollouts per estimate J",
    "descent.horizon": "rollout length T",
    "law.radius": "initial radius |x0|",
}


def dim_name(axis: str) -> str:
    """The dimension of an axis: the last word of its path."""
    return axis.rpartition(".")[2]


def dims_of(axes: Sequence[Axis]) -> tuple[str, ...]:
    """One dimension per axis, in order."""
    return tuple(dim_name(axis.name) for axis in axes)


def coords_of(axes: Sequence[Axis], config: NlqrConfig, **more: np.ndarray) -> Arrays:
    """The coordinates of the axes, and of further dimensions such as `iteration`."""
    helps = {leaf.path: leaf.spec.help for leaf in leaves(config)}
    named = {}
    for axis in axes:
        dim = dim_name(axis.name)
        long_name = LONG_NAMES.get(axis.name, helps.get(axis.name, dim))
        named[dim] = Named(np.asarray(axis.values), (dim,), "1", long_name)
    for dim, values in more.items():
        named[dim] = Named(np.asarray(values), (dim,), "1", LONG_NAMES.get(dim, dim))
    return named


def named_arrays(
    values: Mapping[str, np.ndarray],
    dims: Sequence[str],
    about: Mapping[str, str],
    *,
    prefix: str = "",
    last: Sequence[str] = (),
) -> Arrays:
    """Name the arrays that `about` describes.

    Args:
        values: name to array `[*dims, *last]`; others than those in `about` are left out.
        dims: leading dimensions.
        about: name to long name; `long name [unit]` gives a unit, else it is a pure number.
        prefix: put before each name.
        last: trailing dimensions, for example `("iteration",)`.
    """
    named = {}
    for name, text in about.items():
        long_name, _, unit = text.partition(" [")
        array = np.asarray(values[name])
        named[prefix + name] = Named(
            array, (*dims, *last)[: array.ndim], unit.rstrip("]") or "1", long_name
        )
    return named


class Slice(NamedTuple):
    """One combination of swept values; all its seeds belong together.

    Attributes:
        index: into the leading axes of an array over the study's axes.
        at: dimension to value, as figures select it.
        label: for people, for example `ℓ = 0.3`.
    """

    index: tuple[int, ...]  # pyright: ignore[reportIncompatibleMethodOverride]
    at: dict[str, float]
    label: str


SYMBOLS = {
    "lipschitz": "ℓ",
    "step_size": "η",
    "num_rollouts": "J",
    "horizon": "T",
    "start_radius": "|K0|",
}


def slices(axes: Sequence[Axis]) -> list[Slice]:
    """Every combination of the values of the axes before the seeds, in order."""
    swept = [axis for axis in axes if axis.name != "seed"]
    found = []
    for index in np.ndindex(*(len(axis.values) for axis in swept)):
        at = {dim_name(a.name): a.values[i] for a, i in zip(swept, index, strict=True)}
        label = ", ".join(
            f"{SYMBOLS.get(dim, dim)} = {value:g}" if isinstance(value, int | float) else str(value)
            for dim, value in at.items()
        )
        found.append(Slice(index, at, label))
    return found
