"""Direct labels that never overlap: a column at the right edge, free places inside the axes."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backend_bases import RendererBase
from matplotlib.text import Text
from matplotlib.transforms import Bbox

COLUMN_FROM = 0.93  # a line ending right of this fraction of the axes is labelled in the column
_COLUMN_AT = 1.035
_PAD = 2.0  # pixels between two labels
_SMALLEST = 0.65  # how far labels shrink before the column grows beyond the axes
_CLEAR = 9.0  # pixels within which another line makes a label ambiguous
_BACK = 4.0  # cost of moving the label of an end back along its line, per anchor
_RADII = (9, 16, 26, 40, 58, 80, 110)
_SIDES = np.array([0.0, np.pi])
_ANGLES = np.deg2rad(np.arange(0, 360, 22.5))


@dataclass
class Tag:
    """A label and the places it may belong to.

    Attributes:
        text: what to write.
        colour: that of the text.
        anchors: `[N, 2]` in data coordinates; for the end of a line its end comes first.
        line: the mark (`gid`) of the line it belongs to.
        at_end: the label belongs to the end of the line and goes to the column if that is near.
        ranked: earlier anchors are better.
        upright: written along a vertical line, to one side of it.

    """

    text: str
    colour: str
    anchors: np.ndarray
    line: str
    at_end: bool = False
    ranked: bool = False
    upright: bool = False


def spread(targets: np.ndarray, heights: np.ndarray, low: float, high: float) -> np.ndarray:
    """Return centres closest to `targets` (least squares) whose boxes do not overlap.

    Pool-adjacent-violators on the targets less the room taken by the boxes before; the result
    stays within `[low, high]` when the boxes fit, and is centred on it otherwise.

    Args:
        targets: wanted centres, `[N]`.
        heights: heights of the boxes with their padding, `[N]`.
        low: lower end of the allowed interval.
        high: upper end.

    """
    order = np.argsort(targets, kind="stable")
    size = heights[order]
    room = np.concatenate([[0.0], np.cumsum((size[1:] + size[:-1]) / 2)])
    free = _isotonic(targets[order] - room)
    first, last = low + size[0] / 2, high - size[-1] / 2 - room[-1]
    if last < first:
        first = last = (first + last) / 2
    centres = np.empty(len(targets))
    centres[order] = np.clip(free, first, last) + room
    return centres


def _isotonic(values: np.ndarray) -> np.ndarray:
    blocks: list[tuple[float, int]] = []
    for value in values:
        blocks.append((float(value), 1))
        while len(blocks) > 1 and blocks[-2][0] >= blocks[-1][0]:
            (a, m), (b, n) = blocks[-2:]
            blocks[-2:] = [((a * m + b * n) / (m + n), m + n)]
    return np.concatenate([np.full(n, mean) for mean, n in blocks])


def in_column(axes: Axes, tag: Tag) -> bool:
    """Whether the label goes to the column: its line ends at the right edge."""
    return tag.at_end and _fraction(axes, tag.anchors[0])[0] >= COLUMN_FROM


def _fraction(axes: Axes, point: np.ndarray) -> np.ndarray:
    return axes.transAxes.inverted().transform(axes.transData.transform(point))


def write_column(axes: Axes, tags: Sequence[Tag]) -> list[Text]:
    """Write the labels of the column, not yet spread; the layout then makes room for them."""
    return [
        axes.text(
            _COLUMN_AT,
            float(np.clip(_fraction(axes, tag.anchors[0])[1], 0, 1)),
            tag.text,
            color=tag.colour,
            transform=axes.transAxes,
            va="center",
            ha="left",
            linespacing=1.05,
            gid=f"label:{tag.line}",
        )
        for tag in tags
    ]


def spread_column(
    axes: Axes, texts: Sequence[Text], tags: Sequence[Tag], renderer: RendererBase
) -> None:
    """Move the labels of the column apart and join each to the end of its line."""
    if not texts:
        return
    height = axes.get_window_extent(renderer).height
    sizes = np.array([text.get_window_extent(renderer).height + _PAD for text in texts])
    shrink = max(_SMALLEST, min(1.0, height / sizes.sum()))
    for text in texts:
        text.set_fontsize(float(text.get_fontsize()) * shrink)
    sizes = np.array([text.get_window_extent(renderer).height + _PAD for text in texts])
    ends = np.array([_fraction(axes, tag.anchors[0]) for tag in tags])
    wanted = np.clip(ends[:, 1], 0, 1) * height
    centres = spread(wanted, sizes, 0.0, height) / height
    for text, tag, end, centre in zip(texts, tags, ends, centres):
        text.set_y(centre)
        start = (min(max(end[0], 0), 1), float(np.clip(end[1], 0, 1)))
        _leader(axes, tag, start, (_COLUMN_AT - 0.008, centre))


def is_label(text: Text) -> bool:
    """Whether a text is the label of a line."""
    return str(text.get_gid()).startswith("label:")


def _leader(axes: Axes, tag: Tag, start: tuple[float, float], stop: tuple[float, float]) -> None:
    axes.plot(
        [start[0], stop[0]],
        [start[1], stop[1]],
        color=tag.colour,
        linewidth=0.8,
        alpha=0.7,
        transform=axes.transAxes,
        clip_on=False,
        gid=f"leader:{tag.line}",
        scalex=False,
        scaley=False,
    )


def place_free(
    axes: Axes, tags: Sequence[Tag], drawn: Mapping[str, np.ndarray], renderer: RendererBase
) -> None:
    """Write labels inside the axes where they cover neither lines nor one another.

    Args:
        axes: the axes, with their final limits and place.
        tags: the labels.
        drawn: points along everything drawn, `[M, 2]` in pixels, by the mark of the line.
        renderer: measures the texts.

    """
    frame = axes.get_window_extent(renderer)
    taken = [text.get_window_extent(renderer) for text in axes.texts if is_label(text)]
    obstacles = np.concatenate([np.zeros((0, 2)), *drawn.values()])
    to_fraction = axes.transAxes.inverted().transform
    for tag in tags:
        text = _free_text(axes, tag)
        box = text.get_window_extent(renderer)
        others = [points for mark, points in drawn.items() if mark != tag.line]
        foreign = np.concatenate([np.zeros((0, 2)), *others])
        scene = _Scene(frame, taken, obstacles, foreign)
        anchor, corner = _best_place(axes, tag, np.array([box.width, box.height]), scene)
        text.set_position(tuple(to_fraction(corner)))
        taken.append(Bbox([corner, corner + np.array([box.width, box.height])]))
        _join(axes, tag, to_fraction(anchor), to_fraction(_nearest(anchor, taken[-1])), anchor)


def _free_text(axes: Axes, tag: Tag) -> Text:
    return axes.text(
        0,
        0,
        tag.text,
        color=tag.colour,
        transform=axes.transAxes,
        va="bottom",
        ha="left",
        rotation=90 if tag.upright else 0,
        linespacing=1.05,
        gid=f"label:{tag.line}",
        bbox={"facecolor": "white", "alpha": 0.75, "pad": 1.0, "linewidth": 0},
    )


def _join(axes: Axes, tag: Tag, start: np.ndarray, stop: np.ndarray, anchor: np.ndarray) -> None:
    distance = np.hypot(*(axes.transAxes.transform(stop) - anchor))
    if distance > _RADII[1]:
        _leader(axes, tag, tuple(start), tuple(stop))


def _nearest(point: np.ndarray, box: Bbox) -> np.ndarray:
    return np.clip(point, box.min, box.max)


@dataclass
class _Scene:
    """What a label has to avoid, in pixels: everything drawn, and lines that are not its own."""

    frame: Bbox
    taken: Sequence[Bbox]
    obstacles: np.ndarray
    foreign: np.ndarray

    def inside(self, corners: np.ndarray, size: np.ndarray) -> np.ndarray:
        """The corners moved so that the label covers no ticks and titles, where it fits at all."""
        low = np.asarray(self.frame.min) + _PAD
        return np.clip(corners, low, np.maximum(low, np.asarray(self.frame.max) - _PAD - size))

    def costs(self, corners: np.ndarray, size: np.ndarray) -> np.ndarray:
        """Return the costs of a label with its lower left corner at each of these, `[P, 2]`."""
        low, high = corners - _PAD, corners + size + _PAD
        outside = np.maximum(self.frame.min - low, 0).sum(axis=1)
        outside += np.maximum(high - self.frame.max, 0).sum(axis=1)
        clashes = sum((_overlap(low, high, other) for other in self.taken), np.zeros(len(low)))
        hidden = _count(self.obstacles, low, high)
        near = _count(self.foreign, low - _CLEAR, high + _CLEAR)
        return 20.0 * outside + 1e4 * clashes + 15.0 * hidden + 0.7 * near


def _best_place(
    axes: Axes, tag: Tag, size: np.ndarray, scene: _Scene
) -> tuple[np.ndarray, np.ndarray]:
    """Return the anchor and the lower left corner (pixels) with the least cost."""
    anchors = axes.transData.transform(tag.anchors)
    angles = _SIDES if tag.upright else _ANGLES
    ways = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    radii = np.array(_RADII[:1] if tag.upright else _RADII, float)[:, None, None]
    around = anchors[:, None, None] + radii * ways + (ways - 1) / 2 * size
    corners = scene.inside(around.reshape(-1, 2), size)  # [anchors * radii * ways, 2]
    each = len(corners) // len(anchors)
    step = _BACK if tag.ranked else 0.0
    distance = radii[:, 0, 0] + step * np.arange(len(anchors))[:, None]
    away = np.repeat(distance.ravel(), len(ways))
    best = int(np.argmin(away + scene.costs(corners, size)))
    return anchors[best // each], corners[best]


def _count(points: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """How many of points `[M, 2]` lie within each of the boxes with these corners, `[P, 2]`."""
    x, y = points[np.argsort(points[:, 0])].T
    first = np.searchsorted(x, low[:, 0], "right")
    last = np.searchsorted(x, high[:, 0], "left")
    boxes = zip(first, last, low[:, 1], high[:, 1])
    return np.array([np.count_nonzero((y[i:j] > a) & (y[i:j] < b)) for i, j, a, b in boxes])


def _overlap(low: np.ndarray, high: np.ndarray, other: Bbox) -> np.ndarray:
    return np.all(low < other.max, axis=1) & np.all(high > other.min, axis=1)


def along(points: np.ndarray, spacing: float = 3.0) -> np.ndarray:
    """Return points at most `spacing` pixels apart along a polyline `[N, 2]`."""
    points = points[np.all(np.isfinite(points), axis=1)]
    pieces = [points]
    for a, b in itertools.pairwise(points):
        count = min(int(np.hypot(*(b - a)) / spacing), 2000)
        pieces.append(a + np.linspace(0, 1, count + 1)[1:, None] * (b - a))
    return np.concatenate(pieces) if len(points) else points
