"""One page of many runs: self-contained, without network, the same for the same runs.

Figures are matplotlib's SVG rather than drawings of a library in the browser: the renderer that
draws a run's files draws them here, every kind of panel as it is there, and a page needs no code of
others; what is chosen and enlarged are groups and the frame of the same drawing.

The page allows itself its own style and script, by their hashes, and the pictures that it holds;
nothing else is loaded or run, whatever a run says.
"""

import base64
import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from importlib.resources import files

from fineq.claims import Entry
from fineq.report.claims import EVERY, SIGNS, Row, badges, details, overview, paper, rows
from fineq.report.elements import Markup, element, joined
from fineq.report.found import Lost, Shown
from fineq.report.studies import articles, without_results
from fineq.runs.overall import count_verdicts


def page(
    title: str, runs: Sequence[Shown], lost: Sequence[Lost], registered: Iterable[Entry]
) -> str:
    """Return the page as HTML.

    Args:
        title: of the page.
        runs: those with results.
        lost: folders without.
        registered: all claims there are; those that no run speaks of are shown as not run.
    """
    registered = tuple(registered)
    found = rows(runs, registered)
    style, script = (_resource(f"page.{suffix}") for suffix in ("css", "js"))
    body = (
        element("a", "Skip to the claims", href="#overview", class_="skip"),
        _header(title, runs, found),
        element(
            "main",
            element("section", element("h2", "Claims"), overview(found, registered), id="overview"),
            element("section", _measured(found), id="measured"),
            element("section", without_results(lost)) if lost else None,
            element("section", element("h2", "Studies"), articles(runs, registered), id="studies"),
        ),
        _zoom(),
        element("script", script),
    )
    head = (
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=_policy(style, script)),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("title", title),
        element("style", style),
    )
    html = element("html", element("head", head), element("body", body), lang="en")
    return f"<!doctype html>\n{html}\n"


def _resource(name: str) -> Markup:
    """The style or the script: ours, and no text to be escaped."""
    return Markup((files("fineq.report") / name).read_text(encoding="utf-8"))


def _policy(style: str, script: str) -> str:
    allowed = {
        "default-src": "'none'",
        "style-src": _hash(style),
        "script-src": _hash(script),
        "img-src": "data:",
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    return "; ".join(f"{name} {value}" for name, value in allowed.items())


def _hash(text: str) -> str:
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return f"'sha256-{digest}'"


def _header(title: str, runs: Sequence[Shown], found: Sequence[Row]) -> Markup:
    counts = Counter(row.verdict for row in found)
    note = count_verdicts([claim.to_dict() for run in runs for claim in run.claims])["note"]
    links = {"#overview": "Claims", "#measured": "What was measured", "#studies": "Studies"}
    nav = element("nav", [element("a", v, href=k) for k, v in links.items()], aria_label="Page")
    theme = element("button", "Theme: system", type="button", id="theme", class_="scripted")
    return element(
        "header",
        element("div", element("h1", title), nav, theme, class_="bar"),
        element("p", badges(counts)),
        element("p", f"{_runs_words(len(runs))}. {note[:1].upper()}{note[1:]}."),
    )


def _runs_words(number: int) -> str:
    return "One run" if number == 1 else f"{number} runs"


def _measured(found: Sequence[Row]) -> Markup:
    return joined(
        element("h2", "What was measured"),
        _filters(found),
        details(found),
        element("p", "No row is left by these filters.", id="none", hidden=True),
    )


def _filters(found: Sequence[Row]) -> Markup:
    verdicts = [(verdict, verdict) for verdict in SIGNS]
    search = element("input", id="q", type="search", autocomplete="off", spellcheck="false")
    return element(
        "form",
        element("label", "Search ", search, for_="q"),
        _select("paper", _alike(paper(row.source) for row in found)),
        _select("claim", _alike(row.id for row in found)),
        _select("study", _alike(row.run.run.study for row in found if row.run)),
        _select("verdict", [*verdicts, (EVERY, EVERY)], "judged or not run"),
        element("button", "Clear", type="reset"),
        element("output", "", id="count", aria_live="polite"),
        id="filters",
        class_="scripted",
        role="search",
        aria_label="Filter the rows",
    )


def _alike(values: Iterable[str]) -> list[tuple[str, str]]:
    return [(value, value) for value in sorted(set(values))]


def _select(key: str, options: Sequence[tuple[str, str]], every: str = "all") -> Markup:
    chosen = [element("option", text, value=value) for value, text in options]
    select = element("select", element("option", every, value=""), chosen, id=key)
    return element("label", f"{key.capitalize()} ", select, for_=key)


def _zoom() -> Markup:
    buttons = {"in": "+", "out": "−", "whole": "Whole figure", "close": "Close"}
    aloud = {"in": "Larger", "out": "Smaller", "whole": None, "close": None}
    return element(
        "dialog",
        element(
            "div",
            element("strong", "", id="zoomed-name"),
            [
                element("button", text, type="button", data_zoom=key, aria_label=aloud[key])
                for key, text in buttons.items()
            ],
            class_="tools",
        ),
        element("div", "", id="zoomed", tabindex="0", role="group", aria_labelledby="zoomed-name"),
        element("p", "Wheel or + and − enlarge; drag or arrow keys move; 0 shows all; Esc closes."),
        id="zoom",
        aria_labelledby="zoomed-name",
    )
