"""From a data set and a description to a figure, and from a figure to files."""

import io
import logging
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure as Canvas
from matplotlib.text import Text

from fineq.figures import Figure
from fineq.plot.base import Sketch, say_empty, subtitle
from fineq.plot.convergence import convergence
from fineq.plot.curves import curves, fraction_panel, powerlaw
from fineq.plot.fields import field, image
from fineq.plot.labels import along, in_column, place_free, spread_column, write_column
from fineq.plot.points import scatter
from fineq.plot.style import (
    FIELD_WIDTH,
    NOTE_SIZE,
    PANEL_HEIGHT,
    PANEL_WIDTH,
    ROW_WIDTH,
    THEORY,
    house_style,
)

if TYPE_CHECKING:
    import xarray

Style = str | Mapping[str, Any]

# It finds the dates in a system's own DejaVu too low, and would say so beside every command.
logging.getLogger("fontTools").setLevel(logging.ERROR)

# A new kind of panel is one function and one entry here.
KINDS: dict[str, Callable[[Sketch], None]] = {
    "convergence": convergence,
    "powerlaw": powerlaw,
    "curves": curves,
    "fractions": fraction_panel,
    "field": field,
    "image": image,
    "scatter": scatter,
}


def draw(dataset: "xarray.Dataset", figure: Figure, style: Style | None = None) -> Canvas:
    """Draw a figure from the data alone.

    Args:
        dataset: named arrays with units and long names.
        figure: what to show.
        style: laid over the house style: one of matplotlib's by name or path, or settings by name.

    Returns:
        A matplotlib figure, laid out and final.

    Raises:
        ValueError: when the figure names a kind, variable or coordinate value that is not there.

    """
    with house_style(style):
        canvas, axes = _grid(figure)
        agg = FigureCanvasAgg(canvas)
        sketches = [Sketch(a, dataset, panel) for a, panel in zip(axes, figure.panels)]
        for sketch in sketches:
            kind = _kind(sketch.panel.kind)
            if sketch.panel.lines:
                kind(sketch)
            say_empty(sketch)
        for sketch in sketches:
            subtitle(sketch, room=any(other.note for other in sketches))
        if figure.note:
            canvas.supxlabel(figure.note, fontsize=NOTE_SIZE, color=THEORY)
        _label(canvas, sketches, agg.get_renderer())
        return canvas


def _grid(figure: Figure) -> tuple[Canvas, list[Axes]]:
    """An empty figure with axes for every panel, in as many rows as they need."""
    plane = all(panel.kind in ("field", "image") for panel in figure.panels)
    width = FIELD_WIDTH if plane else PANEL_WIDTH
    columns = min(len(figure.panels), int(ROW_WIDTH / width))
    rows = -(-len(figure.panels) // columns)
    canvas = Canvas(figsize=(columns * width, rows * PANEL_HEIGHT), layout="constrained")
    cells = canvas.add_gridspec(rows, columns)
    places = [cells[divmod(i, columns)] for i in range(len(figure.panels))]
    return canvas, [canvas.add_subplot(place) for place in places]


def _kind(name: str) -> Callable[[Sketch], None]:
    if name not in KINDS:
        raise ValueError(f"no kind of panel {name!r}; there are {', '.join(KINDS)}")
    return KINDS[name]


def _label(canvas: Canvas, sketches: list[Sketch], renderer) -> None:
    columns = [[t for t in s.tags if in_column(s.axes, t)] for s in sketches]
    texts = [write_column(s.axes, tags) for s, tags in zip(sketches, columns)]
    _widen(canvas, texts, renderer)
    canvas.draw_without_rendering()  # the layout makes room for the columns
    canvas.set_layout_engine("none")
    for sketch, tags, written in zip(sketches, columns, texts):
        spread_column(sketch.axes, written, tags, renderer)
        free = [tag for tag in sketch.tags if all(tag is not known for known in tags)]
        place_free(sketch.axes, free, obstacles(sketch.axes), renderer)


def _widen(canvas: Canvas, texts: list[list[Text]], renderer) -> None:
    """Add the width of the label columns, so that the axes keep their size whatever the labels."""
    widths: dict[int, float] = {}
    for axes, column in zip(canvas.axes, texts):
        spec = axes.get_subplotspec()
        place = 0 if spec is None else spec.colspan.start
        needed = [text.get_window_extent(renderer).width for text in column]
        widths[place] = max([widths.get(place, 0.0), *needed])
    width, height = canvas.get_size_inches()
    canvas.set_size_inches(width + sum(widths.values()) / canvas.dpi, height)


def obstacles(axes: Axes) -> dict[str, np.ndarray]:
    """Return points `[M, 2]` in pixels along all that is drawn, by the mark of the line."""
    found: dict[str, list[np.ndarray]] = {}
    for line in axes.lines:
        if not str(line.get_gid()).startswith("leader:"):
            points = _pixels(axes, np.asarray(line.get_xydata()))
            found.setdefault(str(line.get_gid()), []).append(along(points))
    for bars in axes.collections:
        if isinstance(bars, LineCollection):
            segments = [along(_pixels(axes, ends)) for ends in bars.get_segments() if len(ends)]
            found.setdefault("bars", []).extend(segments)
    return {mark: np.concatenate(parts) for mark, parts in found.items() if parts}


def _pixels(axes: Axes, points: np.ndarray) -> np.ndarray:
    """Return data points in pixels, cut to a neighbourhood of the axes."""
    frame = axes.bbox
    pixels = axes.transData.transform(np.asarray(points, dtype=float))
    return np.clip(pixels, np.array(frame.min) - frame.height, np.array(frame.max) + frame.height)


def vector(canvas: Canvas) -> bytes:
    """Return the figure as SVG without a background; the same figure gives the same bytes.

    Texts stay texts. What belongs to a line of a panel is in a group whose `id` says so: `line:0`,
    `band:0`, `label:line:0`, `theory:1`; the axes of the first panel are `axes_1`.
    """
    buffer = io.BytesIO()
    # Pictures as sharp as a screen: at the resolution of files they would outweigh all the rest.
    style = {"svg.fonttype": "none", "savefig.transparent": True, "savefig.dpi": 100}
    with house_style(style):
        canvas.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    return buffer.getvalue()


def render(canvas: Canvas, style: Style | None = None) -> dict[str, bytes]:
    """Return the figure as `png` and `pdf`; the same figure gives the same bytes."""
    metadata = {
        "png": {"Software": None},
        "pdf": {"CreationDate": None, "ModDate": None, "Producer": None, "Creator": None},
    }
    files = {}
    with house_style(style):
        for suffix, about in metadata.items():
            buffer = io.BytesIO()
            canvas.savefig(buffer, format=suffix, metadata=about)
            files[suffix] = buffer.getvalue()
    return files
