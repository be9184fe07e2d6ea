"""What the studies of every area share: axes from a configuration, names for what they found."""

from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import product
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np

from fineq.config import RunConfig
from fineq.errors import InputError
from fineq.fields import leaves, replace_at, sweep_axes, validate
from fineq.figures import Fit
from fineq.rates import PowerLaw
from fineq.results import Array as Named
from fineq.results import Arrays
from fineq.sweep.axes import Axis
from fineq.sweep.stages import Member, Stages

ConfigT = TypeVar("ConfigT", bound=RunConfig)
GivenT = TypeVar("GivenT")
InstanceT = TypeVar("InstanceT")
LONG_NAMES = {"seed": "seed", "iteration": "iteration"}


class Study(NamedTuple, Generic[ConfigT, GivenT, InstanceT]):
    """What a study works with.

    Attributes:
        config: the validated configuration.
        given: what the user brought.
        stages: runs the sweeps.
        instance: from a member, `{"seed": 0, "process.T0": 0.1}`, to its instance, pure.
        axes: swept fields, then seeds.
    """

    config: ConfigT
    given: GivenT
    stages: Stages
    instance: Callable[[Member], InstanceT]
    axes: list[Axis]


def user_axes(config: RunConfig, shapes: Collection[str] = ()) -> list[Axis]:
    """The axes of `sweep.*`.

    Args:
        config: validated.
        shapes: fields that change shapes and may be swept all the same, compiling once per value.

    Raises:
        InputError: for any other field that changes shapes, and as `fineq.fields.sweep_axes`.
    """
    given = sweep_axes(config, config.sweep)
    for path, (_, static) in given.items():
        if static and path not in shapes:
            raise InputError(
                f"sweep.{path}: {path} changes the shapes of everything; use -m {path}=... for one "
                "run per value"
            )
    for values in product(*(values for values, _ in given.values())):
        validate(replace_at(config, dict(zip(given, values, strict=True))))
    return [Axis(path, values, static) for path, (values, static) in given.items()]


def seed_axis(config: RunConfig) -> Axis:
    """Seeds `first_seed, first_seed + 1, ...`."""
    return Axis("seed", list(range(config.first_seed, config.first_seed + config.seeds)))


def drawn_fit(law: PowerLaw, x: list) -> Fit | None:
    """A fitted power law as figures draw it over x; None where nothing could be fitted."""
    if not np.isfinite(law.slope):
        return None
    low, high = (v if np.isfinite(v) else None for v in (law.low, law.high))
    return Fit(law.slope, low, high, float(min(x)), float(max(x)))


def dim_name(axis: str) -> str:
    """The dimension of an axis: the last word of its path."""
    return axis.rpartition(".")[2]


def dims_of(axes: Sequence[Axis]) -> tuple[str, ...]:
    """One dimension per axis, in order."""
    return tuple(dim_name(axis.name) for axis in axes)


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


class Names(NamedTuple):
    """How an area writes its fields.

    Attributes:
        long: path of a field, or name of a dimension, to what a figure writes on its axis.
        symbols: dimension to symbol, as in `ℓ = 0.3`.
    """

    long: Mapping[str, str]
    symbols: Mapping[str, str]

    def coords_of(self, axes: Sequence[Axis], config: RunConfig, **more: Any) -> Arrays:
        """The coordinates of the axes, and of further dimensions such as `iteration`."""
        helps = {leaf.path: leaf.spec.help for leaf in leaves(config)}
        long = {**helps, **LONG_NAMES, **self.long}
        named = {}
        for axis in axes:
            dim = dim_name(axis.name)
            named[dim] = Named(np.asarray(axis.values), (dim,), "1", long.get(axis.name, dim))
        for dim, values in more.items():
            named[dim] = Named(np.asarray(values), (dim,), "1", long.get(dim, dim))
        return named

    def slices(self, axes: Sequence[Axis]) -> list[Slice]:
        """Every combination of the values of the axes before the seeds, in order."""
        swept = [axis for axis in axes if axis.name != "seed"]
        found = []
        for index in np.ndindex(*(len(axis.values) for axis in swept)):
            at = {dim_name(a.name): a.values[i] for a, i in zip(swept, index, strict=True)}
            label = ", ".join(self._written(dim, value) for dim, value in at.items())
            found.append(Slice(index, at, label))
        return found

    def _written(self, dim: str, value: Any) -> str:
        if isinstance(value, int | float):
            return f"{self.symbols.get(dim, dim)} = {value:g}"
        return str(value)
