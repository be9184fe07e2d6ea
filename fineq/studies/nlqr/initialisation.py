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
from fineq.studies.nlqr.arrays import NAMES
from fineq.studies.nlqr.descent_tables import (
    ABOVE,
    QUANTITIES,
    at_iteration,
    error_panel,
    hidden_at_start,
    last_iteration,
    named,
    rates,
    unfinished,
)
from fineq.studies.nlqr.descents import STARTS
from fineq.studies.nlqr.suboptimality import bind, measure, rounding
from fineq.studies.recipe import Draw, Recipe, Row
from fineq.studies.statistics import Median
from fineq.studies.view import View

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
    ends = at_iteration(view, "gap", last_iteration(view))
    return against_best(ends, rounding(view.study.config))


def _early(view: View) -> int:
    return min(EARLY, last_iteration(view))


def _loops(view: View) -> list[Panel]:
    lines = tuple(view.line("unstable", label, **at) for label, at in LINES.items())
    title, ylabel = named(view.study, view.piece), "share of loops not stable"
    return [Panel("fractions", "moment", lines, title=title, ylabel=ylabel)]


def _rates(view: View) -> Iterable[Rate]:
    return (rate for s in STARTS for rate in rates(view.chosen(start=s), f"from {s}, "))


run = Recipe(
    bind=partial(bind, starts=STARTS),
    measure=measure,
    names=NAMES,
    words=named,
    quantities=QUANTITIES,
    claims=(
        Row(
            "nlqr/initialisation",
            "Final gap from K_lin over the lower one from random or zero (median)",
            Median(_ratio),
            Theory(1.0, "<=", "K_lin ends lowest"),
            premature=unfinished,
        ),
        Row(
            "nlqr/initialisation",
            lambda view: (
                f"Gap left after {_early(view)} iterations from the {{start}} start (median)"
            ),
            Median(lambda view: at_iteration(view, "left", _early(view))),
            each=("start",),
            who=ABOVE,
            when=lambda view: view.at["start"] != "linear",
        ),
        hidden_at_start,
    ),
    figures=(
        Draw(
            "initialisation",
            lambda view: [error_panel(view, "gap", LINES)],
            "Suboptimality of the T-step cost, three starts.",
        ),
        Draw(
            "gap_left",
            lambda view: [error_panel(view, "left", LINES)],
            "What is left of the gap at each start.",
        ),
        Draw("stability", _loops, "Loops that are not stable, or diverged."),
    ),
    rates=_rates,
)
