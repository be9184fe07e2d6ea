"""What the studies of every area share: axes from a configuration, names for what they found."""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np

from fineq.figures import Figure, Panel
from fineq.results import Array as Named
from fineq.results import Arrays, StudyResult
from fineq.settings.config import RunConfig
from fineq.settings.fields import leaves, sweep_axes
from fineq.sweep.axes import Axis
from fineq.sweep.stages import Member, Stages

ConfigT = TypeVar("ConfigT", bound=RunConfig)
GivenT = TypeVar("GivenT")
InstanceT = TypeVar("InstanceT")
Run = Callable[[Any, Any, Stages], StudyResult]  # of a configuration and what the user brings
LARGEST = 6  # panels of one figure
SHOWN = 6  # combinations of swept values that have panels of their own
_LEFT_OUT = "{} of {} combinations of swept values are drawn; the data hold all"
LONG_NAMES = {"seed": "seed", "iteration": "iteration"}


class Study(NamedTuple, Generic[ConfigT, GivenT, InstanceT]):
    """What a study works with.

    Attributes:
        config: the validated configuration.
        given: what the user brought.
        stages: runs the sweeps.
        instance: from a member, `{"seed": 0, "process.T0": 0.1}`, to its instance, pure.
        axes: swept fields, then seeds.
        own: axes that the study lays itself, such as widths, or runs along, such as the β of an
            exponent in β: no combinations of their values are told apart.
        alike: all seeds have the same problem, nothing random: exact numbers have no interval.
        screen: what the area knows of every member before the study runs, where it asks.
    """

    config: ConfigT
    given: GivenT
    stages: Stages
    instance: Callable[[Member], InstanceT]
    axes: list[Axis]
    own: tuple[Axis, ...] = ()
    alike: bool = False
    screen: Any = None


def user_axes(config: RunConfig) -> list[Axis]:
    """The axes of `sweep.*`; those over fields that fix shapes compile once per value.

    Args:
        config: validated, its axes as the area's table of effects has them.
    """
    given = sweep_axes(config, config.sweep)
    return [Axis(path, values, static) for path, (values, static) in given.items()]


def seed_axis(config: RunConfig) -> Axis:
    """Seeds `first_seed, first_seed + 1, ...`."""
    return Axis("seed", range(config.first_seed, config.first_seed + config.seeds))


def seeds_of(axes: Sequence[Axis]) -> list[Any]:
    """The seeds among the axes."""
    return list(next(axis.values for axis in axes if axis.name == "seed"))


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
        values: dimension to the words of its values, where they are names.
    """

    long: Mapping[str, str]
    symbols: Mapping[str, str]
    values: Mapping[str, Mapping[str, str]] = MappingProxyType({})

    def words_of(self, dim: str, value: Any) -> str:
        """A value of a dimension as claims write it."""
        return self.values.get(dim, {}).get(str(value), str(value))

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


def listed(*words: str) -> str:
    """Words with commas between them; empty ones are left out."""
    return ", ".join(filter(None, words))


def first_alone(pieces: Sequence[Slice]) -> str:
    """The note of a figure that shows the first of several combinations of swept values."""
    if len(pieces) < 2:
        return ""
    return f"at {pieces[0].label}, the first of {len(pieces)} combinations of swept values"


def small_multiples(
    name: str,
    pieces: Sequence[Slice],
    panels_of: Callable[[Slice], Sequence[Panel]],
    caption: str = "",
    more: Sequence[Panel] = (),
    claims: tuple[str, ...] = (),
) -> tuple[Figure, ...]:
    """Figures with the panels of every combination of swept values.

    Of more than `SHOWN` combinations that many are drawn, evenly from the first to the last, and
    the figures say so.

    Args:
        name: of the first figure; those after it are numbered.
        pieces: the combinations.
        panels_of: the panels of one combination.
        caption: of each figure.
        more: panels that show no single combination, after all others.
        claims: as in `Figure`.
    """
    count = len(pieces)
    chosen = np.unique(np.linspace(0, count - 1, min(count, SHOWN)).round().astype(int))
    groups = [panels_of(pieces[i]) for i in chosen]
    most = max((len(group) for group in groups), default=1) or 1
    # A combination's panels stay together.
    size = max(LARGEST // most, 1)
    pages = [
        [panel for group in groups[i : i + size] for panel in group]
        for i in range(0, len(groups), size)
    ]
    pages = [page for page in pages if page]
    if more and pages and len(pages[-1]) + len(more) <= LARGEST:
        pages[-1] += more
    elif more:
        pages.append([*more])
    note = "" if len(chosen) == count else _LEFT_OUT.format(len(chosen), count)
    return tuple(
        Figure(name if i == 0 else f"{name}_{i + 1}", tuple(page), caption, note, claims)
        for i, page in enumerate(pages)
    )
