"""Runs that nothing was computed for, one of them hostile, and a page as a tree."""

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path

import numpy as np

from fineq.claims import Claim, Entry, Measured, Theory
from fineq.figures import Figure, Fit, Line, Panel
from fineq.figures import Theory as Drawn
from fineq.results import Array, StudyResult
from tests.runs.conftest import rewrite_summary, truncate
from tests.shell.made import make_run

PAPER = "arXiv 2303.08431"
#: What a run may say to be more than text.
EVIL = """"'><img src=x onerror=alert(1)></text></svg><script>alert(2)</script>&lt;"""
REGISTERED = (
    Entry("nlqr/landscape", "The cost is convex where r <= 1", PAPER, "μ >= σ"),
    Entry("nlqr/global", "Every start reaches one minimum", "fineq", "share ~ 1"),
    Entry("nlqr/robustness", "Descent lowers the cost", f"{PAPER}, Fig. 2", "share ~ 1"),
)
ELL, RADII = (0.5, 2.0), (1.0, 3.0)


def claims() -> tuple[Claim, ...]:
    """One of each verdict, and what was measured alone at three values."""
    about = ("nlqr/landscape", "μ over its bound", PAPER, "ℓ = 0.5, 6 seeds")
    above, exact = Theory(1.0, ">=", "σ_x σ"), Measured.exact
    wide = Measured(1.1, 0.9, 1.3, "1", 0.95)
    return (
        Claim(*about, Measured(2.0, 1.5, 2.5, "J", 0.95), above),
        Claim(*about, Measured(0.5, 0.4, 0.6, "1", 0.98), above),
        Claim(*about, wide, above),
        Claim(*about, exact(3.0), above, sampled=True),
        *(
            Claim("nlqr/global", "starts tried", "fineq", f"ℓ = {x:g}, 6 seeds", exact(x))
            for x in (1.0, 2.0, 3.0)
        ),
    )


def coords(evil: str = "") -> dict[str, Array]:
    return {
        "seed": Array(np.arange(8), ("seed",), "1", "seed"),
        "iteration": Array(np.arange(9), ("iteration",), "1", f"iteration{evil}"),
        "lipschitz": Array(np.array(ELL), ("lipschitz",), "1", f"constant $\\ell${evil}"),
        "radius": Array(np.array(RADII), ("radius",), "1", "radius"),
        "x": Array(np.linspace(-1, 1, 9), ("x",), "1", "x"),
    }


def decay() -> Array:
    rates = np.array([[0.5, 0.6], [0.7, 0.8]])[..., None, None]
    starts = 1 + np.arange(8)[:, None] / 8
    dims = ("lipschitz", "radius", "seed", "iteration")
    return Array(starts * rates ** np.arange(9), dims, "J", "cost gap")


def figures(evil: str = "") -> tuple[Figure, ...]:
    """A figure with two choices, one without, and one that has a picture; an evil one."""

    def line(x: float, r: float) -> Line:
        return Line("gap", rf"$\ell = {x:g}${evil}", {"lipschitz": x, "radius": r})

    def panel(r: float) -> Panel:
        lines = tuple(line(x, r) for x in ELL)
        return Panel("convergence", "iteration", lines, theory, title=f"r {r:g}")

    theory = (Drawn("theory" + evil, ratio=0.5, line=0), Drawn("floor", level=0.01))
    caption = rf"Descent near $K^*$, $1 - \eta\mu$.{evil}"
    if evil:
        return (Figure("decay", (panel(1.0),), caption, f"a note{evil}"),)
    at = {"lipschitz": 0.5, "radius": 1.0}
    law = Line("gap", "fit", at, fit=Fit(-1.0, -1.1, -0.9, 1.0, 8.0))
    power = Panel("powerlaw", "iteration", (law,), title="one line")
    image = Panel("field", "x", (Line("density", "density"),))
    return (
        Figure("decay", tuple(map(panel, RADII)), caption, "a note"),
        Figure("power", (power,), "One line, nothing to choose.", claims=("nlqr/landscape",)),
        Figure("plane", (image,), "A picture."),
    )


def result(evil: str = "", speed: float = 1.0) -> StudyResult:
    """What a study found; `speed` changes one number and one array beyond their intervals."""
    x = np.linspace(-1, 1, 9)
    plane = Array(np.exp(-(x[:, None] ** 2) - x**2), ("x", "z"), "1", "density")
    named = {**coords(evil), "z": Array(x, ("z",), "1", "z")}
    gap = decay()
    arrays = {"gap": dataclasses.replace(gap, values=gap.values * speed), "density": plane}
    first, *others = claims()
    moved = dataclasses.replace(
        first, measured=Measured(2.0 / speed, 1.5 / speed, 2.5 / speed, "J", 0.95)
    )
    said = (moved, *others)
    if evil:
        number = Measured(2.0, 1.5, 2.5, evil, 0.95)
        theory = Theory(1.0, ">=", evil, note=evil)
        said = (Claim("nlqr/landscape", evil, evil, evil, number, theory),)
    return StudyResult(arrays, named, said, (), figures(evil), "complete", {f"note{evil}": evil})


def make_runs(output: Path) -> None:
    """Two runs with results; others damaged, of an older fineq, and not ended."""
    make_run(output, words=["experiment=nlqr/landscape", "seeds=8"], made=result())
    evil = make_run(output, "toy/evil", made=result(EVIL), words=[EVIL], law={"x": EVIL})
    rewrite_summary(evil, area=EVIL, study=EVIL)
    (output / "toy" / "evil").rename(output / "toy" / EVIL.replace("/", "|"))
    truncate(make_run(output, "toy/damaged", made=result()) / "data.nc")
    rewrite_summary(make_run(output, "toy/older"), schema_version=1, claims=[{"id": "x/y"}])
    (make_run(output, "toy/unfinished") / "summary.json").unlink()


@dataclass
class Node:
    """An element of a page."""

    tag: str
    attrs: dict[str, str | None] = field(default_factory=dict)
    inside: "list[Node | str]" = field(default_factory=list)

    def get(self, name: str) -> str:
        return self.attrs.get(name) or ""

    @property
    def text(self) -> str:
        return "".join(one if isinstance(one, str) else one.text for one in self.inside)

    def all(self, *tags: str) -> "list[Node]":
        """Every element below it, of these tags where some are given."""
        return [node for node in self._below() if not tags or node.tag in tags]

    def _below(self) -> "Iterator[Node]":
        for one in self.inside:
            if isinstance(one, Node):
                yield one
                yield from one._below()


class _Reader(HTMLParser):
    VOID = ("meta", "input", "br", "img", "link")

    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.open = [Node("")]

    def handle_starttag(self, tag, attrs):
        node = Node(tag, dict(attrs))
        self.open[-1].inside.append(node)
        if tag not in self.VOID:
            self.open.append(node)

    def handle_endtag(self, tag):
        assert self.open.pop().tag == tag

    def handle_data(self, data):
        self.open[-1].inside.append(data)


def parsed(html: str) -> Node:
    """The page as a tree; every element is closed where it was opened."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    (root,) = reader.open
    return root
