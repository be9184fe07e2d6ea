"""A small data set of close curves, and ways to look into a drawn figure."""

from typing import Any

import numpy as np

from fineq.figures import Figure, Line, Panel
from fineq.plot import draw
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


def seeds(count: int, values: np.ndarray, **options: Any) -> Any:
    """A figure of `values [S, T]` of `count` seeds, and its only axes."""
    data = to_dataset({"v": Array(values[:count], ("seed", "iteration"), "1", "v")})
    figure = drawn(data, Panel(options.pop("kind", "convergence"), "iteration", (Line("v"),)))
    return figure.axes[0]
