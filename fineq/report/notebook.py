"""A run as a notebook shows it: what it is, its claims and its figures; all of it escaped."""

import base64
from collections.abc import Iterator

from fineq.report.elements import Markup, element, joined
from fineq.runs.data import DamagedError, read_bytes
from fineq.runs.folders import LoadedRun
from fineq.runs.summary import is_older
from fineq.table import Row, rows_of

HEADS = ("claim", "measured", "theory", "verdict")
_CELL = {"style": "text-align: left; vertical-align: top; white-space: pre-line"}
_PICTURE = {"style": "max-width: 100%; background: white"}  # figures are drawn to lie on white


def html(run: LoadedRun) -> str:
    """The run as HTML that stands alone: figures are inside it."""
    status = run.status.replace("_", " ")
    named = element("p", element("b", run.study), f", {status}")
    command = element("p", element("code", run.command))
    return element("div", named, command, _claims(run), _notes(run), _figures(run))


def _claims(run: LoadedRun) -> Markup | None:
    rows = [row for part in rows_of(_claims_of(run)) for row in part]
    if not rows:
        return None
    head = element("tr", (element("th", name, scope="col", **_CELL) for name in HEADS))
    return element("table", element("thead", head), element("tbody", map(_row, rows)))


def _claims_of(run: LoadedRun) -> list[dict]:
    """The claims as they stand; those of an older fineq say less, and stay in the summary."""
    return [] if is_older(run.summary) else run.summary["claims"]


def _row(row: Row) -> Markup:
    about = "".join(f"\n{part}" for part in (row.about, row.reason) if part)
    cells = (joined(element("b", row.id), about), row.measured, row.theory, row.ending)
    return element("tr", (element("td", cell, **_CELL) for cell in cells))


def _notes(run: LoadedRun) -> Markup | None:
    notes = [element("li", note) for note in run.notes.values() if note]
    return element("ul", notes) if notes else None


def _figures(run: LoadedRun) -> Iterator[Markup]:
    """The pictures in the run's folder, each with its caption; a damaged one is named."""
    for figure in run.figures:
        name = f"{figure.name}.png"
        if name not in run.summary["files"]:
            continue
        try:
            content = read_bytes(run.path / name, run.summary["files"][name])
        except DamagedError as error:
            yield element("p", str(error))
            continue
        source = f"data:image/png;base64,{base64.b64encode(content).decode()}"
        caption = figure.caption or figure.name
        picture = element("img", src=source, alt=caption, **_PICTURE)
        yield element("figure", picture, element("figcaption", caption))
