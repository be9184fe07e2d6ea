"""What every kind of panel shares: scales, limits, texts, theory lines."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from fineq.figures import Line, Panel, Theory
from fineq.plot.labels import Tag
from fineq.plot.limits import linear_limits, log_limits, lone, ratio
from fineq.plot.measured import Drawn, axis, categories, members, select
from fineq.plot.style import NOTE_SIZE, PALETTE, THEORY, colours, ink, shade

if TYPE_CHECKING:
    import xarray

_SHORT = 60.0  # ratio of the ends of a logarithmic axis that counts as short
_DASHES = (0, (5, 2.5))
_ANCHORS = np.linspace(0.12, 0.88, 9)
_BESIDE = 0.055  # a theory line runs this fraction of the axis beside its measured line
MANY = 12  # from here on intervals are drawn as a band, not as bars
_FEW_MEMBERS = 8  # quantiles of fewer members say little: the members themselves are drawn


@dataclass
class Sketch:
    """One panel while it is drawn: axes, data, description, measured lines, labels, a note."""

    axes: Axes
    dataset: "xarray.Dataset"
    panel: Panel
    drawn: list[Drawn] = field(default_factory=list)
    tags: list[Tag] = field(default_factory=list)
    note: str = ""

    @property
    def palette(self) -> list[str]:
        """One colour per measured line."""
        return colours(len(self.panel.lines), self.panel.ordered)

    def colour_of(self, theory: Theory) -> str:
        """Return the colour of a theory line: that of its measured line, or grey for none.

        Several vertical lines have colours of their own, which tell whose a label is.
        """
        marks = self.marks
        if theory in marks and len(marks) > 1:
            return PALETTE[(len(self.panel.lines) + marks.index(theory)) % len(PALETTE)]
        own = 0 <= theory.line < len(self.palette)
        return shade(self.palette[theory.line]) if own else THEORY

    @property
    def marks(self) -> list[Theory]:
        """The vertical lines."""
        return [t for t in self.panel.theory if t.threshold is not None and not is_mark(t)]


def label_axes(sketch: Sketch, x_default: str = "", y_default: str = "") -> None:
    """Write title and axis labels, from the data's long names where the panel gives none."""
    panel, axes = sketch.panel, sketch.axes
    axes.set_xlabel(panel.xlabel or x_default or described(sketch.dataset, panel.x))
    axes.set_ylabel(panel.ylabel or y_default or _common_name(sketch))
    words = categories(sketch.dataset, panel)
    if words:
        axes.set_xticks(range(len(words)), words)
        axes.set_xlim(-0.5, len(words) - 0.5)


def _common_name(sketch: Sketch) -> str:
    names = {described(sketch.dataset, line.variable) for line in sketch.panel.lines}
    return names.pop() if len(names) == 1 else ""


def described(dataset: "xarray.Dataset", name: str) -> str:
    """Return the long name of a variable with its unit in brackets."""
    if name not in dataset.variables:
        return name
    about = dataset[name].attrs
    unit = about.get("units", "1")
    return about.get("long_name", name) + (f" [{unit}]" if unit not in ("", "1") else "")


def subtitle(sketch: Sketch, room: bool) -> None:
    """Write the title and, in small grey below it, how the lines were made.

    Args:
        sketch: the panel.
        room: leave room for a note even if there is none, so that titles side by side align.

    """
    sketch.axes.set_title(sketch.panel.title, pad=20 if room else 8)
    if sketch.note:
        sketch.axes.annotate(
            sketch.note,
            (0, 1),
            xytext=(0, 6),
            xycoords="axes fraction",
            textcoords="offset points",
            fontsize=NOTE_SIZE,
            color=THEORY,
        )


def say_empty(sketch: Sketch) -> None:
    """Write in the middle of a panel that it has nothing to draw, and why."""
    why = _why_empty(sketch)
    if why:
        text = f"nothing to draw:\n{why}"
        where = {"transform": sketch.axes.transAxes, "ha": "center", "va": "center"}
        sketch.axes.text(0.5, 0.5, text, color=THEORY, gid="empty", **where)


def _why_empty(sketch: Sketch) -> str:
    if not sketch.panel.lines:
        return "no line was measured"
    if sketch.drawn:
        values = np.concatenate([drawn.middle for drawn in sketch.drawn])
    else:  # an image
        first = sketch.panel.lines[0]
        values = select(sketch.dataset, first.variable, first.at).values.astype(float)
    known = values[np.isfinite(values)]
    if not known.size:
        return "no value is finite"
    is_log = sketch.axes.get_yscale() == "log"
    return "no value is above zero" if is_log and np.all(known <= 0) else ""


def band_note(sketch: Sketch) -> str:
    """Say what line and band are, for example `median and 10\N{EN DASH}90% of 64 seeds`."""
    total = max((drawn.total for drawn in sketch.drawn), default=0)
    if total < 2:
        return ""
    dims = [dim for dim in sketch.panel.over if dim in sketch.dataset.dims]
    who = f"{total} {dims[0]}s" if len(dims) == 1 else f"{total} ({' x '.join(dims)})"
    low, high = sketch.panel.band
    few = all(draws_members(sketch, drawn) for drawn in sketch.drawn if drawn.total > 1)
    if low == high and not few:
        return f"median of {who}"
    band = "each" if few else f"{100 * low:.3g}\N{EN DASH}{100 * high:.3g}%"
    return f"median and {band} of {who}"


def draws_members(sketch: Sketch, drawn: Drawn) -> bool:
    """Whether each member is drawn and no band: where there are few, or the panel says so."""
    low, high = sketch.panel.band
    few = low < high and drawn.total < _FEW_MEMBERS
    return drawn.total > 1 and (sketch.panel.traces or few)


def extent(sketch: Sketch, drawn: Drawn) -> np.ndarray:
    """Return every number of a line that is drawn beside its median."""
    members = drawn.members if draws_members(sketch, drawn) else drawn.middle
    return np.concatenate([drawn.low, drawn.high, members.ravel()])


def note_zeros(sketch: Sketch) -> None:
    """Say how many medians a logarithmic axis cannot show."""
    if sketch.axes.get_yscale() != "log":
        return
    hidden = sum(int(np.sum(drawn.middle <= 0)) for drawn in sketch.drawn)
    if hidden:
        said = f"{hidden} point{'s' * (hidden > 1)} at or below 0 not shown"
        sketch.note = ", ".join(filter(None, (sketch.note, said)))


def positive(axes: Axes, values: np.ndarray) -> np.ndarray:
    """Return the values, NaN where a logarithmic axis has no place for them: lines have a gap."""
    if axes.get_yscale() != "log":
        return values
    return np.where(values > 0, values, np.nan)


def set_limits(sketch: Sketch, which: str, values: np.ndarray, cap: float = np.inf) -> None:
    """Set scale-aware limits of the axis `which` (`x` or `y`) around the values."""
    is_log = getattr(sketch.axes, f"get_{which}scale")() == "log"
    limits = log_limits(values, cap) if is_log else linear_limits(values)
    getattr(sketch.axes, f"set_{which}lim")(*limits)
    if is_log:
        _log_ticks(getattr(sketch.axes, f"{which}axis"), *limits)
    elif which == "x" and np.ptp(values) > 1 and np.all(values == np.round(values)):
        sketch.axes.xaxis.set_major_locator(MaxNLocator("auto", integer=True))


def _log_ticks(one_axis: Axis, low: float, high: float) -> None:
    """Label short logarithmic axes at 1, 2, 5 in plain numbers; never label minor ticks."""
    one_axis.set_minor_formatter(NullFormatter())
    if ratio(low, high, 1.0) < _SHORT:
        one_axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        one_axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def tag_end(sketch: Sketch, text: str, index: int, x: np.ndarray, y: np.ndarray) -> None:
    """Label the measured line `index` where it ends inside the axes."""
    points = _visible(sketch.axes, x, y)
    if text and len(points):
        back = points[::-1][np.unique(np.linspace(0, 0.6 * (len(points) - 1), 8).astype(int))]
        colour = ink(sketch.palette[index])
        sketch.tags.append(Tag(text, colour, back, f"line:{index}", True, True))


def tag_along(sketch: Sketch, theory: Theory, x: np.ndarray, y: np.ndarray) -> None:
    """Label a theory line anywhere along its visible part, a threshold rather near its top."""
    points = _visible(sketch.axes, *_refined(sketch.axes, x, y))
    if not theory.label or not len(points):
        return
    ranked = theory.threshold is not None
    where = np.unique((_ANCHORS * (len(points) - 1)).round().astype(int))[:: -1 if ranked else 1]
    mark = f"theory:{sketch.panel.theory.index(theory)}"
    colour = ink(sketch.colour_of(theory))
    # Beside one another vertical lines leave no room for labels across.
    upright = ranked and len(sketch.marks) > 1
    tag = Tag(theory.label, colour, points[where], mark, ranked=ranked, upright=upright)
    sketch.tags.append(tag)


def _visible(axes: Axes, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    keep = np.isfinite(x) & np.isfinite(y)
    inside = keep & _inside(axes, x, y)
    chosen = inside if np.any(inside) else keep
    return np.stack([x[chosen], y[chosen]], axis=1)


def _inside(axes: Axes, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()
    return (x >= left) & (x <= right) & (y >= low) & (y <= high)


def reference(sketch: Sketch, theory: Theory, x: np.ndarray, y: np.ndarray) -> None:
    """Draw one dashed line of theory and label it."""
    colour = sketch.colour_of(theory)
    index = sketch.panel.theory.index(theory)
    style = {"color": colour, "linestyle": _DASHES, "linewidth": 1.5, "zorder": 3.4}
    sketch.axes.plot(x, y, gid=f"theory:{index}", scalex=False, scaley=False, **style)
    tag_along(sketch, theory, x, y)


def _refined(axes: Axes, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the same polyline with many points, so that labels can sit between its corners."""
    keep = np.isfinite(x) & np.isfinite(y)
    points = axes.transData.transform(np.stack([x[keep], y[keep]], axis=1))
    if len(points) < 2 or not np.all(np.isfinite(points)):
        return x, y
    steps = np.linspace(0, len(points) - 1, 200)
    known = np.arange(len(points))
    fine = np.stack([np.interp(steps, known, points[:, i]) for i in range(2)], axis=1)
    back = axes.transData.inverted().transform(fine)
    return back[:, 0], back[:, 1]


def simple_theory(sketch: Sketch, theory: Theory) -> bool:
    """Draw the forms that need no measured line; return whether this was one of them."""
    axes = sketch.axes
    if theory.variable:
        _, x = axis(sketch.dataset, sketch.panel)
        reference(sketch, theory, x, theory_values(sketch, theory))
    elif theory.level is not None:
        reference(sketch, theory, np.array(axes.get_xlim()), np.full(2, theory.level))
    elif is_mark(theory) and theory.threshold is not None:
        _mark(sketch, theory, theory.threshold)
    elif theory.threshold is not None:
        reference(sketch, theory, np.full(2, theory.threshold), np.array(axes.get_ylim()))
    return bool(theory.variable) or theory.level is not None or theory.threshold is not None


def is_mark(theory: Theory) -> bool:
    """Whether it is a point of a measured line."""
    return theory.threshold is not None and theory.line >= 0


def _mark(sketch: Sketch, theory: Theory, x: float) -> None:
    """Draw and label a point of a measured line."""
    axes, drawn = sketch.axes, sketch.drawn[theory.line]
    points = _visible(axes, drawn.x, drawn.middle)
    if not len(points):
        return
    pixels = axes.transData.transform(points)
    at = axes.transData.transform((x, points[0, 1]))[0]
    place = axes.transData.inverted().transform((at, np.interp(at, *pixels.T)))
    colour, mark = sketch.colour_of(theory), f"theory:{sketch.panel.theory.index(theory)}"
    style = {"color": colour, "marker": "D", "markersize": 7, "markeredgecolor": "white"}
    axes.plot(*place[:, None], gid=mark, scalex=False, scaley=False, zorder=4, **style)
    if theory.label:
        sketch.tags.append(Tag(theory.label, ink(colour), place[None], mark))


def theory_values(sketch: Sketch, theory: Theory) -> np.ndarray:
    """Return the theory's variable along the horizontal axis, `[X]`; the median over members."""
    rows = members(sketch.dataset, sketch.panel, theory.variable, theory.at)
    return np.median(rows, axis=0)


def all_theory(sketch: Sketch) -> np.ndarray:
    """Return every value that the limits should make room for: variables and levels."""
    known = [theory_values(sketch, t) for t in sketch.panel.theory if t.variable]
    known += [np.array([t.level]) for t in sketch.panel.theory if t.level is not None]
    return np.concatenate([np.zeros(0), *known])


def beside(axes: Axes, y: np.ndarray) -> np.ndarray:
    """Return `y` moved up by a small part of the axis, so that two equal lines both show."""
    low, high = axes.get_ylim()
    if axes.get_yscale() == "log":
        with np.errstate(over="ignore"):  # what leaves the axes at the top is not drawn
            return y * ratio(low, high, _BESIDE)
    return y + _BESIDE * (high - low)


def intervals(sketch: Sketch, index: int, drawn: Drawn, line: Line) -> None:
    """Draw values with their intervals: bars on few points, a band on many, or few members."""
    colour, axes = sketch.palette[index], sketch.axes
    keep = np.isfinite(drawn.middle)
    x, y = drawn.x[keep], positive(axes, drawn.middle[keep])
    few = len(x) <= MANY
    joined = line.fit is None and not categories(sketch.dataset, sketch.panel)
    marker, style = ("o" if few or not joined else ""), ("-" if joined else "")
    axes.plot(x, y, color=colour, marker=marker, linestyle=style, gid=f"line:{index}", zorder=3)
    if not marker:
        alone(axes, x, y, colour, index)
    own = bool(line.low and line.high)
    if not own and drawn.counted and draws_members(sketch, drawn):
        _dots(sketch, index, drawn, few)
        return
    low, high = drawn.low[keep], drawn.high[keep]
    if not own and not np.any(low < high):
        return
    if few:
        shown = np.isfinite(y)
        x, y, low, high = (values[shown] for values in (x, y, low, high))
        reach = np.maximum(np.stack([y - low, high - y]), 0)
        style = {"color": colour, "fmt": "none", "capsize": 3, "elinewidth": 1.4, "zorder": 3}
        error_bars(axes, index, x, y, reach, **style)
    else:
        axes.fill_between(x, low, high, color=colour, alpha=0.16, linewidth=0, gid=f"band:{index}")


def error_bars(axes: Axes, index: int, *reach: Any, **style: Any) -> None:
    """Draw bars, which matplotlib leaves without the mark of their line."""
    for part in axes.errorbar(*reach, **style).get_children():
        part.set_gid(f"bars:{index}")


def alone(axes: Axes, x: np.ndarray, y: np.ndarray, colour: str, index: int) -> None:
    """Draw points between two gaps of a line."""
    where = lone(y)
    if where.any():
        style = {"color": colour, "markersize": 4, "gid": f"alone:{index}", "zorder": 3}
        axes.plot(x[where], y[where], ".", **style)


def _dots(sketch: Sketch, index: int, drawn: Drawn, few: bool) -> None:
    """Draw every member: as small points where there are few positions, else as thin lines."""
    rows = positive(sketch.axes, drawn.members.T)
    kind = {"marker": ".", "linestyle": ""} if few else {"linewidth": 0.8}
    style = {"color": sketch.palette[index], "alpha": 0.5, "zorder": 1.5, "gid": f"members:{index}"}
    sketch.axes.plot(drawn.x, rows, **kind, **style)
