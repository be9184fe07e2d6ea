"""Error against iteration: median and band over members, theory's decay beside it."""

import numpy as np
from matplotlib.ticker import MaxNLocator

from fineq.figures import Line, Theory
from fineq.plot.base import (
    Sketch,
    all_theory,
    alone,
    band_note,
    beside,
    draws_members,
    extent,
    label_axes,
    note_zeros,
    positive,
    reference,
    set_limits,
    simple_theory,
    tag_end,
)
from fineq.plot.measured import Drawn, errors

_FAR = 1e3  # diverging members and bands are shown up to this multiple of what matters


def convergence(sketch: Sketch) -> None:
    """Draw errors on a logarithmic axis; a line stops where its median member has diverged.

    Diverged members count as infinitely wrong in median and band, and are counted in the label;
    where the upper end of the band is among them, only its lower half is drawn.
    """
    panel, axes = sketch.panel, sketch.axes
    sketch.drawn = [errors(sketch.dataset, panel, line) for line in panel.lines]
    axes.set_yscale(panel.yscale or "log")
    _set_x(sketch)
    set_limits(sketch, "y", _shown(sketch), _cap(sketch.drawn))
    for index, (line, drawn) in enumerate(zip(panel.lines, sketch.drawn)):
        _line(sketch, index, line, drawn)
    for theory in panel.theory:
        if not simple_theory(sketch, theory) and theory.ratio is not None:
            _decay(sketch, theory, theory.ratio)
    label_axes(sketch)
    sketch.note = band_note(sketch)
    note_zeros(sketch)


def _set_x(sketch: Sketch) -> None:
    axes = sketch.axes
    x = np.concatenate([drawn.x for drawn in sketch.drawn])
    if sketch.panel.xscale == "log" and np.any(x <= 0):
        # Iteration 0 has a place of its own left of 1.
        axes.set_xscale("symlog", linthresh=1, linscale=0.4)
        axes.set_xlim(min(0.0, x.min()), max(x.max() * 1.05, 1.0))
    elif sketch.panel.xscale == "log":
        axes.set_xscale("log")
        set_limits(sketch, "x", x)
    else:
        single = x.max() == x.min()
        axes.set_xlim(x.min() - single, x.max() + single)
        axes.xaxis.set_major_locator(MaxNLocator("auto", integer=True))


def _shown(sketch: Sketch) -> np.ndarray:
    middles = np.concatenate([drawn.middle for drawn in sketch.drawn])
    edges = np.concatenate([extent(sketch, drawn) for drawn in sketch.drawn])
    usual = middles[np.isfinite(middles) & (middles > 0)]
    if not usual.size:
        return edges
    near = (edges >= float(usual.min()) / _FAR) & (edges <= float(usual.max()) * _FAR)
    return np.concatenate([middles, edges[near], all_theory(sketch)])


def _cap(drawn: list[Drawn]) -> float:
    """Return how far up the axis goes when members diverge: not to the overflow threshold."""
    if not any(d.diverged for d in drawn):
        return np.inf
    first = [d.middle[np.isfinite(d.middle)][:1] for d in drawn]
    starts = np.concatenate([np.zeros(0), *first])
    return _FAR * float(starts.max()) if starts.size else np.inf


def _line(sketch: Sketch, index: int, line: Line, drawn: Drawn) -> None:
    axes, colour = sketch.axes, sketch.palette[index]
    keep = np.isfinite(drawn.middle)
    x, y = drawn.x[keep], positive(axes, drawn.middle[keep])
    if draws_members(sketch, drawn):
        style = {"color": colour, "linewidth": 0.6, "alpha": min(0.5, 12 / drawn.total)}
        rows = positive(axes, drawn.members.T)
        axes.plot(drawn.x, rows, gid=f"traces:{index}", zorder=1.5, **style)
    elif drawn.total > 1:
        _band(sketch, index, drawn)
    marker = "o" if len(x) == 1 else ""
    axes.plot(x, y, color=colour, marker=marker, gid=f"line:{index}", zorder=3)
    alone(axes, x, y, colour, index)
    if len(x) and not np.all(keep[np.argmax(keep) :]):
        axes.plot(x[-1:], y[-1:], "X", color=colour, markersize=9, gid=f"stop:{index}", zorder=3.5)
    tag_end(sketch, _text(line, drawn), index, x, y)


def _band(sketch: Sketch, index: int, drawn: Drawn) -> None:
    low, high = sketch.axes.get_ylim()
    shown = (drawn.middle >= low) & (drawn.middle <= high)
    # An upper end among diverged members would paint half the panel: the label counts them.
    upper = np.where(drawn.high <= high, drawn.high, drawn.middle)
    edges = np.maximum(np.stack([drawn.low, upper]), 1e-3 * low)
    style = {"color": sketch.palette[index], "alpha": 0.16, "linewidth": 0}
    sketch.axes.fill_between(drawn.x, *edges, where=shown, gid=f"band:{index}", **style)


def _text(line: Line, drawn: Drawn) -> str:
    if not drawn.diverged:
        return line.label
    count = f"{drawn.diverged}/{drawn.total} diverged"
    return f"{line.label}\n{count}" if line.label else count


def _decay(sketch: Sketch, theory: Theory, ratio: float) -> None:
    drawn = sketch.drawn[max(theory.line, 0)]
    begin = drawn.x[0] if theory.start is None else theory.start
    here = np.flatnonzero(np.isfinite(drawn.middle) & (drawn.x >= begin) & (drawn.middle > 0))
    if not here.size or ratio <= 0:
        return
    origin, value = drawn.x[here[0]], drawn.middle[here[0]]
    x = np.linspace(origin, sketch.axes.get_xlim()[1], 400)
    with np.errstate(under="ignore"):
        y = beside(sketch.axes, value * ratio ** (x - origin))
    low, high = sketch.axes.get_ylim()
    seen = (y >= low) & (y <= high)
    reference(sketch, theory, x[seen], y[seen])
