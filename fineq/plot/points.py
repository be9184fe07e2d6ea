"""Two measured quantities against each other: points with intervals both ways, theory's curves."""

from typing import TYPE_CHECKING, Any

import numpy as np

from fineq.confidence import LEVEL
from fineq.figures import Theory
from fineq.plot.base import Sketch, error_bars, label_axes, reference, set_limits
from fineq.plot.labels import Tag
from fineq.plot.measured import Drawn, select
from fineq.plot.style import THEORY, ink
from fineq.rates.intervals import median_interval, values_for

if TYPE_CHECKING:
    from collections.abc import Mapping

_MARKERS = "osD^vPX<>p*"  # in grey they tell what colours cannot


def scatter(sketch: Sketch) -> None:
    """Draw a point for each line, the median of its members, with its 95% interval both ways.

    The panel's `x` is a variable like those of its lines. A theory's variable has one dimension
    beside the members', which is its horizontal axis: a curve, and its band over members.
    """
    panel, axes = sketch.panel, sketch.axes
    axes.set_xscale(panel.xscale or "linear")
    axes.set_yscale(panel.yscale or "linear")
    points = [_point(sketch, line.variable, line.at) for line in panel.lines]
    sketch.drawn = [y for _, y in points]
    curves = [(theory, *_curve(sketch, theory)) for theory in panel.theory]
    for which, values in zip("xy", _reach(points, curves)):
        set_limits(sketch, which, values)
    for index, pair in enumerate(points):
        _draw(sketch, index, *pair)
    for theory, x, rows in curves:
        _band(sketch, x, rows)
        reference(sketch, theory, x, np.median(rows, axis=0))
    label_axes(sketch)
    sketch.note = _note(sketch, points)


def _point(sketch: Sketch, variable: str, at: "Mapping[str, Any]") -> tuple[Drawn, Drawn]:
    """Where a point lies on each axis: the median over members, and its interval."""
    x, y = (_members(sketch, name, at) for name in (sketch.panel.x, variable))
    # A member that has diverged has no place; one that lacks a coordinate is no point.
    known = np.isfinite(x) & np.isfinite(y)
    return _summary(x, known), _summary(y, known)


def _members(sketch: Sketch, name: str, at: "Mapping[str, Any]") -> np.ndarray:
    array = select(sketch.dataset, name, at)
    rest = set(array.dims) - set(sketch.panel.over)
    if rest:
        raise ValueError(f"{name!r} still has the dimensions {sorted(map(str, rest))}: select them")
    return array.values.astype(float).reshape(-1)


def _summary(values: np.ndarray, known: np.ndarray) -> Drawn:
    middle, low, high = np.full((3, 1), np.nan)
    if known.any():
        middle, low, high = np.reshape(median_interval(values[known])[:3], (3, 1))
    missing = int(np.sum(~known))
    return Drawn(np.zeros(1), middle, low, high, values[:, None], values.size, missing=missing)


def _curve(sketch: Sketch, theory: Theory) -> tuple[np.ndarray, np.ndarray]:
    """A theory's own horizontal axis `[X]`, and its members `[S, X]`, where all are known."""
    array = select(sketch.dataset, theory.variable, theory.at)
    over = [dim for dim in sketch.panel.over if dim in array.dims]
    rest = [str(dim) for dim in array.dims if dim not in over]
    if len(rest) != 1:
        raise ValueError(f"{theory.variable!r} needs one dimension beside members, has {rest}")
    rows = array.transpose(*over, *rest).values.astype(float)
    rows = rows.reshape(-1, rows.shape[-1])
    known = np.isfinite(rows).all(axis=0)  # elsewhere a median would be of the members left
    return sketch.dataset[rest[0]].values.astype(float)[known], rows[:, known]


def _reach(points: list[tuple[Drawn, Drawn]], curves: list[Any]) -> list[np.ndarray]:
    """All that is drawn along x, and along y, to be within the axes."""
    ends = [
        [np.concatenate([np.concatenate([d.low, d.high]) for d in along])]
        for along in zip(*points, strict=True)
    ]
    for _, x, rows in curves:
        ends[0].append(x)
        ends[1].append(np.median(rows, axis=0))
    return [np.concatenate(each) for each in ends]


def _draw(sketch: Sketch, index: int, x: Drawn, y: Drawn) -> None:
    axes, colour, line = sketch.axes, sketch.palette[index], sketch.panel.lines[index]
    limits = ((x, axes.get_xscale(), axes.get_xlim()), (y, axes.get_yscale(), axes.get_ylim()))
    reach = []
    for drawn, scale, ends in limits:
        # A logarithmic axis has no place for what is not above 0: such a bar runs to its edge.
        low = np.maximum(drawn.low, ends[0]) if scale == "log" else drawn.low
        reach.append(np.maximum([drawn.middle - low, drawn.high - drawn.middle], 0.0))
        if not np.isfinite(drawn.middle).all() or (scale == "log" and not drawn.middle > 0):
            return
    style = {"color": colour, "capsize": 2.5, "elinewidth": 1.3, "zorder": 3}
    mark = {"marker": _MARKERS[index % len(_MARKERS)], "markersize": 7, "markeredgecolor": "white"}
    error_bars(axes, index, x.middle, y.middle, reach[1], reach[0], fmt="none", **style)
    axes.plot(x.middle, y.middle, color=colour, gid=f"line:{index}", zorder=3.2, **mark)
    lost = f" ({y.missing}/{y.total} {line.missing})" if y.missing else ""
    place = np.stack([x.middle, y.middle], axis=1)
    if line.label:
        sketch.tags.append(Tag(line.label + lost, ink(colour), place, f"line:{index}"))


def _note(sketch: Sketch, points: list[tuple[Drawn, Drawn]]) -> str:
    """What points and bars are, and how many have no place here."""
    total = max(drawn.total for drawn in sketch.drawn)
    known = "95% interval" if total >= values_for(LEVEL) else "range"
    said = [f"median and {known} of {total} {'x'.join(sketch.panel.over)}s"] if total > 1 else []
    scales = (sketch.axes.get_xscale(), sketch.axes.get_yscale())
    hidden = sum(
        any(scale == "log" and drawn.middle <= 0 for scale, drawn in zip(scales, pair))
        for pair in points
    )
    if hidden:
        said.append(f"{hidden} point{'s' * (hidden > 1)} at or below 0 not shown")
    return ", ".join(said)


def _band(sketch: Sketch, x: np.ndarray, rows: np.ndarray) -> None:
    """The interval of the curve's median over members."""
    if len(rows) < 2 or not len(x):
        return
    ends = np.array([median_interval(column)[1:3] for column in rows.T])
    style = {"color": THEORY, "alpha": 0.16, "linewidth": 0, "gid": "band"}
    sketch.axes.fill_between(x, ends[:, 0], ends[:, 1], **style)
