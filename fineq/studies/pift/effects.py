"""Which fields each study of fine-tuning reads, and under which choices."""

from fineq.settings.effects import EMPTY, GIVEN, but, effect, holding

MANY = ("terminal_law", "continuous_limit")  # chains of many lengths, with both kinds of variance
# Gaussian data and a linear or quadratic reward are solved exactly, others on a grid.
EXACT = {"data.name": "gaussian", "reward.name": ("linear", "quadratic")}
ON_GRID = ({"data.name": but("gaussian")}, {"reward.name": but("linear", "quadratic")})
# Members that move the data or the chain have no grid in common.
MOVING = (
    {"study": but("regularity", "linear_convergence")},
    {"study": "linear_convergence", **EXACT},
)

EFFECTS = (
    effect("beta betas schedule.* data.* reward.*", {"study": but("benchmark_problems")}),
    effect("beta", {"study": but("threshold"), "betas": EMPTY}),
    effect("schedule.num_steps", {"study": but(*MANY), "schedule.name": but("list")}),
    effect("schedule.first schedule.last", {"schedule.name": ("linear_rate", "linear")}),
    effect("schedule.end", {"schedule.name": "constant_rate"}),
    effect("schedule.alphas", {"schedule.name": "list"}),
    effect("schedule.variance", {"study": but(*MANY)}),
    effect("schedule.floor", {"schedule.variance": "posterior"}, {"study": MANY}),
    effect(
        "data.d data.least data.largest data.spread data.num_components",
        {"data.name": ("gaussian", "mixture"), "data.means": EMPTY},
    ),
    effect("data.num_components data.weights", {"data.name": "mixture"}),
    effect("data.means data.covariances", {"data.name": ("gaussian", "mixture")}),
    effect("data.path data.columns data.header", {"data.name": "points"}),
    effect(
        "reward.curvature",
        {"reward.name": "quadratic", "reward.matrix": EMPTY, "study": but("threshold")},
    ),
    effect("reward.matrix reward.center", {"reward.name": "quadratic"}),
    effect("reward.direction", {"reward.name": ("linear", "wave")}),
    effect("reward.shift reward.ripple", {"reward.name": "wave"}),
    effect("reward.weights", {"reward.name": "log_ratio"}),
    effect("reward.target", {"reward.name": "python"}),
    effect("inner.num_inner", {"study": ("linear_convergence", "threshold", "regularity")}),
    effect("inner.num_sweeps inner.rule", {"study": ("linear_convergence", "regularity")}),
    effect("threshold.*", {"study": "threshold"}),
    effect("picture.*", {"study": "beta"}),
    effect("picture.num_points", {"picture.betas": GIVEN}),
    effect("continuous.*", {"study": "continuous_limit"}),
    effect("terminal.*", {"study": "terminal_law"}),
    effect("terminal.ends", EXACT),
    effect("terminal.num_points", *ON_GRID),
    effect(
        "regularity.num_points regularity.outside",
        {"study": "regularity"},
        *({"study": "linear_convergence", **case} for case in ON_GRID),
    ),
    effect("regularity.thresholds", {"study": "regularity"}),
    effect(
        "regularity.lowest regularity.highest regularity.precision regularity.trials",
        {"study": "regularity", "regularity.thresholds": True},
    ),
    effect("parametric.*", {"study": "parametric"}),
    effect("parametric.batches", EXACT),
    effect("parametric.num_features", {"parametric.classes": holding("fourier", "radial")}),
    effect("benchmark.*", {"study": "benchmark_problems"}),
    effect("benchmark.well_*", {"benchmark.problems": holding("double_well")}),
    effect("sweep.*", {"study": but("parametric", "benchmark_problems")}),
    effect("sweep.schedule.* sweep.data.*", *MOVING),
    effect("sweep.schedule.end", {"study": but("terminal_law")}),  # it has terminal.ends
    effect("sweep.regularity.*"),
)
