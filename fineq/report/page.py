"""The page of many runs: every claim, what was measured of it, and each run with its figures.

It is self-contained, and the same for the same runs. Figures are matplotlib's SVG rather than
drawings of a library in the browser: the renderer that draws a run's files draws them here, every
kind of panel as it is there, and a page needs no code of others; what is chosen and enlarged are
groups and the frame of the same drawing.
"""

from collections import Counter
from collections.abc import Iterable, Sequence

from fineq.claims import Entry
from fineq.report.claims import EVERY, SIGNS, Row, badges, details, legend, overview, paper, rows
from fineq.report.elements import Child, Markup, element
from fineq.report.found import Lost, Shown
from fineq.report.frame import alike, document, filters, no_rows
from fineq.report.studies import articles, without_results
from fineq.runs.overall import count_verdicts

LINKS = {"#overview": "Claims", "#measured": "What was measured", "#studies": "Studies"}


def page(
    title: str, runs: Sequence[Shown], lost: Sequence[Lost], registered: Iterable[Entry]
) -> str:
    """Return the page as HTML.

    Args:
        title: of the page.
        runs: those with results.
        lost: folders that are left out.
        registered: all claims there are; those that no run speaks of are shown as not run.
    """
    registered = tuple(registered)
    found = rows(runs, registered)
    return document(
        title,
        LINKS,
        _about(runs, found),
        element(
            "section",
            element("h2", "Claims"),
            legend(),
            overview(found, registered),
            id="overview",
        ),
        element(
            "section",
            element("h2", "What was measured"),
            _filters(found),
            details(found),
            no_rows(),
            id="measured",
        ),
        element("section", without_results(lost)) if lost else None,
        element("section", element("h2", "Studies"), articles(runs, registered), id="studies"),
    )


def _about(runs: Sequence[Shown], found: Sequence[Row]) -> list[Child]:
    note = count_verdicts([claim.to_dict() for run in runs for claim in run.claims])["note"]
    many = "One run" if len(runs) == 1 else f"{len(runs)} runs"
    return [badges(Counter(row.verdict for row in found)), f"{many}. {note[:1].upper()}{note[1:]}."]


def _named(run: Shown) -> tuple[str, str]:
    return run.key, f"{run.run.study} {run.path.rpartition('/')[2]}"


def _filters(found: Sequence[Row]) -> Markup:
    verdicts = [*((verdict, verdict) for verdict in SIGNS), (EVERY, EVERY)]
    return filters(
        {
            "paper": ("all", alike(paper(row.source) for row in found)),
            "claim": ("all", alike(row.id for row in found)),
            "study": ("all", alike(row.run.run.study for row in found if row.run)),
            "run": ("all", list(dict.fromkeys(_named(row.run) for row in found if row.run))),
            "verdict": ("judged or not run", verdicts),
        }
    )
