"""Which fields each study of nearly linear-quadratic control reads, and under which choices."""

from typing import Any

from fineq.limits import MOST_QUADRATURE
from fineq.settings.effects import EMPTY, GIVEN, Need, at_most, but, effect, holding

PAPER = ("initialisation", "lipschitz_sweep", "robustness")
FLOORS = ("linear_convergence", "sample_complexity")
STARTED = ("lipschitz_sweep", "robustness", "linear_convergence")  # at `descent.start`
ESTIMATED = ("one_point", "two_point", "baseline")
DRAWN = ("sphere", "gaussian", "ball")
FEW_ROWS = Need(
    lambda rows: len(rows) <= MOST_QUADRATURE, f"{{}} of at most {MOST_QUADRATURE} rows"
)
POINTS = {"law.name": DRAWN, "study": but("exact_recovery")}


def beside(*names: str) -> dict[str, Any]:
    """Of linear_convergence, where it descends by one of these estimates as well."""
    return {"study": "linear_convergence", "descent.others": holding(*names)}


EFFECTS = (
    effect("system.path", {"system.source": "file"}),
    effect("system.[ABCQR]", {"system.source": "matrices"}),
    effect("system.[np]", {"system.source": "random", "study": but("exact_recovery")}),
    effect("system.normalisation kernel.d", {"system.source": "random"}),
    effect("system.radius", {"system.source": "random", "system.normalisation": "radius"}),
    effect(
        "system.lipschitz",
        {"kernel.name": but("zero")},
        {"study": ("landscape", "lipschitz_sweep")},
    ),
    effect("system.keep", {"study": PAPER}),
    effect("kernel.degree", {"kernel.name": "products"}),
    effect("kernel.target", {"kernel.name": "python"}),
    effect("law.path law.columns law.header", {"law.name": "file"}),
    effect("law.columns law.header", {"law.path": GIVEN}),
    effect("law.radius", {"law.name": but("file")}, {"kernel.name": "products"}),
    # Of a law that is drawn from, a quadrature stands for the expectation up to three states.
    effect(
        "law.degree",
        {"law.name": "quadrature"},
        {**POINTS, "system.source": "random", "system.n": at_most(MOST_QUADRATURE)},
        {**POINTS, "system.source": "matrices", "system.A": FEW_ROWS},
        {**POINTS, "system.source": "file"},
    ),
    effect("estimator.name", {"study": PAPER}),
    effect("estimator.natural", {"study": PAPER, "estimator.name": "exact"}),
    effect(
        "estimator.num_rollouts sweep.estimator.num_rollouts",
        {"study": PAPER, "estimator.name": ESTIMATED},
        {"study": "sample_complexity"},
    ),
    effect("beside.estimator.num_rollouts", {"study": "sample_complexity"}),
    effect(
        "estimator.radius",
        {"study": PAPER, "estimator.name": but("exact")},
        {"study": "sample_complexity", "sweep.estimator.radius": GIVEN},
    ),
    effect("descent.num_steps descent.step_size", {"study": (*PAPER, "linear_convergence")}),
    effect("descent.rule sweep.descent.step_size", {"study": PAPER}),
    effect(
        "descent.horizon",
        {"study": (*PAPER, "sample_complexity", "global")},
        beside("one_point", "two_point"),
    ),
    # Elsewhere the horizon of some other cost would follow it.
    effect("sweep.descent.horizon", {"study": (*PAPER, "sample_complexity")}),
    effect("descent.start", {"study": STARTED}),
    effect("descent.num_samples", {"study": STARTED, "descent.start": "identified"}),
    effect(
        "descent.start_radius",
        {"study": STARTED, "descent.start": "random"},
        {"study": "initialisation"},
    ),
    effect("descent.diverged_factor", {"study": (*PAPER, *FLOORS)}),
    effect("descent.others", {"study": "linear_convergence"}),
    effect("floors.*", {"study": "sample_complexity"}, beside("one_point", "two_point")),
    effect("floors.step_size", {"study": "sample_complexity"}, beside("two_point")),
    effect("floors.one_point_step_size", {"study": "sample_complexity"}, beside("one_point")),
    effect(
        "floors.num_rollouts",
        {"study": "linear_convergence"},
        {"sweep.estimator.num_rollouts": EMPTY},
    ),
    effect("floors.radii", {"study": "linear_convergence"}, {"sweep.estimator.radius": EMPTY}),
    effect("probe.*", {"study": "sample_complexity"}),
    effect("recovery.*", {"study": "exact_recovery"}),
    effect("recovery.sizes", {"system.source": "random"}),
    effect("landscape.*", {"study": "landscape"}),
    effect("landscape.num_values", {"sweep.system.lipschitz": GIVEN}),
    effect("reference.*", {"study": but("exact_recovery")}),
    effect("reference.num_starts reference.start_radius", {"study": "global"}),
    effect("sweep.floors.* sweep.reference.*"),
)
