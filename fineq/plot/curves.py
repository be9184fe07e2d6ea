"""A measured quantity against a parameter: plain curves, power laws, fractions."""

from dataclasses import replace

import numpy as np

from fineq.figures import Fit, Line, Theory
from fineq.plot.base import (
    MANY,
    Sketch,
    all_theory,
    band_note,
    beside,
    extent,
    intervals,
    is_mark,
    label_axes,
    note_zeros,
    reference,
    set_limits,
    simple_theory,
    tag_end,
)
from fineq.plot.labels import Tag
from fineq.plot.measured import Drawn, fractions, values
from fineq.plot.style import ink

_APART = 0.015  # of the axis: between the intervals of two shares at one x

_TOGETHER = 0.01  # of the height: ends of lines that cannot be told apart
_ROOM = 0.35  # of the height


def curves(sketch: Sketch) -> None:
    """Draw a quantity against a parameter with intervals, and the theory's lines and bounds."""
    _measured(sketch, "linear", "linear")
    for index, (line, drawn) in enumerate(zip(sketch.panel.lines, sketch.drawn)):
        intervals(sketch, index, drawn, line)
        _tag(sketch, index, line, drawn)
    _theory(sketch)
    label_axes(sketch)
    sketch.note = "" if _has_own_intervals(sketch) else band_note(sketch)
    note_zeros(sketch)


def _tag(sketch: Sketch, index: int, line: Line, drawn: Drawn) -> None:
    """Label a measured line where it ends; where all end at one place, where it is for itself."""
    text, place = _text(line, drawn), _apart(sketch, index)
    if place is None:
        tag_end(sketch, text, index, drawn.x, drawn.middle)
    elif text:
        sketch.tags.append(Tag(text, ink(sketch.palette[index]), place, f"line:{index}"))


def _apart(sketch: Sketch, index: int) -> np.ndarray | None:
    """Where a line is furthest from all others, `[1, 2]`; None unless all of them end at one place.

    There a label at the end would not say whose it is.
    """
    lines = sketch.drawn
    if len(lines) < 2 or any(not np.array_equal(d.x, lines[0].x) for d in lines):
        return None
    to_axes = sketch.axes.transScale + sketch.axes.transLimits
    points = [np.stack([d.x, d.middle], axis=1) for d in lines]
    heights = np.stack([to_axes.transform(each)[:, 1] for each in points])
    if not np.ptp(heights[:, -1]) < _TOGETHER:
        return None
    others = np.delete(heights, index, axis=0)
    distance = np.min(np.abs(others - heights[index]), axis=0)
    return points[index][[np.argmax(np.where(np.isfinite(distance), distance, -1.0))]]


def powerlaw(sketch: Sketch) -> None:
    """Draw a quantity on two logarithmic axes with fitted slopes, their intervals, and theory's."""
    _measured(sketch, "log", "log")
    for index, (line, drawn) in enumerate(zip(sketch.panel.lines, sketch.drawn)):
        intervals(sketch, index, drawn, line)
        x, y = (drawn.x, drawn.middle) if line.fit is None else _fitted(sketch, index, line.fit)
        tag_end(sketch, _slope_text(line), index, x, y)
    _theory(sketch)
    label_axes(sketch)
    sketch.note = "" if _has_own_intervals(sketch) else band_note(sketch)
    note_zeros(sketch)


def fraction_panel(sketch: Sketch) -> None:
    """Draw how often something happens against a parameter, with 95% intervals."""
    panel = sketch.panel
    sketch.drawn = [fractions(sketch.dataset, panel, line) for line in panel.lines]
    _scales(sketch, "linear", "linear")
    _limit_x(sketch)
    if sketch.axes.get_yscale() == "log":
        set_limits(sketch, "y", np.concatenate([d.middle for d in sketch.drawn]))
    else:
        sketch.axes.set_ylim(-0.04, 1.04)
    for index, (line, drawn) in enumerate(zip(panel.lines, sketch.drawn)):
        drawn = _beside_others(sketch, index, drawn)
        intervals(sketch, index, drawn, line)
        _tag(sketch, index, line, drawn)
    _theory(sketch)
    label_axes(sketch)
    trials = max(drawn.total for drawn in sketch.drawn)
    sketch.note = f"fraction of {trials}, 95% intervals"


def _beside_others(sketch: Sketch, index: int, drawn: Drawn) -> Drawn:
    """A line's points moved a little along x, so that bars at one x stand side by side."""
    if drawn.x.size > MANY:
        return drawn
    to_axes = sketch.axes.transScale + sketch.axes.transLimits
    points = to_axes.transform(np.stack([drawn.x, np.full(drawn.x.size, 0.5)], axis=1))
    points[:, 0] += _APART * (index - (len(sketch.drawn) - 1) / 2)
    return replace(drawn, x=to_axes.inverted().transform(points)[:, 0])


def _measured(sketch: Sketch, x_scale: str, y_scale: str) -> None:
    panel = sketch.panel
    sketch.drawn = [values(sketch.dataset, panel, line) for line in panel.lines]
    _scales(sketch, x_scale, y_scale)
    _limit_x(sketch)
    parts = [np.append(drawn.middle, extent(sketch, drawn)) for drawn in sketch.drawn]
    set_limits(sketch, "y", np.concatenate([*parts, all_theory(sketch)]))
    if any(is_mark(theory) for theory in panel.theory):
        _leave_room(sketch)


def _limit_x(sketch: Sketch) -> None:
    """Around the measured points, and the vertical lines."""
    lines = [t.threshold for t in sketch.marks if t.threshold is not None]
    marks = np.array([x for x in lines if np.isfinite(x)])
    set_limits(sketch, "x", np.concatenate([*(drawn.x for drawn in sketch.drawn), marks]))


def _leave_room(sketch: Sketch) -> None:
    """Below everything drawn, for the labels of marks."""
    axes = sketch.axes
    low = axes.transAxes.transform((0.0, -_ROOM))
    axes.set_ylim(bottom=float(axes.transData.inverted().transform(low)[1]))


def _scales(sketch: Sketch, x_scale: str, y_scale: str) -> None:
    sketch.axes.set_xscale(sketch.panel.xscale or x_scale)
    sketch.axes.set_yscale(sketch.panel.yscale or y_scale)


def _has_own_intervals(sketch: Sketch) -> bool:
    return all(line.low and line.high for line in sketch.panel.lines)


def _text(line: Line, drawn: Drawn) -> str:
    if not drawn.missing:
        return line.label
    lost = f"{drawn.missing}/{drawn.members.size} {line.missing}"
    return f"{line.label}\n{lost}" if line.label else lost


def _slope_text(line: Line) -> str:
    if line.fit is None:
        return line.label
    slope = f"slope {_number(line.fit.exponent)}"
    if line.fit.low is not None and line.fit.high is not None:
        slope += f" [{_number(line.fit.low)}, {_number(line.fit.high)}]"
    return f"{line.label}\n{slope}" if line.label else slope


def _number(value: float) -> str:
    return f"{value:.2f}".replace("-", "\N{MINUS SIGN}")


def _fitted(sketch: Sketch, index: int, fit: Fit) -> tuple[np.ndarray, np.ndarray]:
    """Draw the fitted law through the centre of its points; return its ends."""
    drawn = sketch.drawn[index]
    law = _law(drawn, fit.exponent, fit.start, fit.stop)
    if law is None:
        return drawn.x, drawn.middle
    style = {"color": sketch.palette[index], "linewidth": 1.6, "zorder": 2.6}
    sketch.axes.plot(*law, gid=f"fit:{index}", scalex=False, scaley=False, **style)
    return law


def _law(
    drawn: Drawn, exponent: float, start: float | None, stop: float | None
) -> tuple[np.ndarray, np.ndarray] | None:
    low = -np.inf if start is None else start
    high = np.inf if stop is None else stop
    keep = (drawn.middle > 0) & np.isfinite(drawn.middle) & (drawn.x > 0)
    keep &= (drawn.x >= low) & (drawn.x <= high)
    if not np.any(keep):
        return None
    logs = np.log(drawn.x[keep]), np.log(drawn.middle[keep])
    ends = np.array([logs[0].min(), logs[0].max()])
    with np.errstate(over="ignore"):
        return np.exp(ends), np.exp(logs[1].mean() + exponent * (ends - logs[0].mean()))


def _theory(sketch: Sketch) -> None:
    for theory in sketch.panel.theory:
        if not simple_theory(sketch, theory) and theory.exponent is not None:
            _power(sketch, theory, theory.exponent)


def _power(sketch: Sketch, theory: Theory, exponent: float) -> None:
    law = _law(sketch.drawn[max(theory.line, 0)], exponent, theory.start, None)
    if law is not None:
        x = np.geomspace(law[0][0], law[0][1], 100)
        y = np.exp(np.interp(np.log(x), np.log(law[0]), np.log(law[1])))
        reference(sketch, theory, x, beside(sketch.axes, y))
