"""Named axes: what a sweep varies, and the grid of members they span."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

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

    @property
    def coords(self) -> np.ndarray:
        """The values as a 1-D array [len]; values that are no numbers or strings as strings."""
        if isinstance(self.values, range):
            return np.arange(self.values.start, self.values.stop, self.values.step)
        if all(isinstance(v, (bool, int, float, str)) for v in self.values):
            return np.asarray(self.values)
        return np.asarray([str(v) for v in self.values])


def check_axes(axes: list[Axis], inputs: Mapping[str, Any]) -> None:
    """Raise `InputError` unless all names are distinct and one traced axis holds the seeds."""
    names = [*(axis.name for axis in axes), *inputs]
    if len(set(names)) < len(names):
        raise InputError(f"axes and inputs of a sweep must have distinct names, got {names}")
    if SEED not in [axis.name for axis in axes if not axis.static]:
        raise InputError(f"a sweep needs an axis named {SEED} that is not static, got {names}")


def grid_of(axes: list[Axis]) -> dict[str, np.ndarray]:
    """The product of the traced axes, last axis fastest: {name: [M]}."""
    traced = [axis for axis in axes if not axis.static]
    grid = np.meshgrid(*(axis.coords for axis in traced), indexing="ij")
    return {axis.name: values.reshape(-1) for axis, values in zip(traced, grid, strict=True)}


def combinations(axes: list[Axis]) -> Iterator[dict[str, Any]]:
    """The product of the static axes, last axis fastest; one empty combination without any."""
    static = [axis for axis in axes if axis.static]
    for values in product(*(axis.values for axis in static)):
        yield dict(zip((axis.name for axis in static), values, strict=True))


def _order(axes: list[Axis]) -> list[int]:
    """Positions of the axes with the static ones first."""
    return sorted(range(len(axes)), key=lambda i: not axes[i].static)


def assemble(axes: list[Axis], parts: Sequence[np.ndarray]) -> np.ndarray:
    """Arrays [M, ...], one for each static combination, as one array [*axes, ...]."""
    order = _order(axes)
    stacked = np.stack(parts)
    whole = stacked.reshape(*(len(axes[i]) for i in order), *stacked.shape[2:])
    return whole.transpose([*np.argsort(order), *range(len(axes), whole.ndim)])


def take_apart(axes: list[Axis], whole: np.ndarray) -> np.ndarray:
    """The inverse of `assemble`: an array [*axes, ...] as [static combinations, M, ...].

    Raises `InputError` when the leading shape is not that of the axes.
    """
    whole = np.asarray(whole)
    shape = tuple(len(axis) for axis in axes)
    if whole.shape[: len(axes)] != shape:
        raise InputError(f"inputs must have leading shape {shape}, got shape {whole.shape}")
    order, rest = _order(axes), whole.shape[len(axes) :]
    num_static = math.prod(len(axis) for axis in axes if axis.static)
    moved = whole.transpose([*order, *range(len(axes), whole.ndim)])
    return moved.reshape(num_static, -1, *rest)


def block_layout(num_members: int, largest: int, devices: int) -> tuple[int, int]:
    """Block size and number of blocks: at most `largest`, whole devices, the last nearly full."""
    fitting = num_members if largest >= num_members else max(largest // devices, 1) * devices
    count = math.ceil(num_members / fitting)
    size = math.ceil(math.ceil(num_members / count) / devices) * devices
    return size, math.ceil(num_members / size)
