"""What the measuring part of a study hands over, and what its quantities are."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from fineq.results import Arrays, Status
from fineq.sweep.axes import Axis


class Quantity(NamedTuple):
    """A measured quantity: one row of the first table of a recipe.

    Attributes:
        name: of the array.
        words: what figures write on its axis; `words [unit]` gives a unit, else a pure number.
        dims: dimensions after those of the members, for example `("time",)`.
        own: names of the study's own axes that lead it; None: all of them.
        seeds: whether there is one for every seed; else it has no dimension of seeds.
    """

    name: str
    words: str
    dims: tuple[str, ...] = ()
    own: tuple[str, ...] | None = None
    seeds: bool = True

    @property
    def text(self) -> str:
        """The words without the unit."""
        return self.words.partition(" [")[0]

    @property
    def unit(self) -> str:
        """The unit, `1` for a pure number."""
        return self.words.partition(" [")[2].rstrip("]") or "1"


@dataclass(frozen=True)
class Found:
    """What was measured.

    Attributes:
        values: quantity to array `[*own axes, *study axes, *trailing]`; one that this problem has
            not is left out.
        axes: own axes of the study, such as widths, which lead its arrays.
        coords: values along trailing dimensions; an array with a name of its own is one as well.
        lost: members that diverged, `[*own axes, *study axes]` or without the own axes; None: none.
        notes: what else is to be said, by a word.
        status: of the study; None: as `lost` says.
        arrays: arrays with dimensions of their own, and their coordinates.
        more: whatever else claims and figures of this study need.
        files: what is kept beside the arrays, content by file name.
    """

    values: Mapping[str, Any]
    axes: Sequence[Axis] = ()
    coords: Mapping[str, Any] = field(default_factory=dict)
    lost: np.ndarray | None = None
    notes: Mapping[str, str] = field(default_factory=dict)
    status: Status | None = None
    arrays: Arrays = field(default_factory=dict)
    more: Any = None
    files: Mapping[str, bytes] = field(default_factory=dict)

    def axes_of(self, quantity: Quantity) -> list[Axis]:
        """The own axes that lead a quantity."""
        return [a for a in self.axes if quantity.own is None or a.name in quantity.own]
