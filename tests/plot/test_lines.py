"""Lines, bands and bars: what is drawn equals the data."""

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from fineq.figures import Fit, Line, Panel, Theory
from fineq.plot.measured import errors
from fineq.plot.style import PALETTE, colours, ink
from fineq.rates import proportion
from fineq.results import Array
from fineq.runs import to_dataset
from tests.plot.common import (
    ITERATIONS,
    NUM_SEEDS,
    assert_labels_apart,
    bars_of,
    boxes,
    by_mark,
    close_errors,
    dataset,
    drawn,
    groups,
    seeds,
)


def test_line_is_the_median_and_the_band_its_quantiles():
    figure = drawn(dataset(), groups(band=(0.25, 0.75)))
    (axes,) = figure.axes
    for i, rows in enumerate(close_errors()):
        (line,) = by_mark(axes, f"line:{i}")
        np.testing.assert_array_equal(line.get_xdata(), ITERATIONS)
        np.testing.assert_allclose(line.get_ydata(), np.median(rows, axis=0), rtol=1e-15)
        (band,) = [c for c in axes.collections if c.get_gid() == f"band:{i}"]
        corners = band.get_paths()[0].vertices
        for level in (0.25, 0.75):
            expected = np.quantile(rows, level, axis=0)
            assert np.isclose(corners[:, 1], expected[0], rtol=1e-14).any()
            assert np.isclose(corners[:, 1], expected[-1], rtol=1e-14).any()
    assert axes.get_yscale() == "log"
    assert axes.get_ylabel() == "cost gap [J]"
    assert axes.get_xlabel() == "iteration"
    assert axes.get_legend() is None


def test_diverged_members_count_as_infinitely_wrong_and_are_counted():
    """5 of 9 members are lost at iteration 20: the median ends there, though 4 converge."""
    values = close_errors()[0]
    values[:5, 20:] = np.nan
    lost = Array(values, ("seed", "iteration"), "1", "error")
    figure = drawn(dataset(lost=lost), Panel("convergence", "iteration", (Line("lost", "ℓ"),)))
    (line,) = by_mark(figure.axes[0], "line:0")
    np.testing.assert_array_equal(line.get_xdata(), ITERATIONS[:20])
    (stop,) = by_mark(figure.axes[0], "stop:0")
    assert stop.get_xdata()[0] == 19
    assert "ℓ\n5/9 diverged" in [text for text, _ in boxes(figure)]


def test_a_minority_that_diverges_moves_the_median_up():
    """Of 9 members the best 2 are lost: the median is the 5th best of the other 7, not the 4th."""
    values = close_errors()[0]
    values[:2, 20:] = np.nan
    lost = Array(values, ("seed", "iteration"), "1", "error")
    figure = drawn(dataset(lost=lost), Panel("convergence", "iteration", (Line("lost"),)))
    (line,) = by_mark(figure.axes[0], "line:0")
    np.testing.assert_allclose(line.get_ydata()[-1], np.sort(values[2:, -1])[4], rtol=1e-15)


@pytest.mark.parametrize("lost", [2, 3])
def test_a_quantile_between_lost_members_is_infinite_not_undefined(lost):
    """With 4 members the median lies between the 2nd and the 3rd."""
    values = np.ones((4, 2))
    values[:lost, 1] = np.nan
    data = to_dataset({"v": Array(values, ("seed", "k"), "1", "v")})
    summarised = errors(data, Panel("convergence", "k", ()), Line("v"))
    np.testing.assert_array_equal(summarised.middle, [1.0, np.inf])
    np.testing.assert_array_equal(summarised.high, [1.0, np.inf])


def test_frozen_members_are_recognised_by_the_iteration_of_divergence():
    """The driver keeps a diverged member's last good value; `diverged_at` tells, 0 is never."""
    when = np.array([5] * 6 + [0] * 3)
    data = dataset(when=Array(when, ("seed",), "1", "diverged at"))
    line = Line("close", "x", {"group": 1}, diverged_at="when")
    figure = drawn(data, Panel("convergence", "iteration", (line,)))
    np.testing.assert_array_equal(by_mark(figure.axes[0], "line:0")[0].get_xdata(), np.arange(5))
    assert "x\n6/9 diverged" in [text for text, _ in boxes(figure)]


def test_theory_runs_parallel_to_its_line():
    figure = drawn(dataset(), groups(theory=(Theory("q", ratio=0.8, line=2),)))
    (guide,) = by_mark(figure.axes[0], "theory:0")
    x, y = guide.get_xdata(), guide.get_ydata()
    np.testing.assert_allclose(np.diff(np.log(y)), np.log(0.8) * np.diff(x), rtol=1e-9)
    measured = np.median(close_errors()[2], axis=0)[0]
    assert measured < y[0] < 3 * measured


def test_powerlaw_draws_points_fit_and_theory_with_their_slopes():
    widths = 2.0 ** np.arange(3, 9)
    values = 3 * widths**-0.5 * np.exp(np.linspace(-0.1, 0.1, NUM_SEEDS))[:, None]
    data = dataset(error=Array(values, ("seed", "width"), "1", "error"))
    line = Line("error", "kernel", fit=Fit(-0.5, -0.55, -0.45))
    theory = (Theory("theory", exponent=-1.0, line=0),)
    figure = drawn(data, Panel("powerlaw", "width", (line,), theory))
    (axes,) = figure.axes
    (points,) = by_mark(axes, "line:0")
    np.testing.assert_allclose(points.get_ydata(), 3 * widths**-0.5, rtol=1e-14)
    assert points.get_linestyle() == "None"
    for mark, exponent in (("fit:0", -0.5), ("theory:0", -1.0)):
        (law,) = by_mark(axes, mark)
        slopes = np.diff(np.log(law.get_ydata())) / np.diff(np.log(law.get_xdata()))
        np.testing.assert_allclose(slopes, exponent, rtol=1e-9)
    (fit,) = by_mark(axes, "fit:0")
    np.testing.assert_allclose(fit.get_ydata()[0], values[NUM_SEEDS // 2, 0], rtol=1e-12)
    labels = [text for text, _ in boxes(figure)]
    assert "kernel\nslope −0.50 [−0.55, −0.45]" in labels
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
    assert_labels_apart(figure)


def test_curves_take_intervals_from_variables_and_draw_bounds():
    middle = 1 / (1 + np.arange(6.0))
    extra = {
        name: Array(factor * middle, ("group",), "1", name)
        for name, factor in (("mu", 1.0), ("low", 0.9), ("high", 1.2), ("bound", 0.5))
    }
    line = Line("mu", "measured", low="low", high="high")
    theory = (Theory("bound", variable="bound"), Theory("here", threshold=3.0))
    figure = drawn(dataset(**extra), Panel("curves", "group", (line,), theory))
    (axes,) = figure.axes
    np.testing.assert_array_equal(by_mark(axes, "line:0")[0].get_ydata(), middle)
    np.testing.assert_array_equal(by_mark(axes, "theory:0")[0].get_ydata(), 0.5 * middle)
    assert set(by_mark(axes, "theory:1")[0].get_xdata()) == {3.0}
    bars = bars_of(axes)
    np.testing.assert_allclose([bar[0][1] for bar in bars], 0.9 * middle, rtol=1e-14)
    np.testing.assert_allclose([bar[1][1] for bar in bars], 1.2 * middle, rtol=1e-14)
    assert_labels_apart(figure)


def test_fractions_count_and_carry_their_intervals():
    hits = np.zeros((NUM_SEEDS, 6))
    hits[:3, 1], hits[:, 2:] = 1, 1
    hits[4, 0] = np.nan
    data = dataset(hits=Array(hits, ("seed", "group"), "1", "success"))
    figure = drawn(data, Panel("fractions", "group", (Line("hits", "n"),)))
    (line,) = by_mark(figure.axes[0], "line:0")
    np.testing.assert_allclose(line.get_ydata(), [0, 3 / 9, 1, 1, 1, 1])
    bars = bars_of(figure.axes[0])
    some, none = proportion(3, 9), proportion(0, 8)
    np.testing.assert_allclose([b[0][1] for b in bars[:2]], [0, some.low], atol=1e-12)
    np.testing.assert_allclose(bars[0][1][1], none.high, atol=1e-12)


def test_traces_are_the_members():
    figure = drawn(dataset(), Panel("convergence", "iteration", groups().lines[:1], traces=True))
    rows = [line.get_ydata() for line in by_mark(figure.axes[0], "traces:0")]
    np.testing.assert_array_equal(rows, close_errors()[0])


def test_colours_are_distinct_and_text_stands_out_from_white():
    for count in (1, 6, 7, 12):
        for ordered in (False, True):
            assert len(set(colours(count, ordered))) == count
    for colour in (*PALETTE, *colours(6, ordered=True)):
        weights = np.array([0.2126, 0.7152, 0.0722])
        linear = [
            ((c + 0.055) / 1.055) ** 2.4 if c > 0.04045 else c / 12.92 for c in to_rgb(ink(colour))
        ]
        assert 1.05 / (weights @ linear + 0.05) >= 3.4


def test_a_field_has_its_image_arrows_and_points():
    x, y = np.linspace(-1, 1, 34), np.linspace(0, 3, 51)
    bump = np.exp(-(x[:, None] ** 2) - (y[None] - 1) ** 2)
    u = np.where(x[:, None] > 0, 0.5 + 0 * bump, np.nan)
    points = np.array([[0.1, -0.3, 0.7], [1.0, 2.0, 0.5]])
    coords = {
        "x": Array(x, ("x",), "1", "x"),
        "y": Array(y, ("y",), "1", "y"),
        "sample": Array(np.arange(3), ("sample",), "1", "sample"),
    }
    arrays = {
        "density": Array(bump, ("x", "y"), "1", "density"),
        "u": Array(u, ("x", "y"), "1", "u"),
        "v": Array(-u, ("x", "y"), "1", "v"),
        "px": Array(points[0], ("sample",), "1", "px"),
        "py": Array(points[1], ("sample",), "1", "py"),
    }
    lines = tuple(Line(name) for name in ("density", "u", "v", "px", "py"))
    (axes,) = drawn(to_dataset(arrays, coords), Panel("field", "x", lines)).axes
    image = next(c for c in axes.collections if type(c).__name__ == "QuadMesh")
    np.testing.assert_array_equal(np.ravel(image.get_array()), bump.T.ravel())
    arrows = next(c for c in axes.collections if hasattr(c, "U"))
    assert np.all(arrows.XY[:, 0] > 0)  # none where it is NaN
    np.testing.assert_allclose([arrows.U, arrows.V], np.array([[0.5], [-0.5]]) + 0 * arrows.U)
    dots = next(c for c in axes.collections if type(c).__name__ == "PathCollection")
    np.testing.assert_array_equal(dots.get_offsets().T, points)
    assert axes.axison
    (bare,) = drawn(to_dataset(arrays, coords), Panel("image", "x", lines[:1])).axes
    assert not bare.axison


@pytest.mark.parametrize("kind", ["convergence", "curves"])
def test_few_seeds_are_drawn_themselves_and_many_as_a_band(kind):
    values = close_errors()[0]
    few, many = (seeds(count, values, kind=kind) for count in (7, 8))
    marks = [mark for mark in ("traces:0", "members:0") if by_mark(few, mark)]
    rows = [line.get_ydata() for line in by_mark(few, marks[0])]
    np.testing.assert_array_equal(rows, values[:7])
    assert not [c for c in few.collections if c.get_gid() == "band:0"]
    assert [c for c in many.collections if c.get_gid() == "band:0"]
    assert not by_mark(many, marks[0])
    notes = [[t.get_text() for t in axes.texts] for axes in (few, many)]
    assert "median and each of 7 seeds" in notes[0]
    assert "median and 10–90% of 8 seeds" in notes[1]


@pytest.mark.parametrize("kind", ["convergence", "curves"])
@pytest.mark.parametrize("count", [3, 9])
def test_seeds_of_a_deterministic_plant_are_one_member(kind, count):
    axes = seeds(count, np.tile(close_errors()[0, :1], (9, 1)), kind=kind)
    assert not [c for c in axes.collections if c.get_gid() == "band:0"]
    assert not by_mark(axes, "traces:0") + by_mark(axes, "members:0")
    assert not [t for t in axes.texts if "seed" in t.get_text()]
