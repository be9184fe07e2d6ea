"""The runs on a page: what one should see, the figures, and what made the numbers."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

import yaml

from fineq.claims import Entry
from fineq.report.claims import badges, minutes
from fineq.report.elements import Markup, apart, element, joined
from fineq.report.found import Lost, Picture, Shown
from fineq.report.mathtext import said, typeset
from fineq.runs import SavedRate
from fineq.settings.config import WITHOUT_EFFECT

_WIDTH = re.compile(r'viewBox="0 0 ([\d.]+) ')
_COLUMN = 374.0  # width of a panel in a drawing
_ABOUT = ("precision", "machine", "devices", "platform", "commit", "versions", "blocks", "flags")


def articles(runs: Sequence[Shown], registered: Iterable[Entry]) -> Markup:
    """Return every run with its figures, by area."""
    known = {entry.id: entry for entry in registered}
    areas = groupby(runs, lambda run: str(run.run.summary["area"]))
    return joined(
        element(
            "section",
            element("h3", area),
            [_article(run, known) for run in of_area],
            class_="area",
        )
        for area, of_area in areas
    )


def without_results(lost: Sequence[Lost]) -> Markup:
    """Return what folders there are that the page leaves out, and why."""
    items = [element("li", element("code", one.path), ": ", one.why) for one in lost]
    return joined(element("h2", "Runs left out", id="lost"), element("ul", items, class_="lost"))


def _article(run: Shown, known: Mapping[str, Entry]) -> Markup:
    name = run.path.rpartition("/")[2]
    small = element("small", name)
    heading = element("h4", element("a", run.run.study, href=f"#{run.key}"), " ", small)
    return element(
        "article",
        heading,
        element("p", _facts_words(run), class_="facts"),
        element("pre", element("code", run.command), tabindex="0", class_="command"),
        element("h5", "What one should see"),
        element("ul", _expected(run, known), class_="expected"),
        [figure(run, picture) for picture in run.pictures],
        _fold("Fitted rates", _rates(run.run.rates)),
        _fold("Notes", _facts({k: v for k, v in run.run.notes.items() if v})),
        _fold("Configuration", _yaml(_counting(run.run.config))),
        _fold("Versions and device", _environment(run.run.summary["environment"])),
        id=run.key,
        aria_label=f"{run.run.study}, {name}",
    )


def _facts_words(run: Shown) -> str:
    config, about = run.run.config, run.run.summary["environment"]
    parts = (
        run.run.status.replace("_", " "),
        f"profile {config['profile']}" if "profile" in config else "",
        f"seeds {config['seeds']}" if "seeds" in config else "",
        minutes(run.seconds),
        f"on {words_of(about['devices'])}" if about.get("devices") else "",
        words_of(about.get("precision", "")),
    )
    return " · ".join(filter(None, parts))


def _expected(run: Shown, known: Mapping[str, Entry]) -> Iterator[Markup]:
    """What each claim that the run speaks of says, and the verdicts it has here."""
    for id in dict.fromkeys(claim.id for claim in run.claims):
        mine = [claim for claim in run.claims if claim.id == id]
        counts = Counter(claim.verdict or "measured" for claim in mine)
        entry = known.get(id)
        words = said(entry.statement if entry else mine[0].statement)
        symbols = element("small", said(entry.relation)) if entry else None
        yield element("li", apart([words, symbols, badges(counts, claim=id, run=run.key)]))


def figure(run: Shown, picture: Picture, side: str = "") -> Markup:
    """Return a figure with what may be chosen in it, and its caption, after the side it is of."""
    name, caption = picture.figure.name, picture.figure.caption
    if picture.drawing is None:
        shown = element("p", f"Not drawn: {picture.why}", class_="undrawn")
        return element("figure", shown, element("figcaption", side, " ", name), id=picture.key)
    found = _WIDTH.search(picture.drawing)
    columns = min(max(round(float(found[1]) / _COLUMN), 1), 3) if found else 1
    selects = [
        _select(f"{picture.key}-choice-{i}", i, label, choice.values)
        for i, (choice, label) in enumerate(zip(picture.choices, picture.names, strict=True))
    ]
    aloud = f"Enlarge {' '.join(filter(None, (run.run.study, side)))}, {name}"
    zoom = element("button", "Enlarge", type="button", class_="zoom", aria_label=aloud)
    note = picture.figure.note
    return element(
        "figure",
        element("div", selects, zoom, class_="tools"),
        # What is wider than a phone can be moved by the keyboard too.
        element(
            "div", picture.drawing, class_="drawing", tabindex="0", role="group", aria_label=name
        ),
        element(
            "figcaption",
            element("b", side, " ") if side else None,
            element("a", name, href=f"#{picture.key}"),
            " ",
            typeset(caption),
            " " + note if note else None,
        ),
        id=picture.key,
        data_columns=columns,
    )


def _select(key: str, index: int, label: str, values: Sequence[str]) -> Markup:
    options = [element("option", value, value=i) for i, value in enumerate(values)]
    every = element("option", "all", value="")
    select = element("select", every, options, id=key, data_choice=index)
    return element("label", label, " ", select, for_=key)


def _fold(title: str, content: Markup | None) -> Markup | None:
    return content and element("details", element("summary", title), content)


def _rates(rates: Sequence[SavedRate]) -> Markup | None:
    if not rates:
        return None
    heads = ("Quantity", "Method", "Rate", "Low", "High", "Seeds", "Verdict")
    return plain_table("Fitted rates", heads, rates)


def plain_table(name: str, heads: Sequence[str], rows: Iterable[Iterable[Any]]) -> Markup:
    """Return a table of plain data; one wider than the page is moved sideways."""
    body = [element("tr", [element("td", words_of(part)) for part in row]) for row in rows]
    columns = element("tr", [element("th", head, scope="col") for head in heads])
    table = element("table", element("thead", columns), element("tbody", body))
    return element("div", table, class_="wide", tabindex="0", role="group", aria_label=name)


def _counting(config: Mapping[str, Any]) -> dict[str, Any]:
    """What says what is computed: no folders of who ran it."""
    left_out = {*WITHOUT_EFFECT} - {"profile"}
    return {name: value for name, value in config.items() if name not in left_out}


def _yaml(config: Mapping[str, Any]) -> Markup:
    text = yaml.safe_dump(dict(config), sort_keys=False, allow_unicode=True)
    return element("pre", element("code", text), tabindex="0")


def _environment(about: Mapping[str, Any]) -> Markup | None:
    return _facts({name: about[name] for name in _ABOUT if about.get(name)})


def _facts(about: Mapping[str, Any]) -> Markup | None:
    if not about:
        return None
    return element("dl", [(element("dt", k), element("dd", words_of(v))) for k, v in about.items()])


def words_of(value: Any) -> str:
    """Return plain data in words."""
    if isinstance(value, Mapping):
        return ", ".join(f"{words_of(k)} {words_of(v)}" for k, v in value.items())
    if isinstance(value, (list, tuple)):
        return ", ".join(map(words_of, value))
    if isinstance(value, float):
        return f"{value:.4g}"
    return "–" if value is None else str(value)
