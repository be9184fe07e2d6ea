"""What the tables say of fields holds of the studies: seen by tracing every experiment.

Both ways: a field that the table calls read is read, and one that it calls unread is not, but for
the few whose reading is known to change nothing.
"""

import dataclasses
import importlib

import pytest

from fineq.settings.config import RunConfig
from fineq.settings.effects import unread
from fineq.settings.fields import flatten, leaves
from fineq.shell.compose import compose
from fineq.shell.words import AREAS
from fineq.studies.area import area_of
from tests.reads import Traced, recorded

# Read where a study is set up, before it runs; `covariances` stand beside `means`.
BEFORE = {"system.source", "target.name", "target.d", "data.covariances", "setting"}
BEFORE |= {field.name for field in dataclasses.fields(RunConfig)}
# Of kernel_limit it only says which widths are allowed.
BEFORE |= {"network.start", *(f"system.{name}" for name in "ABCQR")}
# Read, and then replaced by an axis of the study, or not used by the method that was chosen.
HARMLESS = {
    "descent.start": {"initialisation", "global", "landscape", "sample_complexity"},
    "descent.start_radius": {"robustness", "lipschitz_sweep", "linear_convergence"},
    "estimator.radius": {"robustness", "linear_convergence", "initialisation"},
    "floors.num_rollouts": {"linear_convergence"},
    "floors.radii": {"linear_convergence"},
    "system.n": {"exact_recovery"},
    "system.p": {"exact_recovery"},
    "data.constant": {"inputs"},
    "data.num": {"inputs", "generalisation", "assumptions"},
    "data.num_test": {"kernel_limit"},
    "data.weight": {"kernel_limit"},
    "descent.step": {"kernel_limit", "assumptions"},
    "beta": {"threshold"},
    "reward.curvature": {"threshold"},
    "schedule.num_steps": {"terminal_law", "continuous_limit"},
    "schedule.variance": {"terminal_law", "continuous_limit"},
    "parametric.batches": {"parametric"},
}
SMOKE = ("profile=smoke",)
SIZE = {"nlqr/demo": ()}  # it has one size
QUICK = (
    "nlqr/robustness",
    "nlqr/exact_recovery",
    "nlqr/sample_complexity",
    "ntk/coupling",
    "ntk/decomposition descent.last=1e3",
    "ntk/early_stopping descent.method=stored",
    "ntk/generalisation",
    "ntk/kernel_limit",
    "pift/continuous_limit",
)
SLOW = (
    "nlqr/linear_convergence",
    "nlqr/demo",
    "nlqr/landscape",
    "nlqr/global",
    "nlqr/initialisation setting=printed",
    "nlqr/lipschitz_sweep estimator.name=two_point",
    "ntk/assumptions",
    "ntk/inputs",
    "ntk/sampling",
    "ntk/digits",
    "pift/beta picture.betas=[]",
    "pift/threshold",
    "pift/linear_convergence_mixture",
    "pift/terminal_law",
    "pift/regularity regularity.thresholds=false",
    "pift/parametric",
    "pift/parametric_mixture",
    "pift/benchmark_problems",
)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # the numbers are made up
@pytest.mark.parametrize(
    "line", [*QUICK, *(pytest.param(line, marks=pytest.mark.slow) for line in SLOW)]
)
def test_a_study_reads_what_its_table_says(line):
    experiment, *words = line.split()
    area = area_of(experiment.partition("/")[0])
    config = compose(area, [f"experiment={experiment}", *SIZE.get(experiment, SMOKE), *words])
    study, loaded = area.begin(config)
    with recorded(config) as read:
        study(config, loaded.given, Traced())
    values = {leaf.path: leaf.value for leaf in leaves(config)}
    known = values | {f"sweep.{path}": axis for path, axis in flatten(config.sweep).items()}
    idle = {path for path in values if unread(path, area.effects, known) is not None}
    assert values.keys() - idle - read - BEFORE == set()
    assert {path for path in idle & read if config.study not in HARMLESS.get(path, ())} == set()


@pytest.mark.parametrize("area", AREAS)
def test_configurations_name_the_studies_there_are(area):
    for module in area_of(area).studies.values():
        assert callable(importlib.import_module(f"fineq.studies.{area}.{module}").run)
