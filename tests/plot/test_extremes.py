"""Nothing, zeros, and values at the ends of the range of numbers are drawn, and said."""

from typing import Any

import numpy as np
import pytest

from fineq.figures import Fit, Line, Panel, Theory
from fineq.results import Array
from fineq.runs import to_dataset
from tests.plot.common import (
    ITERATIONS,
    NUM_SEEDS,
    NUM_STEPS,
    assert_labels_apart,
    boxes,
    by_mark,
    dataset,
    drawn,
    groups,
    seeds,
)


def test_missing_values_are_counted_not_hidden():
    values = np.ones((NUM_SEEDS, 6))
    values[0, 3:] = np.nan
    data = dataset(v=Array(values, ("seed", "group"), "1", "v"))
    figure = drawn(data, Panel("curves", "group", (Line("v", "x"),)))
    assert f"x\n3/{values.size} missing" in [text for text, _ in boxes(figure)]
    known = Line("v", "x", missing="below rounding")
    figure = drawn(data, Panel("curves", "group", (known,)))
    assert f"x\n3/{values.size} below rounding" in [text for text, _ in boxes(figure)]


HUGE = 1e3 * np.exp(-1.2 * ITERATIONS) * np.ones((NUM_SEEDS, 1)) + 1e-16


@pytest.mark.parametrize(
    "values",
    [
        HUGE,
        HUGE[:1],
        np.where(ITERATIONS == 0, 0.3, np.nan)[None],
        np.full((NUM_SEEDS, NUM_STEPS + 1), np.nan),
        np.zeros((NUM_SEEDS, NUM_STEPS + 1)),
        np.where(ITERATIONS < 5, 1e300, np.nan) * np.ones((3, 1)),
        np.where(ITERATIONS < 9, 0.1**ITERATIONS, 0.0)[None],
    ],
    ids=["huge-range", "one-seed", "one-point", "all-lost", "all-zero", "overflow", "exact-zero"],
)
@pytest.mark.parametrize("xscale", ["linear", "log"])
def test_extreme_data_are_drawn_without_warnings(values, xscale):
    dims = ("draw", "iteration")
    data = dataset(v=Array(values, dims, "1", "error"))
    theory = (Theory("half", ratio=0.5, line=0), Theory("nothing"))
    panel = Panel("convergence", "iteration", (Line("v", "x"),), theory, ("draw",), xscale=xscale)
    figure = drawn(data, panel)
    assert_labels_apart(figure)
    low, high = figure.axes[0].get_ylim()
    assert 0 < low < high < np.inf
    figure.canvas.draw()


X = np.arange(1.0, 7.0)


EMPTY = {
    "zero": (np.zeros((NUM_SEEDS, 6)), "no value is above zero"),
    "negative": (-np.ones((NUM_SEEDS, 6)), "no value is above zero"),
    "nan": (np.full((NUM_SEEDS, 6), np.nan), "no value is finite"),
}


def said_empty(axes: Any) -> list[str]:
    return [text.get_text() for text in axes.texts if text.get_gid() == "empty"]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["convergence", "powerlaw", "curves", "fractions"])
@pytest.mark.parametrize("name", EMPTY)
def test_a_logarithmic_panel_with_nothing_above_zero_says_so(kind, name):
    values, why = EMPTY[name]
    if kind == "fractions" and name == "negative":
        pytest.skip("a fraction is never negative")
    data = dataset(v=Array(values, ("seed", "group"), "1", "error"))
    theory = (Theory("level", level=0.0), Theory("law", exponent=-1.0, line=0))
    lines = (Line("v", "x", fit=Fit(-1.0, start=1.0, stop=6.0)),)
    panel = Panel(kind, "group", lines, theory, xscale="log", yscale="log")
    figure = drawn(data, panel, groups())
    assert said_empty(figure.axes[0]) == [f"nothing to draw:\n{why}"]
    assert said_empty(figure.axes[1]) == []
    figure.canvas.draw()


@pytest.mark.parametrize("kind", ["convergence", "powerlaw", "curves", "fractions", "field"])
def test_a_panel_without_lines_says_so_and_keeps_its_title(kind):
    panel = Panel(kind, "group", (), (Theory("level", level=1.0),), title="kept")
    (axes,) = drawn(dataset(), panel).axes
    assert said_empty(axes) == ["nothing to draw:\nno line was measured"]
    assert axes.get_title(loc="left") == "kept"


@pytest.mark.parametrize("kind", ["convergence", "powerlaw", "curves"])
@pytest.mark.parametrize(
    "values",
    [np.where(X < 4, 1e-300, 1e300), np.full(6, 1.7e308), np.where(X == 2, 1.0, 0.0)],
    ids=["wide", "huge", "one-above-zero"],
)
def test_values_at_the_ends_of_the_range_of_numbers_are_drawn(kind, values):
    data = dataset(v=Array(values * np.ones((2, 1)), ("draw", "group"), "1", "error"))
    theory = (Theory("law", exponent=-1.0, line=0), Theory("zero", variable="none"))
    data = data.assign(none=("group", np.zeros(6)))
    for scale in ("log", "linear"):
        panel = Panel(kind, "group", (Line("v", "x"),), theory, ("draw",), yscale=scale)
        figure = drawn(data, panel)
        assert said_empty(figure.axes[0]) == []
        assert np.all(np.isfinite(figure.axes[0].get_ylim()))
        figure.canvas.draw()


@pytest.mark.parametrize("value", [0.0, -1.0, np.nan, np.inf])
def test_a_field_without_positive_values_is_drawn(value):
    coords = {name: Array(np.arange(3.0), (name,), "1", name) for name in "xy"}
    data = to_dataset({"f": Array(np.full((3, 3), value), ("x", "y"), "1", "f")}, coords)
    figure = drawn(data, Panel("field", "x", (Line("f"),)))
    figure.canvas.draw()
    assert bool(said_empty(figure.axes[0])) == (not np.isfinite(value))


@pytest.mark.parametrize(
    ("panel", "message"),
    [
        (Panel("pie", "iteration", ()), "no kind of panel 'pie'"),
        (Panel("curves", "iteration", (Line("nothing"),)), "no variable 'nothing'"),
        (Panel("convergence", "iteration", (Line("close"),)), r"dimensions \['group'\]"),
        (Panel("convergence", "iteration", (Line("close", at={"group": 9}),)), "no single entry 9"),
        (Panel("curves", "close", (Line("close"),)), "a horizontal axis needs one"),
    ],
)
def test_what_is_not_in_the_data_is_named(panel, message):
    with pytest.raises(ValueError, match=message):
        drawn(dataset(), panel)


def test_zeros_on_a_logarithmic_axis_are_gaps_that_are_counted_not_spikes():
    values = np.tile(0.5**ITERATIONS, (1, 1))
    values[0, [20, 22, 23]] = 0.0  # between two zeros a point stands alone
    axes = seeds(1, values)
    (line,) = by_mark(axes, "line:0")
    shown = np.asarray(line.get_ydata())
    np.testing.assert_array_equal(np.flatnonzero(np.isnan(shown)), [20, 22, 23])
    np.testing.assert_array_equal(np.delete(shown, [20, 22, 23]), values[0][values[0] > 0])
    (point,) = by_mark(axes, "alone:0")
    np.testing.assert_array_equal(point.get_xdata(), [21])
    assert "3 points at or below 0 not shown" in [t.get_text() for t in axes.texts]
