"""What a study hands over: named arrays, claims, rates and the figures that show them.

Nothing here reads or writes; `fineq.runs` turns a `StudyResult` into a run folder.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import numpy as np

from fineq.figures import Figure

Status = Literal["complete", "partly_diverged", "diverged", "interrupted"]


class SupportsDict(Protocol):
    """A claim or a rate: anything that describes itself as plain data."""

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as strings, numbers, lists and dicts."""
        ...


@dataclass(frozen=True)
class Array:
    """An array with named dimensions.

    Attributes:
        values: the numbers, shape `[dims[0], dims[1], ...]`; a JAX array is copied to the host.
        dims: one name per axis, for example `("seed", "iteration")`.
        units: the unit, `"1"` for a pure number.
        long_name: what a figure writes on its axis.

    Raises:
        ValueError: when `dims` does not name every axis exactly once.

    """

    values: Any
    dims: tuple[str, ...]
    units: str
    long_name: str

    def __post_init__(self):
        object.__setattr__(self, "values", np.asarray(self.values))
        object.__setattr__(self, "dims", tuple(self.dims))
        if self.values.ndim != len(self.dims) or len(set(self.dims)) != len(self.dims):
            raise ValueError(
                f"an array of shape {self.values.shape} cannot have the dimensions {self.dims}"
            )


Arrays = dict[str, Array]


@dataclass(frozen=True)
class StudyResult:
    """Everything a study computed.

    Attributes:
        arrays: the measured quantities by name.
        coords: the coordinates by name; one whose only dimension has its own name is an axis.
        claims: what was claimed, measured, allowed, and the verdicts.
        rates: the fitted rates.
        figures: what to draw from the arrays alone.
        status: `complete`, `partly_diverged`, `diverged` (every member) or `interrupted`. A result
            without one finite number among its measured quantities is `diverged`, whatever it says.
        notes: what else is worth knowing, in sentences by topic.
        files: what is kept beside the arrays, content by file name: a model, in safetensors.

    Raises:
        ValueError: when two arrays disagree on the length of a dimension (both are named), and for
            a file that is no `*.safetensors`.

    """

    arrays: Arrays
    coords: Arrays
    claims: tuple[SupportsDict, ...] = ()
    rates: tuple[SupportsDict, ...] = ()
    figures: tuple[Figure, ...] = ()
    status: Status = "complete"
    notes: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, bytes] = field(default_factory=dict)

    def __post_init__(self):
        check_sizes({**self.coords, **self.arrays})
        for name in self.files:
            if not name.endswith(".safetensors"):
                raise ValueError(f"a study keeps files of tensors, *.safetensors, not {name!r}")
        if self.status != "interrupted" and _nothing_finite(self.arrays):
            object.__setattr__(self, "status", "diverged")


def _nothing_finite(arrays: Arrays) -> bool:
    """Whether there are measured numbers and none of them is finite."""
    numbers = [a.values for a in arrays.values() if a.values.dtype.kind in "fc" and a.values.size]
    return bool(numbers) and not any(np.isfinite(values).any() for values in numbers)


def check_sizes(arrays: Mapping[str, Array]) -> None:
    """Raise `ValueError` naming the first two arrays that disagree on a dimension's length."""
    owner: dict[str, tuple[str, int]] = {}
    for name, array in arrays.items():
        for dim, size in zip(array.dims, array.values.shape):
            first, known = owner.setdefault(dim, (name, size))
            if known != size:
                raise ValueError(
                    f"dimension {dim!r} has length {known} in {first!r} and {size} in {name!r}"
                )


def status_of(diverged: np.ndarray) -> Status:
    """Return the status of a study from the mask of its diverged members, of any shape."""
    mask = np.asarray(diverged, dtype=bool)
    if mask.size and mask.all():
        return "diverged"
    return "partly_diverged" if mask.any() else "complete"
