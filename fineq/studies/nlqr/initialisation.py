"""Does it matter where descent starts (`nlqr/initialisation`; arXiv 2303.08431, Fig. 1a)?

Descent from K_lin, from a random policy and from zero, on the same systems and, for estimated
gradients, with the same random numbers.
"""

from collections.abc import Iterable
from functools import partial

import numpy as np

from fineq.claims import Theory
from fineq.figures import Panel
from fineq.rates import Rate
from fineq.studies.nlqr import descent_tables, suboptimality
from fineq.studies.nlqr.common import NAMES
from fineq.studies.nlqr.descents import STARTS
from fineq.studies.recipe import Draw, Recipe, Row, View
from fineq.studies.statistics import Median

EARLY = 50  # iterations after which Fig. 1a has all but converged
LABELS = {"linear": r"$K_\mathrm{lin}$", "random": "random $K$", "zero": "$K = 0$"}
LINES = {LABELS[start]: {"start": start} for start in STARTS}


def against_best(ends: np.ndarray, least: float) -> np.ndarray:
    """Final gaps `[start, seed]` as ratios `[seed]` of the first to the lowest of the others.

    `least` is the gap below which nothing is told apart.
    """
    linear, others = np.maximum(ends[0], least), np.maximum(ends[1:].min(axis=0), least)
    return np.where(np.isfinite(linear), linear / others, np.inf)


def _ratio(view: View) -> np.ndarray:
    ends = descent_tables.at_iteration(view, "gap", descent_tables.last_iteration(view))
    return against_best(ends, suboptimality.rounding(view.study.config))


def _early(view: View) -> int:
    return min(EARLY, descent_tables.last_iteration(view))


def _loops(view: View) -> list[Panel]:
    lines = [view.line("unstable", label, **at) for label, at in LINES.items()]
    return [descent_tables.loops_panel(view, "moment", lines)]


def _rates(view: View) -> Iterable[Rate]:
    return (
        rate for s in STARTS for rate in descent_tables.rates(view.chosen(start=s), f"from {s}")
    )


run = Recipe(
    bind=partial(suboptimality.bind, starts=STARTS),
    measure=suboptimality.measure,
    names=NAMES,
    words=descent_tables.named,
    quantities=descent_tables.QUANTITIES,
    claims=(
        Row(
            "nlqr/initialisation",
            "Final gap from K_lin over the lower one from random or zero (median)",
            Median(_ratio),
            Theory(1.0, "<=", "K_lin ends lowest"),
            premature=descent_tables.unfinished,
        ),
        Row(
            "nlqr/initialisation",
            lambda view: (
                f"Gap left after {_early(view)} iterations from the {{start}} start (median)"
            ),
            Median(lambda view: descent_tables.at_iteration(view, "left", _early(view))),
            each=("start",),
            who=descent_tables.ABOVE,
            when=lambda view: view.at["start"] != "linear",
        ),
        descent_tables.hidden_at_start,
    ),
    figures=(
        Draw(
            "initialisation",
            lambda view: [descent_tables.error_panel(view, "gap", LINES)],
            "Suboptimality of the T-step cost, three starts.",
            claims=("nlqr/initialisation",),
        ),
        Draw(
            "gap_left",
            lambda view: [descent_tables.error_panel(view, "left", LINES)],
            "What is left of the gap at each start.",
            claims=("nlqr/initialisation",),
        ),
        Draw(
            "stability",
            _loops,
            "Loops that are not stable, or diverged.",
            claims=("nlqr/truncation",),
        ),
    ),
    rates=_rates,
)
