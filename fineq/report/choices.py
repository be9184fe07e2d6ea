"""What a reader may choose in a figure: a value along each dimension that tells its lines apart."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from fineq.figures import Figure, Panel
from fineq.report.vector import Marks

_OF_LINE = ("line", "band", "members", "traces", "fit", "bars", "alone", "stop")
_MARK = re.compile(r"(?:(?:label|leader):)?([a-z]+):(\d+)")
MOST = 40  # values of a choice; more are no choice


class Choice(NamedTuple):
    """A dimension of the lines of a figure, and its values in words."""

    dimension: str
    values: tuple[str, ...]


def choices(figure: Figure) -> list[Choice]:
    """Return the dimensions along which the lines of a figure have several values."""
    seen: dict[str, list[Any]] = {}
    for panel in figure.panels:
        for drawn in (*panel.lines, *panel.theory):
            for dimension, value in drawn.at.items():
                seen.setdefault(dimension, []).append(value)
    found = [Choice(dimension, _in_order(values)) for dimension, values in seen.items()]
    return [choice for choice in found if 1 < len(choice.values) <= MOST]


def marks(figure: Figure, among: Iterable[Choice]) -> Marks:
    """Return what tells, of a group of the drawing, the values that it is drawn at.

    The group of a line, with its band and label, has `data-at-<i>="<j>"` for the value j of choice
    i; theory's has those of the line it belongs to; axes have what all their lines share.
    """
    known = tuple(among)

    def attributes(number: int, mark: str) -> Mapping[str, str]:
        if not 0 <= number < len(figure.panels):
            return {}
        panel = figure.panels[number]
        if mark == f"axes_{number + 1}":
            return _shared([_places(known, line.at) for line in panel.lines])
        return _places(known, _at(panel, mark))

    return attributes


def words_of(value: Any) -> str:
    """Return a value of a dimension as it is written."""
    return f"{value:g}" if isinstance(value, (int, float)) else str(value)


def _in_order(values: list[Any]) -> tuple[str, ...]:
    numbers = all(isinstance(value, (int, float)) for value in values)
    return tuple(dict.fromkeys(map(words_of, sorted(values) if numbers else values)))


def _at(panel: Panel, mark: str) -> Mapping[str, Any]:
    """Where the line is drawn that a mark belongs to; nowhere in particular for other marks."""
    found = _MARK.fullmatch(mark)
    if found is None:
        return {}
    kind, index = found[1], int(found[2])
    if kind in _OF_LINE and index < len(panel.lines):
        return panel.lines[index].at
    if kind == "theory" and index < len(panel.theory):
        theory = panel.theory[index]
        own = panel.lines[theory.line].at if 0 <= theory.line < len(panel.lines) else {}
        return {**own, **theory.at}
    return {}


def _places(known: tuple[Choice, ...], at: Mapping[str, Any]) -> dict[str, str]:
    return dict(_each_place(known, at))


def _each_place(known: tuple[Choice, ...], at: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for i, choice in enumerate(known):
        if choice.dimension in at:
            yield f"data-at-{i}", str(choice.values.index(words_of(at[choice.dimension])))


def _shared(places: list[dict[str, str]]) -> dict[str, str]:
    if not places:
        return {}
    return {k: v for k, v in places[0].items() if all(each.get(k) == v for each in places)}
