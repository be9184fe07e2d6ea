"""What every page has: its head, what it allows itself, filters, and a figure enlarged.

A page allows itself its own style and script, by their hashes, and the pictures that it holds;
nothing else is loaded or run, whatever a run says.
"""

import base64
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from importlib.resources import files

from fineq.report.elements import Child, Markup, element

Options = Sequence[tuple[str, str]]


def document(title: str, links: Mapping[str, str], about: Sequence[Child], *main: Child) -> str:
    """Return a page as HTML.

    Args:
        title: of the page.
        links: to its parts, address to name; the first is what a keyboard may skip to.
        about: paragraphs below the title.
        main: the parts.
    """
    style, script = (_resource(f"page.{suffix}") for suffix in ("css", "js"))
    nav = element("nav", [element("a", v, href=k) for k, v in links.items()], aria_label="Page")
    theme = element("button", "Theme: system", type="button", id="theme", class_="scripted")
    bar = element("div", element("h1", title), nav, theme, class_="bar")
    body = (
        element("a", "Skip to the table", href=next(iter(links)), class_="skip"),
        element("header", bar, [element("p", part) for part in about]),
        element("main", main),
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


def filters(selects: Mapping[str, tuple[str, Options]]) -> Markup:
    """Return what filters the table of rows: words, and for each attribute of rows a choice.

    Args:
        selects: attribute of a row, without its `data-`, to what none chosen is called, and values
            with their names.
    """
    search = element("input", id="q", type="search", autocomplete="off", spellcheck="false")
    return element(
        "form",
        element("label", "Search ", search, for_="q"),
        [_select(key, *about) for key, about in selects.items()],
        element("button", "Clear", type="reset"),
        element("output", "", id="count", aria_live="polite"),
        id="filters",
        class_="scripted",
        role="search",
        aria_label="Filter the rows",
    )


def no_rows() -> Markup:
    """Return what is said where filters leave nothing."""
    return element("p", "No row is left by these filters.", id="none", hidden=True)


def alike(values: Iterable[str]) -> Options:
    """Return values as options that are called what they are."""
    return [(value, value) for value in sorted(set(values))]


def _select(key: str, every: str, options: Options) -> Markup:
    chosen = [element("option", text, value=value) for value, text in options]
    select = element("select", element("option", every, value=""), chosen, id=key)
    return element("label", f"{key.capitalize()} ", select, for_=key)


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
