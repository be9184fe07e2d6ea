"""What a figure shows, as plain data: variables, labels and theory, never pixels.

A `Figure` travels as JSON inside the data file of a run, so that a figure can be drawn again from
that file alone. `fineq.plot` draws it; this module knows no plotting library.
"""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Scale = Literal["", "linear", "log"]
PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")  # of a file or folder where it is joined


@dataclass(frozen=True)
class Fit:
    """A fitted power law: `exponent` with its interval, drawn between `start` and `stop`.

    The drawn line passes through the geometric centre of the points in that range.
    """

    exponent: float
    low: float | None = None
    high: float | None = None
    start: float | None = None
    stop: float | None = None


@dataclass(frozen=True)
class Line:
    """One measured line.

    Attributes:
        variable: name of the variable in the data.
        label: written at the end of the line; empty for none.
        at: coordinate values that select this line, for example `{"lipschitz": 3.0}`.
        low: variable holding the lower ends of the intervals; empty: quantiles over members.
        high: variable holding the upper ends.
        diverged_at: variable holding, per member, the iteration at which it diverged (NaN, 0
            or negative: never); empty: a member whose last value is not finite has diverged.
        fit: a fitted power law to draw with the points.
        missing: what values that are missing are, where that is known: `below rounding`.

    """

    variable: str
    label: str = ""
    at: Mapping[str, Any] = field(default_factory=dict)
    low: str = ""
    high: str = ""
    diverged_at: str = ""
    fit: Fit | None = None
    missing: str = "missing"


@dataclass(frozen=True)
class Theory:
    """What the theory says, drawn beside the measurement in one of these forms.

    A number that is not finite counts as absent: then nothing is drawn.

    Attributes:
        label: written beside the line.
        variable: a variable over the x axis (selected by `at`).
        ratio: a geometric decay by this factor per iteration.
        exponent: a power law.
        level: a horizontal line.
        threshold: a vertical line; with `line`, a mark on that measured line.
        line: index of the measured line it belongs to: it shares the colour, and a `ratio` or
            `exponent` starts from that line (at x = `start`); -1 for none (drawn grey).
        start: where a `ratio` or an `exponent` starts; None: at the left end.
        at: coordinate values that select `variable`.

    """

    label: str = ""
    variable: str = ""
    ratio: float | None = None
    exponent: float | None = None
    level: float | None = None
    threshold: float | None = None
    line: int = -1
    start: float | None = None
    at: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self):
        forms = (self.ratio, self.exponent, self.level, self.threshold, self.variable or None)
        if sum(form is not None for form in forms) > 1:
            raise ValueError("Theory takes one of variable, ratio, exponent, level, threshold")


@dataclass(frozen=True)
class Panel:
    """One pair of axes.

    Attributes:
        kind: which drawing function: `convergence`, `powerlaw`, `curves`, `fractions`, `field`
            (first line: an image over x and one more dimension; next two: arrows), `image`, or
            `scatter` (each line a point of two variables, `x` that of the horizontal axis).
        x: the coordinate (or one-dimensional variable) on the horizontal axis.
        lines: the measured lines.
        theory: the theory's lines.
        over: the dimensions whose members are summarised (median and band, or a fraction).
        band: the two quantiles of the band; equal ones: the median alone is drawn.
        title, xlabel, ylabel: texts; empty labels are taken from the data's long names.
        xscale, yscale: `linear` or `log`; empty: what the kind usually has.
        ordered: the lines are values of one ordered parameter, so colours run along a scale.
        traces: draw every member as a thin line behind the median.

    """

    kind: str
    x: str
    lines: tuple[Line, ...]
    theory: tuple[Theory, ...] = ()
    over: tuple[str, ...] = ("seed",)
    band: tuple[float, float] = (0.1, 0.9)
    title: str = ""
    xlabel: str = ""
    ylabel: str = ""
    xscale: Scale = ""
    yscale: Scale = ""
    ordered: bool = False
    traces: bool = False


@dataclass(frozen=True)
class Figure:
    """A named figure; `name` is the stem of its files.

    Attributes:
        name: the stem, of letters, digits, `_`, `-` and `.`, so that its files lie in their folder.
        panels: side by side, and below one another where there are many.
        caption: what is shown.
        note: written small below the panels: what of the data is not shown.
        claims: ids of the claims whose numbers it shows; empty: all of its study's.

    """

    name: str
    panels: tuple[Panel, ...]
    caption: str = ""
    note: str = ""
    claims: tuple[str, ...] = ()

    def __post_init__(self):
        if not PLAIN_NAME.fullmatch(self.name):
            raise ValueError(f"a figure is named by letters, digits, _, - and ., got {self.name!r}")

    def shows(self, claim: str) -> bool:
        """Whether a claim's numbers are in it, by the id."""
        return not self.claims or claim in self.claims


def to_json(figures: tuple[Figure, ...]) -> str:
    """Return the figures as strict JSON; non-finite numbers become null."""
    return json.dumps([_finite(asdict(figure)) for figure in figures], allow_nan=False)


def from_json(text: str) -> tuple[Figure, ...]:
    """Return the figures described by `to_json`; raise `ValueError` for anything else."""
    try:
        return tuple(_figure(item) for item in json.loads(text))
    except (TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ValueError(f"not a description of figures: {error}") from None


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    if hasattr(value, "item"):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _figure(item: dict[str, Any]) -> Figure:
    panels = tuple(_panel(panel) for panel in item["panels"])
    claims = tuple(item.get("claims", ()))
    return Figure(item["name"], panels, item["caption"], item.get("note", ""), claims)


def _panel(item: dict[str, Any]) -> Panel:
    lines = tuple(Line(**{**line, "fit": _fit(line["fit"])}) for line in item["lines"])
    theory = tuple(Theory(**entry) for entry in item["theory"])
    plain = {**item, "over": tuple(item["over"]), "band": tuple(item["band"])}
    return Panel(**{**plain, "lines": lines, "theory": theory})


def _fit(item: dict[str, Any] | None) -> Fit | None:
    return None if item is None else Fit(**item)
