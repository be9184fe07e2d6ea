"""The claims on a page: one row for each that is registered, and one for each that was measured.

What was judged has a row of its own with the reason of its verdict; what was measured without a
theory beside it has one row for all values of a sweep, as on a terminal.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import urlencode

from fineq.claims import Claim, Entry
from fineq.report.elements import Child, Markup, apart, element, joined
from fineq.report.found import Shown
from fineq.report.mathtext import said
from fineq.report.tables import badge, ordered, row_of, small, table_of
from fineq.table import measured_words, rows_of, theory_words

#: Verdicts in the order of how much they ask to be looked at, with their signs.
SIGNS = {
    "fails": "✕",
    "inconclusive": "?",
    "not run": "–",
    "not refuted": "○",
    "holds": "✓",
    "measured": "·",
}
UNRUN = "no run in this folder speaks of it"
#: What they say, in short; `docs/theory.md` has it in full.
MEANING = {
    "holds": "theory allows all that the measured interval holds",
    "not refuted": "it is about all there is, some of it was tried, and none was against it",
    "inconclusive": "the interval holds allowed and other numbers, or seeds or steps are too few: "
    "the reason says what would decide",
    "fails": "theory allows nothing that the interval holds, on these instances; a theorem is "
    "refuted only where its conditions hold",
    "measured": "a number that no theory is held against",
    "not run": UNRUN,
}
#: What asks for rows of all verdicts, those of measurements alone included.
EVERY = "everything"


class Row(NamedTuple):
    """A row of the table of what was measured; `value` sorts it, `run` is None where unrun."""

    key: str
    id: str
    about: str
    instance: str
    source: str
    measured: str
    theory: str
    verdict: str
    reason: str
    value: float | None
    run: Shown | None


def rows(runs: Sequence[Shown], registered: Iterable[Entry]) -> list[Row]:
    """Return a row for each claim measured, and one for each registered claim that was not."""
    found = [row for run in runs for row in _of_run(run)]
    spoken = {row.id for row in found}
    return found + [_unrun(entry) for entry in registered if entry.id not in spoken]


def _of_run(run: Shown) -> Iterator[Row]:
    for number, claim in enumerate(one for one in run.claims if one.verdict):
        yield _judged(f"{run.key}-claim-{number}", claim, run)
    sources = {claim.id: claim.source for claim in run.claims}
    _, measured = rows_of(claim.to_dict() for claim in run.claims)
    for number, row in enumerate(measured):
        key = f"{run.key}-measured-{number}"
        about = (row.id, row.about, "", sources[row.id], row.measured, "")
        yield Row(key, *about, "measured", "no theory is held against it", None, run)


def _judged(key: str, claim: Claim, run: Shown) -> Row:
    data: dict[str, Any] = claim.to_dict()
    note = data["theory"]["note"]
    return Row(
        key,
        claim.id,
        claim.statement,
        claim.instance,
        claim.source,
        measured_words({**data["measured"], "confidence": data["confidence"]}),
        theory_words({**data["theory"], "margin": data["margin"]}),
        str(claim.verdict),
        claim.reason + (f" ({note})" if note else ""),
        claim.measured.value,
        run,
    )


def _unrun(entry: Entry) -> Row:
    key = f"unrun-{slug(entry.id)}"
    words = ("", entry.source, "", entry.relation, "not run", UNRUN)
    return Row(key, entry.id, entry.statement, *words, None, None)


def slug(id: str) -> str:
    """Return the id of a claim, `area/claim`, as a fragment of an address."""
    return id.replace("/", "-")


def paper(source: str) -> str:
    """Return the paper of a source, `arXiv 2303.08431` of `arXiv 2303.08431, Fig. 1a`."""
    return source.partition(",")[0].strip()


def badges(counts: Mapping[str, int], **wanted: str) -> Markup:
    """Return how often each verdict was earned; each leads to its rows among those wanted."""
    return apart(
        badge(
            sign, verdict, _often(verdict, counts[verdict]), href=address(**wanted, verdict=verdict)
        )
        for verdict, sign in SIGNS.items()
        if counts.get(verdict)
    )


def _often(verdict: str, number: int) -> str:
    """Two hold, one holds."""
    return f"{number} {verdict if number == 1 else verdict.removesuffix('s')}"


def address(**wanted: str) -> str:
    """Return the fragment at which the table of what was measured shows the rows wanted."""
    return f"#{urlencode(wanted, safe='/')}"


def legend() -> Markup:
    """Return what verdicts and sources mean."""
    words: list[tuple[Child, str]] = [
        *((badge(SIGNS[verdict], verdict), text) for verdict, text in MEANING.items()),
        ("fineq", "for a paper: the claim is our own, no paper makes it"),
    ]
    entries = [(element("dt", name), element("dd", text)) for name, text in words]
    return element(
        "details", element("summary", "What the words mean"), element("dl", entries), id="words"
    )


def overview(found: Sequence[Row], registered: Iterable[Entry]) -> Markup:
    """Return the table of all claims, each with the verdicts it has earned."""
    known = {entry.id: entry for entry in registered}
    for row in found:
        known.setdefault(row.id, Entry(row.id, row.about, row.source, ""))
    counts: dict[str, Counter[str]] = {id: Counter() for id in known}
    for row in found:
        counts[row.id][row.verdict] += 1
    body = [_registered(entry, counts[id]) for id, entry in known.items()]
    heads = ("Claim", "Paper", "In symbols", "Verdicts")
    caption = "Every claim, and the verdicts that its measurements earned"
    return table_of("claims", caption, heads, body)


def _registered(entry: Entry, counts: Mapping[str, int]) -> Markup:
    worst = next(verdict for verdict in SIGNS if counts.get(verdict))
    name = element("a", entry.id, href=address(claim=entry.id, verdict=EVERY), class_="id")
    cells = (
        ("Claim", [name, element("p", said(entry.statement))], entry.id),
        ("Paper", source_words(entry.source), entry.source),
        ("In symbols", said(entry.relation), None),
        ("Verdicts", badges(counts, claim=entry.id), list(SIGNS).index(worst)),
    )
    return row_of(f"claim-{slug(entry.id)}", cells, data_tone=worst, data_verdict=worst)


def source_words(source: str) -> Markup:
    """Return a source, with a link where it is a paper of the arXiv."""
    kind, _, number = paper(source).partition(" ")
    rest = source[len(paper(source)) :]
    if kind != "arXiv" or not number.replace(".", "").isdigit():
        return joined(source)
    link = element("a", f"arXiv {number}", href=f"https://arxiv.org/abs/{number}", rel="noreferrer")
    return joined(link, rest)


def details(found: Sequence[Row]) -> Markup:
    """Return the table of all that was measured."""
    heads = ("Claim", "Paper", "Measured", "Theory", "Verdict", "Run")
    caption = "What was measured, what theory allows, and the verdict of both with its reason"
    return table_of("rows", caption, heads, [_measured(row) for row in found])


def _measured(row: Row) -> Markup:
    order = list(SIGNS).index(row.verdict)
    value, *rest = row.measured.split("\n")
    allowed, *formula = row.theory.split("\n")
    where = element("p", said(row.instance), class_="instance") if row.instance else None
    about = [
        element("a", row.id, href=f"#{row.key}", class_="id"),
        element("p", said(row.about)),
        where,
    ]
    cells = (
        ("Claim", about, row.id),
        ("Paper", source_words(row.source), row.source),
        ("Measured", [element("b", value), small(rest)], ordered(row.value)),
        ("Theory", [said(allowed), small(formula)], None),
        ("Verdict", [badge(SIGNS[row.verdict], row.verdict), small([row.reason])], order),
        ("Run", _run_words(row.run, row.id), ordered(row.run and row.run.seconds)),
    )
    data = {
        "data_claim": row.id,
        "data_paper": paper(row.source),
        "data_study": row.run.run.study if row.run else "",
        "data_run": row.run.key if row.run else "",
        "data_verdict": row.verdict,
        "data_tone": row.verdict,
    }
    return row_of(row.key, cells, **data)


def _run_words(run: Shown | None, claim: str) -> Markup | None:
    if run is None:
        return None
    shown = [picture for picture in run.pictures if picture.figure.shows(claim)]
    figures = apart(element("a", p.figure.name, href=f"#{p.key}") for p in shown)
    return joined(
        element("a", run.run.study, href=f"#{run.key}"),
        element("p", minutes(run.seconds), class_="small"),
        element("p", "figures: ", figures, class_="small") if figures else None,
        element("details", element("summary", "command"), element("code", run.command)),
    )


def minutes(seconds: float | None) -> str:
    """Return a time in words."""
    if seconds is None:
        return "time unknown"
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.1f} min"
