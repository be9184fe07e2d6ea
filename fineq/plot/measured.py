"""From the data of a run to the numbers that are drawn: medians, bands, fractions, divergence."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from fineq.figures import Line, Panel
from fineq.rates.intervals import proportion_ends

if TYPE_CHECKING:
    import xarray


@dataclass(frozen=True)
class Drawn:
    """One measured line ready to be drawn; every array has shape `[X]` except `members`.

    Attributes:
        x: the horizontal axis.
        middle, low, high: median (or value, or fraction) and interval; +inf where a quantile
            falls among diverged members; NaN where there is nothing to draw.
        members: `[S, X]`, one row per member.
        total: how many members there are.
        diverged: how many of them have diverged at the end.
        missing: how many values are absent among the `S * X`.
        counted: the interval is one of quantiles over members, not a confidence interval.

    """

    x: np.ndarray
    middle: np.ndarray
    low: np.ndarray
    high: np.ndarray
    members: np.ndarray
    total: int
    diverged: int = 0
    missing: int = 0
    counted: bool = False


def select(dataset: "xarray.Dataset", name: str, at: Mapping[str, Any]) -> "xarray.DataArray":
    """Return a variable at the given coordinate values (floats to rounding).

    Raises:
        ValueError: when the variable or a coordinate value is not there.

    """
    if name not in dataset.variables:
        raise ValueError(f"the data hold no variable {name!r}")
    array = dataset[name]
    for dim, value in at.items():
        if dim in array.dims:
            array = array.isel({dim: _index(dataset, dim, value)})
    return array


def _index(dataset: "xarray.Dataset", dim: str, value: Any) -> int:
    known = dataset[dim].values
    if np.issubdtype(known.dtype, np.number):
        hits = np.flatnonzero(np.isclose(known.astype(float), float(value), rtol=1e-6, atol=0))
    else:
        hits = np.flatnonzero(known.astype(str) == str(value))
    if hits.size != 1:
        raise ValueError(f"coordinate {dim!r} has no single entry {value!r}; it has {known}")
    return int(hits[0])


def axis(dataset: "xarray.Dataset", panel: Panel) -> tuple[str, np.ndarray]:
    """Return the dimension along the horizontal axis and the positions on it."""
    if panel.x in dataset.dims and panel.x not in dataset.variables:
        return panel.x, np.arange(dataset.sizes[panel.x], dtype=float)
    array = select(dataset, panel.x, {})
    if array.ndim != 1:
        raise ValueError(f"{panel.x!r} has dimensions {array.dims}; a horizontal axis needs one")
    if categories(dataset, panel):
        return str(array.dims[0]), np.arange(array.size, dtype=float)
    return str(array.dims[0]), array.values.astype(float)


def categories(dataset: "xarray.Dataset", panel: Panel) -> list[str]:
    """Return the words along the horizontal axis, none when it is numeric."""
    array = dataset.variables.get(panel.x)
    if array is None or array.dtype.kind not in "UOST":
        return []
    return [str(word) for word in array.values]


def members(dataset: "xarray.Dataset", panel: Panel, name: str, at: Mapping[str, Any]):
    """Return a variable as float64 `[S, X]`: members by positions along the horizontal axis."""
    array = select(dataset, name, at)
    dim, x = axis(dataset, panel)
    over = [d for d in panel.over if d in array.dims]
    rest = set(array.dims) - {dim, *over}
    if rest:
        raise ValueError(f"{name!r} still has the dimensions {sorted(map(str, rest))}: select them")
    if dim not in array.dims:
        array = array.expand_dims({dim: len(x)})
    values = array.transpose(*over, dim).values.astype(float)
    return values.reshape(-1, len(x))


def errors(dataset: "xarray.Dataset", panel: Panel, line: Line) -> Drawn:
    """Summarise the errors of an iteration over members.

    A member counts as infinitely wrong from its divergence on, so that the median of what
    survived is never shown as the median of all.
    """
    _, x = axis(dataset, panel)
    values = members(dataset, panel, line.variable, line.at)
    gone = _diverged(dataset, panel, line, values, x)
    values, gone = distinct(values, gone)
    counted = np.where(gone, np.inf, values)
    low, middle, high = _quantiles(counted, panel.band)
    traces = np.where(gone, np.nan, values)
    return Drawn(x, middle, low, high, traces, len(values), diverged=int(gone[:, -1].sum()))


def _diverged(
    dataset: "xarray.Dataset", panel: Panel, line: Line, values: np.ndarray, x: np.ndarray
) -> np.ndarray:
    finite = np.isfinite(values)
    after_last = ~np.flip(np.maximum.accumulate(np.flip(finite, 1), 1), 1)
    if not line.diverged_at:
        return after_last | (values == np.inf)
    array = select(dataset, line.diverged_at, line.at)
    over = [d for d in panel.over if d in array.dims]
    when = np.broadcast_to(array.transpose(*over).values.astype(float).reshape(-1), len(values))
    return np.where(when > 0, when, np.inf)[:, None] <= x


def _quantiles(values: np.ndarray, band: tuple[float, float]) -> np.ndarray:
    """Return rows low, middle, high; NaN members are left out, infinite ones count as largest."""
    levels = (band[0], 0.5, band[1])
    return np.stack([_quantile(np.sort(values, axis=0), level) for level in levels])


def _quantile(ordered: np.ndarray, level: float) -> np.ndarray:
    count = np.sum(~np.isnan(ordered), axis=0)
    position = level * np.maximum(count - 1, 0)
    below = np.floor(position).astype(int)
    above = np.minimum(below + 1, np.maximum(count - 1, 0))
    column = np.arange(ordered.shape[1])
    lower, upper = ordered[below, column], ordered[above, column]
    weight = position - below
    with np.errstate(invalid="ignore"):
        between = lower + weight * (upper - lower)
    return np.where((weight == 0) | (lower == upper), lower, between)


def values(dataset: "xarray.Dataset", panel: Panel, line: Line) -> Drawn:
    """Summarise a measured quantity over members, or take its interval from variables."""
    _, x = axis(dataset, panel)
    (rows,) = distinct(members(dataset, panel, line.variable, line.at))
    finite = np.where(np.isfinite(rows), rows, np.nan)
    low, middle, high = _quantiles(finite, panel.band)
    own = bool(line.low and line.high)
    if own:
        low = members(dataset, panel, line.low, line.at)[0]
        high = members(dataset, panel, line.high, line.at)[0]
    missing = int(np.isnan(finite).sum())
    return Drawn(x, middle, low, high, finite, len(finite), missing=missing, counted=not own)


def distinct(*rows: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return rows of members `[S, X]`, or the first alone where all members are the same.

    Seeds of a deterministic plant are one member: they have no spread and no number.
    """
    same = all(np.array_equal(row, np.broadcast_to(row[:1], row.shape), True) for row in rows)
    return tuple(row[:1] for row in rows) if same else rows


def fractions(dataset: "xarray.Dataset", panel: Panel, line: Line) -> Drawn:
    """Count how often a yes/no variable is true, with 95% intervals; NaN is left out."""
    _, x = axis(dataset, panel)
    rows = members(dataset, panel, line.variable, line.at)
    known = ~np.isnan(rows)
    trials = known.sum(axis=0)
    hits = np.where(known, rows != 0, False).sum(axis=0)
    fraction = np.where(trials > 0, hits / np.maximum(trials, 1), np.nan)
    low, high = proportion_ends(hits, trials)
    return Drawn(x, fraction, low, high, rows, len(rows), missing=int((~known).sum()))
