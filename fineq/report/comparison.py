"""The page of two runs, or two folders of runs, beside each other: what `fineq compare` finds.

What was told and made otherwise, each claim as both found it, and the figures of both side by side.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from fineq.report.claims import SIGNS, address, slug
from fineq.report.elements import Child, Markup, apart, element, joined
from fineq.report.found import Shown, show
from fineq.report.frame import alike, document, filters, no_rows
from fineq.report.mathtext import said
from fineq.report.studies import figure, plain_table
from fineq.report.tables import badge, ordered, row_of, small, table_of
from fineq.runs import LoadedRun
from fineq.runs.compare import ArrayPair, ClaimPair, Comparison, Differing
from fineq.settings.values import shortened
from fineq.table import measured_words

#: Findings in the order of how much they ask to be looked at, with their signs.
FINDINGS = {"differs": "≠", "only A": "–", "only B": "–", "too few seeds": "?", "agrees": "="}
LINKS = {"#overview": "Runs", "#measured": "Claims", "#studies": "Figures"}
_KINDS = {
    "equal": "equal",
    "rounding": "equal to rounding",
    "within": "within chance",
    "few": "of too few seeds to tell",
    "apart": "apart beyond chance",
    "words": "of other words",
    "shape": "of other dimensions or coordinates",
    "first": "in A alone",
    "second": "in B alone",
}
_FOLDERS = 4  # of a path that are shown: outputs/<area>/<study>/<run>


class Beside(NamedTuple):
    """Two runs, or one without a partner.

    Attributes:
        first: of A, None where only B has it.
        second: of B, likewise.
        found: what differs, None without a partner.
    """

    first: Shown | None
    second: Shown | None
    found: Comparison | None = None

    @property
    def any(self) -> Shown:
        """One of them."""
        one = self.first or self.second
        assert one is not None
        return one

    @property
    def finding(self) -> str:
        """Of `FINDINGS`."""
        if self.found is None:
            return "only B" if self.first is None else "only A"
        return "differs" if self.found.differs else "agrees"


def comparison_page(
    title: str, pairs: Iterable[Comparison], alone: Iterable[tuple[str, LoadedRun]]
) -> str:
    """Return the page as HTML.

    Args:
        title: of the page.
        pairs: of runs, compared.
        alone: runs without a partner, with the side, `A` or `B`, that has them.

    Raises:
        InputError: for a run whose claims are of another kind than this fineq's.
    """
    keys: set[str] = set()
    found = [_beside(pair, keys) for pair in pairs]
    for side, run in alone:
        one = _shown(run, keys)
        found.append(Beside(one, None) if side == "A" else Beside(None, one))
    counts = Counter(pair.finding for pair in found)
    claims = [(pair, claim) for pair in found if pair.found for claim in pair.found.claims]
    heads = ("Study", "A", "B", "Told otherwise", "Made otherwise", "Arrays", "Finding")
    body = [_pair(pair) for pair in found]
    pair_table = table_of("pairs", "Each run of A and its partner of B", heads, body)
    return document(
        title,
        LINKS,
        [
            apart(
                badge(FINDINGS[one], one, f"{counts[one]} {one}") for one in FINDINGS if counts[one]
            )
        ],
        element("section", element("h2", "Runs"), pair_table, id="overview"),
        element(
            "section",
            element("h2", "Claims"),
            _filters(claims),
            _claims(claims),
            no_rows(),
            id="measured",
        ),
        element("section", element("h2", "Figures"), map(_article, found), id="studies"),
    )


def _beside(found: Comparison, keys: set[str]) -> Beside:
    second = _shown(found.second, keys, drawn=not _equal(found))
    return Beside(_shown(found.first, keys), second, found)


def _equal(found: Comparison) -> bool:
    """Whether the data of both are, what is drawn of them, and the words at it."""
    first, second = found.first, found.second
    words = [{k: v.attrs for k, v in run.dataset.variables.items()} for run in (first, second)]
    return (
        bool(found.arrays)
        and all(array.kind == "equal" for array in found.arrays)
        and first.figures == second.figures
        and words[0] == words[1]
    )


def _shown(run: LoadedRun, keys: set[str], *, drawn: bool = True) -> Shown:
    return show(run, Path(*run.path.absolute().parts[-_FOLDERS:]), keys, drawn=drawn)


def _pair(pair: Beside) -> Markup:
    found, study = pair.found, pair.any.run.study
    cells = (
        ("Study", element("a", study, href=f"#{pair.any.key}", class_="id"), study),
        ("A", _place(pair.first), None),
        ("B", _place(pair.second), None),
        ("Told otherwise", _names(found.settings) if found else "", None),
        ("Made otherwise", _names(found.made_with) if found else "", None),
        ("Arrays", _kinds(found.arrays) if found else "", None),
        ("Finding", _finding(pair.finding), list(FINDINGS).index(pair.finding)),
    )
    return row_of(f"pair-{pair.any.key}", cells, data_tone=pair.finding)


def _place(run: Shown | None) -> Child:
    if run is None:
        return None
    status = run.run.status.replace("_", " ")
    return [element("code", run.path.rpartition("/")[2]), small([status])]


def _names(parts: Sequence[Differing]) -> str:
    return ", ".join(part.name for part in parts)


def _finding(finding: str, words: str = "") -> Markup:
    return badge(FINDINGS[finding], finding, words)


def _kinds(arrays: Sequence[ArrayPair]) -> str:
    counts = Counter(array.kind for array in arrays)
    return ", ".join(f"{counts[kind]} {words}" for kind, words in _KINDS.items() if counts[kind])


def _filters(claims: Sequence[tuple[Beside, ClaimPair]]) -> Markup:
    return filters(
        {
            "claim": ("all", alike(_one(claim)["id"] for _, claim in claims)),
            "study": ("all", alike(pair.any.run.study for pair, _ in claims)),
            "finding": ("all", [(finding, finding) for finding in FINDINGS]),
        }
    )


def _one(claim: ClaimPair) -> Mapping[str, Any]:
    one = claim.first or claim.second
    assert one is not None
    return one


def _claims(claims: Sequence[tuple[Beside, ClaimPair]]) -> Markup:
    heads = ("Claim", "A", "B", "Finding")
    body = [_claim(number, *one) for number, one in enumerate(claims)]
    return table_of("rows", "Each claim as A and as B found it", heads, body)


def _claim(number: int, pair: Beside, claim: ClaimPair) -> Markup:
    about, finding = _one(claim), _claim_finding(claim)
    key = f"claim-{number}-{slug(about['id'])}"
    words = [
        element("a", about["id"], href=f"#{key}", class_="id"),
        element("p", said(about["statement"])),
        element("p", said(about["instance"]), class_="instance"),
    ]
    study = pair.any.run.study
    cells = (
        ("Claim", words, about["id"]),
        ("A", _measured(claim.first), _value(claim.first)),
        ("B", _measured(claim.second), _value(claim.second)),
        ("Finding", [_finding(finding), _link(pair, study)], list(FINDINGS).index(finding)),
    )
    data = {"data_claim": about["id"], "data_study": study, "data_finding": finding}
    return row_of(key, cells, data_tone=finding, **data)


def _link(pair: Beside, study: str) -> Markup:
    return element("p", element("a", study, href=f"#{pair.any.key}"), class_="small")


def _claim_finding(claim: ClaimPair) -> str:
    if claim.first is None or claim.second is None:
        return "only B" if claim.first is None else "only A"
    if claim.few:
        return "too few seeds"
    return "differs" if claim.differs else "agrees"


def _measured(claim: Mapping[str, Any] | None) -> Child:
    if claim is None:
        return None
    measured = {**claim["measured"], "confidence": claim["confidence"]}
    value, *rest = measured_words(measured).split("\n")
    verdict = claim["verdict"] or "measured"
    return [element("b", value), small(rest), element("p", badge(SIGNS[verdict], verdict))]


def _value(claim: Mapping[str, Any] | None) -> float | str:
    return ordered(claim["measured"]["value"] if claim else None)


def _article(pair: Beside) -> Markup:
    study = pair.any.run.study
    heading = element(
        "h4", element("a", study, href=f"#{pair.any.key}"), " ", _finding(pair.finding)
    )
    runs = [(side, run) for side, run in (("A", pair.first), ("B", pair.second)) if run]
    commands = [
        element("pre", element("code", f"{side}  {run.command}"), tabindex="0", class_="command")
        for side, run in runs
    ]
    link = element("a", "Its claims", href=address(study=study))
    parts = (heading, commands, element("p", link), _otherwise(pair.found), _figures(pair))
    return element("article", parts, id=pair.any.key, aria_label=study)


def _otherwise(found: Comparison | None) -> Markup | None:
    if found is None:
        return None
    tables = []
    for name, parts in (("Told otherwise", found.settings), ("Made otherwise", found.made_with)):
        if parts:
            rows = [(part.name, _short(part.first), _short(part.second)) for part in parts]
            tables += [element("h5", name), plain_table(name, ("Name", "A", "B"), rows)]
    differing = [array for array in found.arrays if array.differs]
    if differing:
        heads = (
            "Array",
            "Finding",
            "Largest difference over largest number",
            "Entries apart over seeds",
        )
        rows = [(a.name, _KINDS[a.kind], a.relative, _where(a)) for a in differing]
        tables += [element("h5", "Arrays"), plain_table("Arrays", heads, rows)]
    return joined(tables)


def _short(value: Any) -> str:
    return "–" if value is None or value == "" else shortened(value)


def _where(array: ArrayPair) -> str:
    return f"{array.apart} of {array.entries}" if array.entries else ""


def _figures(pair: Beside) -> Iterator[Markup]:
    """Figures of one name side by side; once where all that they show is equal."""
    if pair.found and _equal(pair.found):
        yield element("p", "The data of both are equal, and so are their figures.")
    sides = [
        {p.figure.name: (run, p, side) for p in run.pictures}
        for side, run in (("A", pair.first), ("B", pair.second))
        if run
    ]
    for name in dict.fromkeys(name for side in sides for name in side):
        both = [side[name] for side in sides if name in side]
        yield element("div", [figure(*one) for one in both], class_="beside")
