"""What a claim or a figure sees of a study: the measured arrays at one combination of values."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import starmap
from typing import Any

import numpy as np

from fineq.figures import Line, Panel, Theory
from fineq.studies.common import Named, Names, Slice, Study, dim_name, listed, seeds_of
from fineq.studies.found import Found, Quantity


@dataclass(frozen=True, eq=False)
class View:
    """The seeds of one combination of swept values, and of other dimensions where chosen.

    Calling it with a quantity's name gives the array `[*own axes left, seed, *trailing left]`.

    Attributes:
        study: the bound study.
        found: what was measured.
        quantities: name to quantity.
        piece: the combination of swept values.
        at: dimension of an own axis, or a trailing one, to the value chosen there.
        laws: statistics that were computed, shared by claims and figures.
        names: how the area writes its fields.
    """

    study: Study
    found: Found
    quantities: Mapping[str, Quantity]
    piece: Slice
    at: Mapping[str, Any]
    laws: dict[Any, Any]
    names: Names

    def chosen(self, **at: Any) -> "View":
        """The view at values of own axes, or of trailing dimensions."""
        return replace(self, at={**self.at, **at})

    def __call__(self, name: str, *, lost: bool = True) -> np.ndarray:
        """An array by name, `[*own axes left, seed, *trailing left]`.

        Args:
            name: of a quantity of the recipe.
            lost: seeds that diverged are among them (as they were measured: infinite or NaN).
        """
        quantity = self.quantities[name]
        index = [self._place(dim_name(axis.name)) for axis in self.found.axes_of(quantity)]
        values = np.asarray(self.found.values[name])[(*index, *self.piece.index)]
        left = sum(isinstance(place, slice) for place in index)
        last = (self._place(dim) for dim in quantity.dims)
        values = values[(*[slice(None)] * (left + quantity.seeds), *last)]
        return values if lost else np.compress(self.kept, values, axis=left)

    def along(self, name: str, dim: str, *, lost: bool = True) -> np.ndarray:
        """An array by name, a dimension of it put last: `[*others, dim]`."""
        quantity = self.quantities[name]
        own = [dim_name(axis.name) for axis in self.found.axes_of(quantity)]
        dims = [*own, *(["seed"] if quantity.seeds else []), *quantity.dims]
        left = [dim for dim in dims if dim not in self.at]
        return np.moveaxis(self(name, lost=lost), left.index(dim), -1)

    def _place(self, dim: str) -> Any:
        return list(self.values_of(dim)).index(self.at[dim]) if dim in self.at else slice(None)

    @cached_property
    def kept(self) -> np.ndarray:
        """Which seeds did not diverge at any value of the own axes, `[seed]`."""
        lost = self.found.lost
        if lost is None:
            return np.ones(len(seeds_of(self.study.axes)), bool)
        before = tuple(range(lost.ndim - len(self.study.axes)))
        return ~np.any(lost, axis=before)[self.piece.index]

    def values_of(self, dim: str) -> np.ndarray:
        """The values along an own axis, or along a trailing dimension."""
        for axis in self.found.axes:
            if dim_name(axis.name) == dim:
                return np.asarray(axis.values)
        values = self.found.coords[dim]
        return np.asarray(values.values if isinstance(values, Named) else values)

    def word(self, dim: str) -> str:
        """The value chosen along a dimension, as claims write it."""
        return self.names.words_of(dim, self.at[dim])

    def line(self, name: str, label: str = "", *, fit: Any = None, **at: Any) -> Line:
        """A line of a figure at this combination; `fit` is the statistic whose power law it has."""
        drawn = None
        if fit is not None:
            drawn = fit.drawn(self.chosen(**at))
        return Line(name, label, {**self.piece.at, **self.at, **at}, fit=drawn)

    def theory(self, label: str, variable: str, *, line: int = -1, **at: Any) -> Theory:
        """What theory gives for every x at this combination, an array by name."""
        where = {**self.piece.at, **self.at, **at}
        return Theory(label, variable=variable, line=line, at=where)

    def panel(
        self,
        kind: str,
        x: str,
        lines: Mapping[str, str] | Iterable[Line],
        *theory: Theory,
        title: str,
        log: str = "",
        **more: Any,
    ) -> Panel:
        """A panel of this combination.

        Args:
            kind: as in `fineq.figures.Panel`.
            x: dimension on the horizontal axis.
            lines: the lines, or quantities with their labels.
            theory: its lines.
            title: to which the combination is added, where there are several.
            log: axes with a logarithmic scale, among `x` and `y`; others as the kind has them.
            more: fields of the panel.
        """
        if isinstance(lines, Mapping):
            lines = starmap(self.line, lines.items())
        scales: dict[str, Any] = {f"{axis}scale": "log" for axis in log}
        title = listed(title, self.piece.label)
        return Panel(kind, x, tuple(lines), theory, title=title, **scales, **more)
