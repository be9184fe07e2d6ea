"""Does descent from K_lin help whatever the system (`nlqr/robustness`; arXiv 2303.08431, Fig. 2)?

Many random systems, each drawn as a line of its own; and what their loops do beyond T steps.
"""

from collections.abc import Sequence

from fineq.claims import Theory
from fineq.figures import Panel
from fineq.studies import statistics
from fineq.studies.nlqr import descent_tables
from fineq.studies.nlqr.common import NAMES
from fineq.studies.nlqr.suboptimality import bind, measure
from fineq.studies.recipe import Draw, Recipe, Row, View


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
    words=descent_tables.named,
    quantities=descent_tables.QUANTITIES,
    claims=(
        Row(
            "nlqr/robustness",
            "Descent from K_lin lowers the T-step cost (share of systems)",
            statistics.Share(
                descent_tables.lowered, tried=True, among=descent_tables.above_optimum
            ),
            Theory(1.0, ">=", "all systems"),
            who=descent_tables.ABOVE,
            sampled=True,
            premature=descent_tables.nothing_to_lower,
        ),
        Row(
            "nlqr/robustness",
            lambda view: (
                f"Gap left after {descent_tables.last_iteration(view)} iterations (median)"
            ),
            statistics.Median(
                lambda view: descent_tables.at_iteration(
                    view, "left", descent_tables.last_iteration(view)
                )[descent_tables.above_optimum(view)]
            ),
            who=descent_tables.ABOVE,
        ),
        descent_tables.hidden(
            "end of descent", lambda view: view("unstable")[..., -1] & ~view("diverged")
        ),
        descent_tables.hidden_at_star,
    ),
    figures=(
        Draw(
            "robustness",
            lambda view: [descent_tables.error_panel(view, "left", {"median": {}}, traces=True)],
            "Every line is one system.",
            _loops,
        ),
    ),
    rates=descent_tables.rates,
)
