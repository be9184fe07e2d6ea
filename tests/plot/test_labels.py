"""Labels never overlap, and stay beside what they name."""

import numpy as np
import pytest

from fineq.figures import Figure, Fit, Line, Panel, Theory
from fineq.plot import draw
from fineq.plot.drawing import obstacles
from fineq.plot.labels import along, is_label, spread
from fineq.plot.style import ROW_WIDTH
from fineq.results import Array
from tests.plot.common import (
    GROUPS,
    NUM_STEPS,
    assert_labels_apart,
    boxes,
    by_mark,
    close_errors,
    dataset,
    drawn,
    groups,
)


@pytest.mark.parametrize("ordered", [False, True])
def test_labels_of_six_close_curves_are_apart_and_in_order(ordered):
    theory = (Theory("theory 0.8", ratio=0.8, line=0), Theory("floor", level=1e-3))
    figure = drawn(dataset(), groups(theory=theory, ordered=ordered, title="six"))
    assert_labels_apart(figure)
    heights = {text: box.y0 for text, box in boxes(figure)}
    ends = [heights[f"group {g:g}"] for g in GROUPS]
    assert ends == sorted(ends)  # the errors grow with the group


def test_labels_inside_the_axes_cover_no_line_when_there_is_room():
    theory = (Theory("theory", ratio=0.8, line=0), Theory("floor", level=0.02))
    figure = drawn(dataset(), groups(theory=theory))
    (axes,) = figure.axes
    for text, box in boxes(figure):
        if text in ("theory", "floor"):
            for points in obstacles(axes).values():
                inside = (points > box.min) & (points < box.max)
                assert not np.any(np.all(inside, axis=1)), text


@pytest.mark.slow
def test_labels_are_apart_in_panels_with_long_names_and_with_divergence():
    values = close_errors()
    values[3:, :, 10:] *= 3.0 ** np.arange(NUM_STEPS - 9)
    values[3:, ::2, 20:] = np.nan
    many = Array(values, ("group", "seed", "iteration"), "1", "relative cost gap")
    lines = tuple(Line("many", f"a long name of group {g:g}", {"group": g}) for g in GROUPS)
    panel = Panel("convergence", "iteration", lines, title="left")
    assert_labels_apart(drawn(dataset(many=many), panel, groups(title="right"), panel))


def test_the_axes_keep_their_size_whatever_the_labels():
    short = drawn(dataset(), Panel("convergence", "iteration", (Line("close", "", {"group": 1}),)))
    long = Panel("convergence", "iteration", (Line("close", "long " * 9, {"group": 1}),))
    widths = [
        figure.axes[0].get_window_extent().width for figure in (short, drawn(dataset(), long))
    ]
    # The tick label at the right edge gives way to the column: some pixels of 400 may differ.
    assert abs(widths[0] - widths[1]) < 0.05 * widths[0]


def test_vertical_lines_side_by_side_are_labelled_along_themselves():
    theory = tuple(Theory(f"rule {x:g}", threshold=x) for x in (3.0, 3.2, 4.0))
    figure = drawn(dataset(), groups(theory=theory))
    (axes,) = figure.axes
    texts = [t for t in axes.texts if t.get_text().startswith("rule")]
    renderer = figure.canvas.get_renderer()
    for i, text in enumerate(texts):
        box = text.get_window_extent(renderer)
        assert text.get_rotation() == 90
        for mark in theory:
            assert not box.x0 < axes.transData.transform((mark.threshold, 1))[0] < box.x1
        assert not any(box.overlaps(t.get_window_extent(renderer)) for t in texts[:i])
    assert len(texts) == 3


def test_marks_lie_on_their_line_and_are_labelled_across():
    """A power law is straight on logarithmic axes, also between two of its points."""
    data = dataset(law=Array(GROUPS**-2, ("group",), "1", "law"))
    marks = tuple(Theory(f"rule\n{x:g}", threshold=x, line=0) for x in (1.5, 4.0))
    line = (Line("law", "law"),)
    figure = drawn(data, Panel("curves", "group", line, marks, xscale="log", yscale="log"))
    (axes,) = figure.axes
    for i, x in enumerate((1.5, 4.0)):
        (mark,) = by_mark(axes, f"theory:{i}")
        np.testing.assert_allclose(mark.get_xydata(), [[x, x**-2]], rtol=1e-9)
    texts = [t for t in axes.texts if t.get_text().startswith("rule")]
    assert [t.get_rotation() for t in texts] == [0, 0]
    assert_labels_apart(figure)


def test_words_along_the_axis_are_not_joined():
    data = dataset(v=Array(np.array([1.0, 2.0]), ("method",), "1", "noise"))
    (axes,) = drawn(data, Panel("curves", "method", (Line("v"),))).axes
    assert [label.get_text() for label in axes.get_xticklabels()] == ["one", "two"]
    assert by_mark(axes, "line:0")[0].get_linestyle() == "None"


@pytest.mark.parametrize("count", [1, 2, 5, 12])
def test_spread_is_feasible_and_optimal(count):
    """Against a quadratic program solved by SciPy on random targets."""
    from scipy.optimize import minimize

    rng = np.random.default_rng(count)
    targets, heights = rng.uniform(0, 10, count), rng.uniform(0.2, 0.8, count)
    centres = spread(targets, heights, 0.0, 10.0)
    order = np.argsort(targets, kind="stable")
    gaps = (heights[order][1:] + heights[order][:-1]) / 2
    assert np.all(np.diff(centres[order]) >= gaps - 1e-12)
    assert np.all(centres - heights / 2 >= -1e-12)
    assert np.all(centres + heights / 2 <= 10 + 1e-12)
    wanted = targets[order]
    limits = [
        {"type": "ineq", "fun": lambda c: np.diff(c) - gaps},
        {"type": "ineq", "fun": lambda c: c - heights[order] / 2},
        {"type": "ineq", "fun": lambda c: 10 - heights[order] / 2 - c},
    ]
    start = np.linspace(1, 9, count)
    best = minimize(lambda c: np.sum((c - wanted) ** 2), start, constraints=limits, method="SLSQP")
    assert np.sum((centres[order] - wanted) ** 2) <= best.fun + 1e-5


def test_spread_that_does_not_fit_is_centred():
    centres = spread(np.zeros(4), np.full(4, 3.0), 0.0, 10.0)
    np.testing.assert_allclose(np.diff(np.sort(centres)), 3.0)
    np.testing.assert_allclose(centres.mean(), 5.0)


def test_points_along_a_path_are_dense_and_on_it():
    points = along(np.array([[0.0, 0.0], [30.0, 40.0], [np.nan, 1.0], [30.0, 41.0]]))
    ends = np.array([30.0, 40.0])
    on_first = np.isclose(points @ np.array([4.0, -3.0]), 0) & np.all(points <= ends + 1e-9, axis=1)
    assert on_first.sum() >= 50 / 3
    assert len(along(np.zeros((0, 2)))) == 0


@pytest.mark.slow
@pytest.mark.parametrize(("count", "rows", "columns"), [(1, 1, 1), (2, 1, 2), (3, 2, 2), (6, 3, 2)])
def test_panels_wrap_and_stay_apart(count, rows, columns):
    panel = groups(title="a title", theory=(Theory("theory 0.8", ratio=0.8, line=0),))
    figure = draw(dataset(), Figure("f", (panel,) * count, note="what is left out"))
    frames = [axes.get_window_extent() for axes in figure.axes]
    assert len({round(frame.x0) for frame in frames}) == columns
    assert len({round(frame.y0) for frame in frames}) == rows
    for i, frame in enumerate(frames):
        assert not any(frame.overlaps(other) for other in frames[:i])
    assert_labels_apart(figure)
    assert figure.get_supxlabel() == "what is left out"
    assert figure.get_figwidth() < 2 * ROW_WIDTH


def test_labels_of_fits_stay_within_the_axes_off_titles_and_ticks():
    """Three short lines that end near the top, with slopes: their labels are wide and two lines."""
    widths = 2.0 ** np.arange(3, 6)
    extra = {"few": Array(widths, ("few",), "1", "width m")}
    for i in range(3):
        rows = (5 + i) * widths[None, :] ** (-0.1 * i) * np.ones((3, 1))
        extra[f"v{i}"] = Array(rows, ("member", "few"), "1", "error")
    lines = tuple(
        Line(f"v{i}", f"a rule of name {i}", fit=Fit(-0.1 * i, -1.0, 0.5)) for i in range(3)
    )
    panel = Panel("powerlaw", "few", lines, over=("member",), title="Risk at the stopping time")
    figure = drawn(dataset(**extra), panel)
    (axes,) = figure.axes
    frame = axes.get_window_extent()
    labels = [text for text in axes.texts if is_label(text)]
    assert len(labels) == 3
    for text in labels:
        box = text.get_window_extent()
        assert box.x1 > frame.x1 or frame.padded(1).contains(box.x0, box.y0), text.get_text()
        assert box.x0 > frame.x1 or frame.padded(1).contains(box.x1, box.y1), text.get_text()
    assert_labels_apart(figure)
