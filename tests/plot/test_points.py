"""Panels of points: where they lie, how far their intervals reach, and whose curve is beside."""

import numpy as np
import pytest

from fineq.figures import Line, Panel, Theory
from fineq.results import Array
from fineq.runs import to_dataset
from tests.plot.common import assert_labels_apart, by_mark, drawn

RNG = np.random.default_rng(0)
DIMS = ("method", "seed")
COST = np.exp(RNG.normal(size=(2, 6)))
GAIN = RNG.normal(size=(2, 6))
AT = np.geomspace(0.1, 10.0, 5)
MOST = np.log(AT) + 0.1 * np.arange(6)[:, None]


def data(cost=COST, gain=GAIN, most=MOST):
    named = {
        "cost": Array(cost, DIMS, "nat", "cost"),
        "gain": Array(gain, DIMS, "1", "gain"),
        "most": Array(most, ("seed", "nats"), "1", "most"),
    }
    coords = {
        "method": Array(np.array(["one", "two"]), DIMS[:1], "1", "method"),
        "seed": Array(np.arange(cost.shape[1]), DIMS[1:], "1", "seed"),
        "nats": Array(AT, ("nats",), "nat", "nats"),
    }
    return to_dataset(named, coords)


def panel(**options):
    lines = tuple(Line("gain", name, {"method": name}) for name in ("one", "two"))
    ideal = Theory("ideal", variable="most")
    return Panel("scatter", "cost", lines, (ideal,), xscale="log", **options)


def test_a_point_is_at_both_medians_and_its_bars_reach_over_the_seeds():
    axes = drawn(data(), panel()).axes[0]
    for index in range(2):
        (point,) = by_mark(axes, f"line:{index}")
        np.testing.assert_allclose(
            point.get_xydata()[0], [np.median(COST[index]), np.median(GAIN[index])]
        )
    # The range of six values covers their median at 95%.
    ends = np.concatenate([np.concatenate(c.get_segments()) for c in axes.collections[:2]])
    np.testing.assert_allclose([ends[:, 0].min(), ends[:, 0].max()], [COST[0].min(), COST[0].max()])
    np.testing.assert_allclose([ends[:, 1].min(), ends[:, 1].max()], [GAIN[0].min(), GAIN[0].max()])
    assert axes.get_xlabel() == "cost [nat]"
    assert "95% interval of 6 seeds" in "".join(text.get_text() for text in axes.texts)


def test_a_curve_has_its_own_axis_and_ends_where_a_seed_does_not_know_it():
    most = MOST.copy()
    most[2, -1] = np.nan
    axes = drawn(data(most=most), panel()).axes[0]
    (curve,) = by_mark(axes, "theory:0")
    np.testing.assert_allclose(curve.get_xydata(), np.stack([AT, np.median(MOST, 0)], 1)[:-1])


def test_a_member_that_diverged_is_said_and_not_averaged():
    cost = COST.copy()
    cost[1, 0] = np.inf
    figure = drawn(data(cost), panel())
    axes = figure.axes[0]
    (point,) = by_mark(axes, "line:1")
    np.testing.assert_allclose(point.get_xydata()[0, 1], np.median(GAIN[1, 1:]))
    assert "two (1/6 missing)" in [text.get_text() for text in axes.texts]
    assert_labels_apart(figure)


def test_on_a_logarithmic_axis_bars_end_at_its_edge_and_a_point_below_zero_is_said():
    cost = COST.copy()
    cost[0, 0], cost[1] = -1.0, -COST[1]
    axes = drawn(data(cost), panel()).axes[0]
    ends = np.concatenate([np.concatenate(c.get_segments()) for c in axes.collections[:2]])
    assert np.all(ends[:, 0] >= axes.get_xlim()[0] * (1 - 1e-9))  # to rounding
    assert not by_mark(axes, "line:1")
    assert "1 point at or below 0 not shown" in "".join(text.get_text() for text in axes.texts)


def test_what_is_no_point_or_no_curve_is_refused():
    line = Line("gain", "", {"method": "one"})
    panels = {
        r"'cost' still has the dimensions \['method'\]": Panel("scatter", "cost", (Line("gain"),)),
        "'gain' needs one dimension beside members": Panel(
            "scatter", "cost", (line,), (Theory("ideal", variable="gain", at=line.at),)
        ),
    }
    data_set = data()
    for said, wrong in panels.items():
        with pytest.raises(ValueError, match=said):
            drawn(data_set, wrong)
