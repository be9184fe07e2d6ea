"""Every experiment file, run to its end at a tiny budget: complete, with claims and figures' data.

What each study reads of its fields on the way is what its table says.
"""

import pytest

from fineq.shell.compose import compose
from fineq.shell.places import CONFIGS
from fineq.studies.area import area_of
from fineq.sweep.stages import Stages
from tests.reads import assert_reads, recorded
from tests.studies.finetune import small

FILES = sorted(path.relative_to(CONFIGS) for path in CONFIGS.glob("experiment/*/*.yaml"))
EXPERIMENTS = [path.relative_to("experiment").with_suffix("").as_posix() for path in FILES]
# Fewer seeds, steps and members than `profile=smoke`, where that compiles or computes less.
FIGURE = "seeds=2 setting=printed descent.num_steps=4 sweep.descent.step_size=[1e-4] "
FIGURE += "estimator.num_rollouts=8 reference.max_horizon=64 "
FIGURE += "descent.horizon=3 system.n=2 system.p=1"
GRID = "schedule.num_steps=4 regularity.num_points=161"
NETWORK = "seeds=2 data.num=16 data.num_test=16"
TINY = {
    **{f"finetune/{name}": words for name, words in small.TINY.items()},
    "nlqr/demo": "seeds=3 descent.num_steps=60",
    "nlqr/exact_recovery": "seeds=6 recovery.sizes=[[2,1]] recovery.above=3",
    "nlqr/global": "seeds=2 sweep.system.lipschitz=[0.3] reference.num_starts=2",
    "nlqr/initialisation": FIGURE,
    "nlqr/landscape": "seeds=2 sweep.law.radius=[1.0] sweep.system.lipschitz=[0.06,0.25]",
    "nlqr/linear_convergence": "seeds=2 sweep.system.lipschitz=[0.3] descent.num_steps=60 "
    "floors.num_steps=8 floors.num_rollouts=[4] law.degree=3 reference.max_horizon=64",
    "nlqr/lipschitz_sweep": f"{FIGURE} sweep.system.lipschitz=[1.0,4.0]",
    "nlqr/robustness": FIGURE,
    "nlqr/sample_complexity": "seeds=2 floors.num_steps=8 floors.num_rollouts=[4,8] "
    "floors.radii=[0.1,0.3] probe.repeats=4 law.degree=3",
    "ntk/assumptions": "seeds=2 sweep.process.T0=[0.1] assumptions.sizes=[16,32] data.num_test=32",
    "ntk/coupling": f"{NETWORK} network.widths=[16,32] network.num_steps=4",
    "ntk/decomposition": f"{NETWORK} network.widths=[16,32] network.num_steps=4 descent.last=1e3",
    "ntk/digits": "seeds=2 data.num=16 data.num_test=16 sampling.num_samples=16 "
    "sampling.num_steps=4",
    "ntk/early_stopping": f"{NETWORK} descent.num_times=7",
    "ntk/generalisation": "seeds=2 data.num_test=16 descent.num_times=7 "
    "generalisation.sizes=[8,16]",
    "ntk/inputs": "seeds=2 data.num_test=16 descent.num_times=7 generalisation.sizes=[8,16]",
    "ntk/kernel_limit": "seeds=2 data.num=8 network.widths=[16,64]",
    "ntk/sampling": f"{NETWORK} sampling.num_samples=16 sampling.num_steps=4 sampling.num_times=3",
    "pift/benchmark_problems": "seeds=2 benchmark.num_sweeps=2 benchmark.network_sweeps=2 "
    "benchmark.num_paths=16 benchmark.width=4 benchmark.num_batches=2",
    "pift/beta": "seeds=2 sweep.beta=[1,2,20,30] picture.betas=[] schedule.num_steps=4",
    "pift/continuous_limit": "seeds=2 continuous.num_steps=[4,8] continuous.num_times=[4,8]",
    "pift/linear_convergence": "seeds=2 data.d=2 schedule.num_steps=4 inner.num_sweeps=8 "
    "inner.num_inner=6",
    "pift/linear_convergence_mixture": f"{GRID} inner.num_sweeps=4 inner.num_inner=4",
    "pift/parametric": "seeds=2 schedule.num_steps=4 parametric.classes=[affine] "
    "parametric.num_sweeps=2 parametric.network_sweeps=2 parametric.num_paths=16 "
    "parametric.width=4 parametric.depth=1",
    "pift/parametric_mixture": "seeds=2 schedule.num_steps=4 parametric.classes=[affine] "
    "parametric.num_sweeps=2 parametric.network_sweeps=2 parametric.num_paths=16 "
    "parametric.width=4 parametric.depth=1",
    "pift/regularity": f"{GRID} sweep.beta=[2.0] inner.num_sweeps=4 inner.num_inner=4",
    "pift/terminal_law": "seeds=2 terminal.num_steps=[4,8,16]",
    "pift/terminal_law_mixture": "terminal.num_steps=[20,40,80]",
    "pift/threshold": "seeds=2 schedule.num_steps=4 inner.num_inner=20",
}
ONE_SIZE = ("nlqr/demo", "finetune/demo")
# One of each kind; all run where slow tests do.
QUICK = {"ntk/kernel_limit", "pift/terminal_law"}
LINES = [
    pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in EXPERIMENTS
]


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # statistics of two seeds
@pytest.mark.parametrize("experiment", LINES)
def test_every_experiment_runs_to_its_end_and_reads_what_its_table_says(experiment, tmp_path):
    area = area_of(experiment.partition("/")[0])
    size = [] if experiment in ONE_SIZE else ["profile=smoke"]
    words = TINY.get(experiment, "").split()
    config = compose(area, [f"experiment={experiment}", *size, *words])
    config = small.supplied(area, config, tmp_path)
    study, loaded = area.begin(config)
    with recorded(config) as read:
        result = study(config, loaded.given, Stages())
    assert result.status in ("complete", "partly_diverged")
    assert result.claims
    assert result.figures
    drawn = {line.variable for f in result.figures for p in f.panels for line in p.lines}
    assert drawn <= {*result.arrays, *result.coords}
    assert_reads(area, config, read)
