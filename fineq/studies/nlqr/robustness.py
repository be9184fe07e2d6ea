"""Does descent from K_lin help whatever the system (`nlqr/robustness`; arXiv 2303.08431, Fig. 2)?

Many random systems, each drawn as a line of its own; and what their loops do beyond T steps.
"""

from collections.abc import Sequence

from fineq.claims import Theory
from fineq.figures import Panel
from fineq.studies.nlqr.arrays import NAMES
from fineq.studies.nlqr.descent_tables import (
    ABOVE,
    QUANTITIES,
    above_optimum,
    at_iteration,
    error_panel,
    hidden,
    hidden_at_star,
    last_iteration,
    lowered,
    named,
    nothing_to_lower,
    rates,
)
from fineq.studies.nlqr.suboptimality import bind, measure
from fineq.studies.recipe import Draw, Recipe, Row
from fineq.studies.statistics import Median, Share
from fineq.studies.view import View


def _loops(views: Sequence[View]) -> list[Panel]:
    return [
        Panel(
            "fractions",
            "moment",
            tuple(view.line("unstable", view.piece.label) for view in views),
            title=f"{views[0].study.config.setting}: loops not stable",
            ylabel="share of systems",
        )
    ]


run = Recipe(
    bind=bind,
    measure=measure,
    names=NAMES,
    words=named,
    quantities=QUANTITIES,
    claims=(
        Row(
            "nlqr/robustness",
            "Descent from K_lin lowers the T-step cost (share of systems)",
            Share(lowered, tried=True, among=above_optimum),
            Theory(1.0, ">=", "all systems"),
            who=ABOVE,
            sampled=True,
            premature=nothing_to_lower,
        ),
        Row(
            "nlqr/robustness",
            lambda view: f"Gap left after {last_iteration(view)} iterations (median)",
            Median(
                lambda view: at_iteration(view, "left", last_iteration(view))[above_optimum(view)]
            ),
            who=ABOVE,
        ),
        hidden("end of descent", lambda view: view("unstable")[..., -1] & ~view("diverged")),
        hidden_at_star,
    ),
    figures=(
        Draw(
            "robustness",
            lambda view: [error_panel(view, "left", {"median": {}}, traces=True)],
            "Every line is one system.",
            _loops,
        ),
    ),
    rates=rates,
)
