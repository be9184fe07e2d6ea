"""Named axes: what a sweep varies, and the grid of members they span."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple

import jax
import numpy as np

from fineq.errors import InputError

SEED = "seed"
MAX_SEED = np.iinfo(np.int32).max


@dataclass(frozen=True)
class Axis:
    """A named axis of a sweep.

    name: an identifier; the axis of random seeds is called "seed".
    values: finite numbers of a traced axis, which all share one compiled program, or any values of
        a static axis (`static=True`), each of which is compiled on its own.

    Raises `InputError` when there are no values, or a traced one is not a finite number.
    """

    name: str
    values: Any
    static: bool = False

    def __post_init__(self) -> None:
        if isinstance(self.values, range):
            self._check_range(self.values)
            return  # kept as it is: there may be many more than a list could hold
        values = self.values if self.static else np.asarray(self.values).tolist()
        object.__setattr__(self, "values", tuple(values))
        if not self.values:
            raise InputError(f"axis {self.name} must have at least one value")
        if not self.static:
            self._check_numbers()

    def _check_range(self, values: range) -> None:
        if not values:
            raise InputError(f"axis {self.name} must have at least one value")
        ends = (values[0], values[-1])  # `max` would go through all of them
        if self.name == SEED and not 0 <= min(ends) <= max(ends) <= MAX_SEED:
            raise InputError(f"seeds must be integers from 0 to {MAX_SEED}, got {values}")

    def _check_numbers(self) -> None:
        if any(isinstance(v, list) for v in self.values) or self.coords.dtype.kind not in "biuf":
            raise InputError(f"axis {self.name} must hold numbers, got {list(self.values)}")
        if not np.all(np.isfinite(self.coords)):
            raise InputError(f"axis {self.name} must be finite, got {list(self.values)}")
        if self.name == SEED and not (
            self.coords.dtype.kind in "iu"
            and 0 <= self.coords.min() <= self.coords.max() <= MAX_SEED
        ):
            raise InputError(
                f"seeds must be integers from 0 to {MAX_SEED}, got {list(self.values)}"
            )

    def __len__(self) -> int:
        return len(self.values)

    def at(self, places: np.ndarray) -> np.ndarray:
        """The values at these places of the axis."""
        if isinstance(self.values, range):
            return self.values.start + self.values.step * places
        return self.coords[places]

    @property
    def coords(self) -> np.ndarray:
        """The values as a 1-D array [len]; values that are no numbers or strings as strings."""
        if isinstance(self.values, range):
            return np.arange(self.values.start, self.values.stop, self.values.step)
        if all(isinstance(v, (bool, int, float, str)) for v in self.values):
            return np.asarray(self.values)
        return np.asarray([str(v) for v in self.values])


@dataclass(frozen=True)
class Table:
    """What is known of each member of some axes, for a sweep over more axes or over fewer values.

    axes: those that lead the leaves, in order.
    values: pytree of arrays [*axes, ...].
    """

    axes: Sequence[Axis]
    values: Any

    def over(self, axes: Sequence[Axis]) -> Any:
        """The members' own entries, leaves [*axes, ...]: views, unless values are left out.

        Raises `InputError` where some member has no entry.
        """
        there = {axis.name: axis for axis in axes}
        places = [_places(known, there.get(known.name)) for known in self.axes]
        order = np.argsort([list(there).index(known.name) for known in self.axes])
        new = [i for i, axis in enumerate(axes) if axis.name not in {a.name for a in self.axes}]
        shape = tuple(len(axis) for axis in axes)

        def lay(leaf: Any) -> np.ndarray:
            own = _led(self.axes, leaf)
            for i, chosen in enumerate(places):
                own = own if chosen is None else np.take(own, chosen, axis=i)
            own = own.transpose([*order, *range(len(self.axes), own.ndim)])
            return np.broadcast_to(np.expand_dims(own, new), (*shape, *own.shape[len(order) :]))

        return jax.tree.map(lay, self.values)


def _places(known: Axis, asked: Axis | None) -> list[int] | None:
    """Where the values asked for are among those known; None where they are the same."""
    if asked is None:
        raise InputError(f"a table over {known.name} has no entry for members without it")
    if asked.values == known.values:
        return None
    places = {value: i for i, value in reversed(list(enumerate(known.values)))}
    missing = [value for value in asked.values if value not in places]
    if missing:
        raise InputError(f"a table has no entry for {known.name} = {missing[0]}")
    return [places[value] for value in asked.values]


def check_axes(axes: Sequence[Axis], inputs: Mapping[str, Any]) -> list[Axis]:
    """The axes as a list; raises `InputError` for anything else, and for a name given twice."""
    if isinstance(axes, Axis) or not all(isinstance(axis, Axis) for axis in axes):
        raise InputError(f"axes must be a list of Axis(name, values), got {axes!r:.60}")
    names = [*(axis.name for axis in axes), *inputs]
    if len(set(names)) < len(names):
        raise InputError(f"axes and inputs of a sweep must have distinct names, got {names}")
    return list(axes)


class Members(NamedTuple):
    """The members of one combination of static values, last axis fastest; none is laid out.

    axes: the traced ones. inputs: views [*axes, ...]. total: members of all combinations.
    static: the combination.
    """

    axes: tuple[Axis, ...]
    inputs: dict[str, Any]
    total: int
    static: Mapping[str, Any] = MappingProxyType({})

    @property
    def num(self) -> int:
        """How many there are; one where there are no axes."""
        return math.prod(len(axis) for axis in self.axes)

    def swept(self, index: np.ndarray) -> dict[str, np.ndarray]:
        """Values of all axes at these places, each [len(index)]; of static ones in words."""
        static = {name: np.full(len(index), str(value)) for name, value in self.static.items()}
        return static | self._traced(index)

    def _traced(self, index: np.ndarray) -> dict[str, np.ndarray]:
        places = self._places(index)[1:]
        return {axis.name: axis.at(place) for axis, place in zip(self.axes, places, strict=True)}

    def _places(self, index: np.ndarray) -> tuple[np.ndarray, ...]:
        # One more axis, of length 1: there may be no other.
        return np.unravel_index(index, (1, *map(len, self.axes)))

    def take(self, index: np.ndarray) -> dict[str, Any]:
        """Values and inputs of the members at these places, each [len(index), ...]."""
        values, places = self._traced(index), self._places(index)
        return values | jax.tree.map(lambda x: np.asarray(x)[None][places], self.inputs)


def parts_of(
    axes: list[Axis], inputs: Mapping[str, Any]
) -> Iterator[tuple[dict[str, Any], Members]]:
    """Each combination of static values, last axis fastest, and its members.

    Raises `InputError` when the leading shape of an input is not that of its axes, and where a
    table has no entry for some member.
    """
    laid = {k: x.over(axes) if isinstance(x, Table) else x for k, x in inputs.items()}
    given = jax.tree.map(lambda whole: _static_first(axes, whole), laid)
    static = [axis for axis in axes if axis.static]
    traced = tuple(axis for axis in axes if not axis.static)
    total = math.prod(len(axis) for axis in axes)
    for place in np.ndindex(*(len(axis) for axis in static)):
        values = {axis.name: axis.values[i] for axis, i in zip(static, place, strict=True)}
        own = jax.tree.map(lambda whole, place=place: whole[place], given)
        yield values, Members(traced, own, total, values)


def _order(axes: list[Axis]) -> list[int]:
    """Positions of the axes with the static ones first."""
    return sorted(range(len(axes)), key=lambda i: not axes[i].static)


def _static_first(axes: list[Axis], whole: Any) -> np.ndarray:
    """An array [*axes, ...] seen as [*static axes, *traced axes, ...]."""
    whole = _led(axes, whole)
    return whole.transpose([*_order(axes), *range(len(axes), whole.ndim)])


def _led(axes: Sequence[Axis], leaf: Any) -> np.ndarray:
    """A host array [*axes, ...]; raises `InputError` for another leading shape."""
    whole, shape = np.asarray(leaf), tuple(len(axis) for axis in axes)
    if whole.shape[: len(shape)] != shape:
        raise InputError(f"inputs must have leading shape {shape}, got shape {whole.shape}")
    return whole


def assemble(axes: list[Axis], parts: Sequence[np.ndarray]) -> np.ndarray:
    """Arrays [M, ...], one for each static combination, as one array [*axes, ...]."""
    order = _order(axes)
    stacked = np.stack(parts)
    whole = stacked.reshape((*(len(axes[i]) for i in order), *stacked.shape[2:]))
    return whole.transpose([*np.argsort(order), *range(len(axes), whole.ndim)])


def block_layout(num_members: int, largest: int, devices: int) -> tuple[int, int]:
    """Block size and number of blocks: at most `largest`, whole devices, the last nearly full."""
    fitting = num_members if largest >= num_members else max(largest // devices, 1) * devices
    count = math.ceil(num_members / fitting)
    size = math.ceil(math.ceil(num_members / count) / devices) * devices
    return size, math.ceil(num_members / size)
