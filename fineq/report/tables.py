"""Tables of a page that sort, that a reader of the screen can follow, and that a phone can show."""

from collections.abc import Iterable, Sequence
from typing import Any

from fineq.report.elements import Markup, element, joined
from fineq.report.mathtext import said

Cells = Sequence[tuple[str, Any, Any]]


def table_of(key: str, caption: str, heads: Sequence[str], body: Sequence[Markup]) -> Markup:
    """Return a table that sorts; the fragment `key` leads to it."""
    # Roles are said though elements have them: on a narrow page rows are laid as blocks.
    columns = [element("th", head, scope="col", role="columnheader") for head in heads]
    return element(
        "table",
        element("caption", caption),
        element("thead", element("tr", columns, role="row"), role="rowgroup"),
        element("tbody", body, role="rowgroup"),
        id=key,
        class_="sorted",
        role="table",
    )


def row_of(key: str, cells: Cells, **attributes: Any) -> Markup:
    """Return a row; of a cell: head of its column, content, what sorts it (None: that).

    Args:
        key: the fragment that leads to it.
        cells: the first names the row.
        attributes: `data_tone` and what rows are filtered by.
    """
    (_, first, order), *others = cells
    head = element("th", first, scope="row", role="rowheader", data_sort=order)
    rest = [
        element("td", content, role="cell", data_name=name, data_sort=order)
        for name, content, order in others
    ]
    return element("tr", head, rest, id=key, role="row", **attributes)


def small(lines: Iterable[str]) -> Markup:
    """Return lines of lesser weight, below what a cell says first."""
    return joined(element("p", said(line), class_="small") for line in lines if line)


def ordered(value: float | None) -> float | str:
    """What sorts a number: one that is not there comes last."""
    return "" if value is None else value


def badge(sign: str, kind: str, words: str = "", **attributes: Any) -> Markup:
    """Return a verdict or a finding with its sign, a link where it has an address."""
    look = f"verdict {kind.replace(' ', '-')}"
    name = "a" if "href" in attributes else "span"
    mark = element("span", sign, aria_hidden="true")
    return element(name, mark, " ", words or kind, class_=look, **attributes)
