"""A quantity over the plane, with arrows and points: densities, controls, samples."""

import matplotlib
import numpy as np
from matplotlib.colors import ListedColormap

from fineq.figures import Line
from fineq.plot.base import Sketch, described
from fineq.plot.measured import select
from fineq.plot.style import INK, PALETTE

_ARROWS = 17  # arrows along an axis
_PALE = 0.75  # the darkest end of the map is cut, so that arrows stay visible on it
_SHORT = 0.004  # of the axes: a shorter arrow would be a dot
_DOT = 12.0  # area of a point
_VISIBLE = 0.005  # of the largest value: axes reach where there is more


def field(sketch: Sketch) -> None:
    """Draw the first line as an image over (x, y), two more as arrows, two as points.

    Image and components of arrows have two dimensions left when selected, `panel.x` and the
    vertical axis; coordinates of points have one. Arrows that are NaN are left out.
    """
    first, *others = sketch.panel.lines
    arrows, points = (
        [line for line in others if _is_plane(sketch, line) == plane] for plane in (True, False)
    )
    x, y, image = _plane(sketch, first)
    axes = sketch.axes
    shades = matplotlib.colormaps["Blues"](np.linspace(0, _PALE, 256))
    # One scale of colours for all images of a variable, so that panels can be compared.
    values = sketch.dataset[first.variable].values
    most = float(np.max(values, where=np.isfinite(values), initial=0.0)) or 1.0
    axes.pcolormesh(
        x,
        y,
        image.T,
        cmap=ListedColormap(shades),
        vmin=0.0,
        vmax=most,
        shading="gouraud",
        rasterized=True,
    )
    if len(points) == 2:
        dots = (select(sketch.dataset, line.variable, line.at).values for line in points)
        axes.scatter(*dots, s=_DOT, color=PALETTE[1], alpha=0.7, linewidths=0)
    if len(arrows) == 2:
        _quiver(sketch, x, y, *(_plane(sketch, line)[2] for line in arrows))
    axes.set_aspect("equal")
    axes.grid(visible=False)
    for which, (low, high) in zip("xy", _box(sketch, first, x, y)):
        getattr(axes, f"set_{which}lim")(low, high)
    vertical = _dims(sketch, first)[1]
    axes.set_xlabel(sketch.panel.xlabel or described(sketch.dataset, sketch.panel.x))
    axes.set_ylabel(sketch.panel.ylabel or described(sketch.dataset, vertical))
    sketch.note = first.label


def image(sketch: Sketch) -> None:
    """Draw a field whose places mean nothing, such as pixels: without axes."""
    field(sketch)
    sketch.axes.set_axis_off()


def _box(sketch: Sketch, line: Line, x: np.ndarray, y: np.ndarray) -> list[tuple[float, float]]:
    """Where the variable is visible in any of its images, so that panels share their frame."""
    array = sketch.dataset[line.variable].transpose(..., *_dims(sketch, line)).values
    seen = array > _VISIBLE * array.max()
    planes = seen.reshape(-1, len(x), len(y)).any(axis=0)
    if not planes.any():
        return [(x[0], x[-1]), (y[0], y[-1])]
    spans = []
    for axis, known in ((x, planes.any(axis=1)), (y, planes.any(axis=0))):
        margin = 0.05 * np.ptp(axis[known])
        spans.append((axis[known][0] - margin, axis[known][-1] + margin))
    return spans


def _is_plane(sketch: Sketch, line: Line) -> bool:
    return sketch.panel.x in select(sketch.dataset, line.variable, line.at).dims


def _dims(sketch: Sketch, line: Line) -> tuple[str, str]:
    array = select(sketch.dataset, line.variable, line.at)
    rest = [str(dim) for dim in array.dims if dim != sketch.panel.x]
    if len(rest) != 1 or sketch.panel.x not in array.dims:
        raise ValueError(
            f"{line.variable!r} has the dimensions {array.dims}; a field needs "
            f"{sketch.panel.x!r} and one more: select the others"
        )
    return sketch.panel.x, rest[0]


def _plane(sketch: Sketch, line: Line) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    dims = _dims(sketch, line)
    array = select(sketch.dataset, line.variable, line.at).transpose(*dims)
    x, y = (sketch.dataset[dim].values.astype(float) for dim in dims)
    return x, y, array.values.astype(float)


def _quiver(sketch: Sketch, x: np.ndarray, y: np.ndarray, u: np.ndarray, v: np.ndarray) -> None:
    rows, columns = (max(len(axis) // _ARROWS, 1) for axis in (x, y))
    pick = (slice(rows // 2, None, rows), slice(columns // 2, None, columns))
    X, Y = np.meshgrid(x, y, indexing="ij")
    shown = np.hypot(u[pick], v[pick]) > _SHORT * max(np.ptp(x), np.ptp(y))  # NaN: not shown
    sketch.axes.quiver(
        X[pick][shown],
        Y[pick][shown],
        u[pick][shown],
        v[pick][shown],
        color=INK,
        width=0.006,
        pivot="tail",
        angles="xy",
        scale_units="xy",
        scale=1.0,  # an arrow is as long as what it shows
    )
