"""Figures: what is drawn equals the data, labels never overlap, files are reproducible."""

from typing import Any

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from fineq.figures import Figure, Fit, Line, Panel, Theory
from fineq.plot import draw, render
from fineq.plot.drawing import obstacles
from fineq.plot.labels import along, spread
from fineq.plot.measured import errors
from fineq.plot.style import PALETTE, ROW_WIDTH, colours, ink
from fineq.rates import proportion
from fineq.results import Array
from fineq.runs import to_dataset

NUM_SEEDS, NUM_STEPS = 9, 40
ITERATIONS = np.arange(NUM_STEPS + 1)
GROUPS = np.arange(1.0, 7.0)


def close_errors() -> np.ndarray:
    """Six groups whose errors differ by a few percent: their ends nearly coincide, `[6, S, T]`."""
    spreading = np.exp(np.linspace(-0.3, 0.3, NUM_SEEDS))[:, None]
    level = 1 + 0.02 * np.arange(6)[:, None, None]
    return level * spreading * 0.8**ITERATIONS


def dataset(**extra: Array):
    coords = {
        "group": Array(GROUPS, ("group",), "1", "group"),
        "seed": Array(np.arange(NUM_SEEDS), ("seed",), "1", "seed"),
        "iteration": Array(ITERATIONS, ("iteration",), "1", "iteration"),
        "width": Array(2.0 ** np.arange(3, 9), ("width",), "1", "width m"),
        "method": Array(np.array(["one", "two"]), ("method",), "1", "method"),
    }
    close = Array(close_errors(), ("group", "seed", "iteration"), "J", "cost gap")
    return to_dataset({"close": close, **extra}, coords)


def groups(**options) -> Panel:
    lines = tuple(Line("close", f"group {g:g}", {"group": g}) for g in GROUPS)
    return Panel("convergence", "iteration", lines, **options)


def drawn(data: Any, *panels: Panel) -> Any:
    return draw(data, Figure("f", panels))


def by_mark(axes: Any, mark: str) -> list[Any]:
    return [line for line in axes.lines if line.get_gid() == mark]


def bars_of(axes: Any) -> list[Any]:
    """The error bars of the first line, each `[2, 2]`."""
    return next(c for c in axes.collections if hasattr(c, "get_segments")).get_segments()


def boxes(figure: Any) -> list[tuple[str, Any]]:
    """Bounding boxes of every label, title and axis label, in pixels."""
    renderer = figure.canvas.get_renderer()
    texts = [t for axes in figure.axes for t in (*axes.texts, axes.xaxis.label, axes.yaxis.label)]
    return [(t.get_text(), t.get_window_extent(renderer)) for t in texts if t.get_text()]


def assert_labels_apart(figure):
    found = boxes(figure)
    for i, (name, box) in enumerate(found):
        for other_name, other in found[:i]:
            assert not box.overlaps(other), f"{name!r} overlaps {other_name!r}"
        inside = figure.bbox.padded(1)
        assert inside.contains(box.x0, box.y0), name
        assert inside.contains(box.x1, box.y1), name


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


def test_diverged_members_count_as_infinitely_wrong_and_are_counted():
    """5 of 9 members are lost at iteration 20: the median ends there, though 4 converge."""
    values = close_errors()[0]
    values[:5, 20:] = np.nan
    lost = Array(values, ("seed", "iteration"), "1", "error")
    figure = drawn(dataset(lost=lost), Panel("convergence", "iteration", (Line("lost", "ℓ"),)))
    (line,) = by_mark(figure.axes[0], "line:0")
    np.testing.assert_array_equal(line.get_xdata(), ITERATIONS[:20])
    (stop,) = by_mark(figure.axes[0], "stop")
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


def test_missing_values_are_counted_not_hidden():
    values = np.ones((NUM_SEEDS, 6))
    values[0, 3:] = np.nan
    data = dataset(v=Array(values, ("seed", "group"), "1", "v"))
    figure = drawn(data, Panel("curves", "group", (Line("v", "x"),)))
    assert f"x\n3/{values.size} missing" in [text for text, _ in boxes(figure)]
    known = Line("v", "x", missing="below rounding")
    figure = drawn(data, Panel("curves", "group", (known,)))
    assert f"x\n3/{values.size} below rounding" in [text for text, _ in boxes(figure)]


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


def test_figures_are_the_same_whatever_the_user_has_set():
    """No setting of matplotlib's moves a byte: LaTeX, scales, fonts, grids, widths, formats."""
    import matplotlib
    from matplotlib import style

    plain = render(drawn(dataset(), groups()))
    ours = {
        "text.usetex": True,
        "axes.formatter.use_locale": True,
        "axes.prop_cycle": matplotlib.cycler(color=["red"]),
        "font.family": "serif",
        "figure.constrained_layout.use": False,
        "figure.autolayout": True,
        "savefig.bbox": "tight",
        "savefig.transparent": True,
        "savefig.format": "svg",
        "lines.linestyle": ":",
        "axes.xmargin": 0.4,
        "image.cmap": "jet",
    }
    with matplotlib.rc_context():
        style.use("dark_background")
        matplotlib.rcParams.update(ours)
        assert render(drawn(dataset(), groups())) == plain
        assert matplotlib.rcParams["text.usetex"]  # and the user's settings are left alone


def test_words_along_the_axis_are_not_joined():
    data = dataset(v=Array(np.array([1.0, 2.0]), ("method",), "1", "noise"))
    (axes,) = drawn(data, Panel("curves", "method", (Line("v"),))).axes
    assert [label.get_text() for label in axes.get_xticklabels()] == ["one", "two"]
    assert by_mark(axes, "line:0")[0].get_linestyle() == "None"


def test_traces_are_the_members():
    figure = drawn(dataset(), Panel("convergence", "iteration", groups().lines[:1], traces=True))
    rows = [line.get_ydata() for line in by_mark(figure.axes[0], "traces:0")]
    np.testing.assert_array_equal(rows, close_errors()[0])


def test_files_are_the_same_bytes_each_time_with_embedded_fonts():
    first, second = (render(drawn(dataset(), groups())) for _ in range(2))
    assert first == second
    assert first["png"].startswith(b"\x89PNG")
    assert first["pdf"].startswith(b"%PDF")
    assert b"/FontFile2" in first["pdf"]
    assert b"CreationDate" not in first["pdf"]


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


def seeds(count: int, values: np.ndarray, **options: Any) -> Any:
    """A figure of `values [S, T]` of `count` seeds, and its only axes."""
    data = to_dataset({"v": Array(values[:count], ("seed", "iteration"), "1", "v")})
    figure = drawn(data, Panel(options.pop("kind", "convergence"), "iteration", (Line("v"),)))
    return figure.axes[0]


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


def test_zeros_on_a_logarithmic_axis_are_gaps_that_are_counted_not_spikes():
    values = np.tile(0.5**ITERATIONS, (1, 1))
    values[0, [20, 22, 23]] = 0.0  # between two zeros a point stands alone
    axes = seeds(1, values)
    (line,) = by_mark(axes, "line:0")
    shown = np.asarray(line.get_ydata())
    np.testing.assert_array_equal(np.flatnonzero(np.isnan(shown)), [20, 22, 23])
    np.testing.assert_array_equal(np.delete(shown, [20, 22, 23]), values[0][values[0] > 0])
    (point,) = by_mark(axes, "alone")
    np.testing.assert_array_equal(point.get_xdata(), [21])
    assert "3 points at or below 0 not shown" in [t.get_text() for t in axes.texts]


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
    labels = [text for text in axes.texts if text.get_gid() == "label"]
    assert len(labels) == 3
    for text in labels:
        box = text.get_window_extent()
        assert box.x1 > frame.x1 or frame.padded(1).contains(box.x0, box.y0), text.get_text()
        assert box.x0 > frame.x1 or frame.padded(1).contains(box.x1, box.y1), text.get_text()
    assert_labels_apart(figure)
