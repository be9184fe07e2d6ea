"""How nonlinear may the system be (`nlqr/lipschitz-sweep`; arXiv 2303.08431, Fig. 1b)?

Descent from K_lin for a range of ℓ. The paper draws one curve per ℓ; here every ℓ meets the same
random systems, and shares of them are counted.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fineq import figures
from fineq.claims import Claim, Theory
from fineq.errors import InputError
from fineq.rates import Rate
from fineq.settings.fields import flatten
from fineq.studies import statistics
from fineq.studies.nlqr import descent_tables
from fineq.studies.nlqr.common import NAMES, Study
from fineq.studies.nlqr.suboptimality import bind as bind_descents
from fineq.studies.nlqr.suboptimality import measure
from fineq.studies.recipe import Draw, Recipe, Row, View
from fineq.sweep.stages import Stages

LIPSCHITZ = "system.lipschitz"
CONVERGED, FAILED = 4.0, 5.0  # largest ℓ at which the paper saw convergence, smallest at which not
HALF = "half: the typical system"  # what one curve per ℓ can say of many systems


def bind(config: Any, given: Any, stages: Stages) -> Study:
    """A study of descents along ℓ.

    Raises:
        InputError: when ℓ is not swept.
    """
    if LIPSCHITZ not in flatten(config.sweep):
        raise InputError(
            f"lipschitz_sweep needs values of ℓ to compare: give sweep.{LIPSCHITZ}=[...] instead "
            f"of {LIPSCHITZ}="
        )
    return bind_descents(config, given, stages, along=LIPSCHITZ)


@dataclass(frozen=True)
class AtWorst:
    """The share of systems at the least favourable of some values of ℓ.

    Attributes:
        share: of the systems.
        within: which values of ℓ.
        worst: `max` or `min`: which share is least favourable.
    """

    share: statistics.Share
    within: Callable[[float], bool]
    worst: Callable

    def at(self, view: View) -> View:
        """The view at that value; systems are asked at it, if at any."""
        views = [view.chosen(lipschitz=value) for value in self._values(view)]
        known = [view for view in views if self.share(view).used]
        return self.worst(known, key=lambda view: self.share(view).measured.value, default=views[0])

    def tried(self, view: View) -> bool:
        """Whether there are such values."""
        return bool(self._values(view))

    def __call__(self, view: View) -> statistics.Got:
        """The share at a view."""
        return self.share(self.at(view))

    def _values(self, view: View) -> list[float]:
        return [value for value in view.values_of("lipschitz").tolist() if self.within(value)]


def _row(
    what: str, of: AtWorst, premature: Callable[[View], str] = descent_tables.unfinished
) -> Row:
    relation = "<=" if of.worst is max else ">="
    return Row(
        "nlqr/lipschitz-sweep",
        what,
        of,
        Theory(0.5, relation, HALF),
        where=lambda view: f"ℓ = {of.at(view).at['lipschitz']:g}",
        who=descent_tables.ABOVE,
        when=of.tried,
        premature=lambda view: premature(of.at(view)),
    )


def _near(ell: float) -> bool:
    return ell <= CONVERGED


def _far(ell: float) -> bool:
    return ell >= FAILED


def _at_largest(views: Sequence[View]) -> Iterable[Claim]:
    """Of the linear policies where the paper saw convergence, those of the largest such ℓ."""
    values = views[0].values_of("lipschitz")
    ell = f"ℓ = {max(filter(_near, values), default=np.nan):g},"
    return [
        claim for claim in descent_tables.hidden_at_start(views) if ell in f"{claim.instance},"
    ][-1:]


def _left(view: View) -> list[figures.Panel]:
    lines = {f"ℓ = {ell:g}": {"lipschitz": ell} for ell in view.values_of("lipschitz").tolist()}
    return [descent_tables.error_panel(view, "left", lines, ordered=True, band=(0.5, 0.5))]


def _diverged(views: Sequence[View]) -> list[figures.Panel]:
    return [
        figures.Panel(
            "fractions",
            "lipschitz",
            tuple(view.line("diverged", view.piece.label or "diverged") for view in views),
            (
                figures.Theory("Fig. 1b: converges", threshold=CONVERGED),
                figures.Theory("Fig. 1b: fails", threshold=FAILED),
            ),
            title=f"{views[0].study.config.setting}: descents that diverged",
            ylabel="share diverged",
        )
    ]


def _loops(view: View) -> list[figures.Panel]:
    lines = (view.line("unstable_start", "start"), view.line("unstable_end", "end"))
    return [descent_tables.loops_panel(view, "lipschitz", lines)]


def _rates(view: View) -> Iterable[Rate]:
    for ell in view.values_of("lipschitz").tolist():
        yield from descent_tables.rates(view.chosen(lipschitz=ell), f"ℓ = {ell:g}")


DIVERGED = statistics.Share(lambda view: view("diverged"))
FALLS = statistics.Share(descent_tables.lowered, among=descent_tables.above_optimum)

run = Recipe(
    bind=bind,
    measure=measure,
    names=NAMES,
    words=descent_tables.named,
    quantities=descent_tables.QUANTITIES,
    claims=(
        _row(
            f"Descents that diverge, at the most of ℓ <= {CONVERGED:g} (share)",
            AtWorst(DIVERGED, _near, max),
        ),
        _row(
            f"Descents that lower the cost, at the least of ℓ <= {CONVERGED:g} (share)",
            AtWorst(FALLS, _near, min),
            descent_tables.nothing_to_lower,
        ),
        _row(
            f"Descents that diverge, at the least of ℓ >= {FAILED:g} (share)",
            AtWorst(DIVERGED, _far, min),
        ),
        _at_largest,
    ),
    figures=(
        Draw(
            "lipschitz_sweep", _left, "Gap left, by ℓ.", _diverged, claims=("nlqr/lipschitz-sweep",)
        ),
        Draw("stability", _loops, "Loops that are not stable, or diverged."),
    ),
    rates=_rates,
)
