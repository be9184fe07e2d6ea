"""What the tables say of fields holds of the studies: seen by tracing every experiment.

Both ways: a field that the table calls read is read, and one that it calls unread is not, but for
the few whose reading is known to change nothing.
"""

import importlib

import pytest

from fineq.shell.compose import compose
from fineq.shell.words import AREAS
from fineq.studies.area import area_of
from tests.reads import Traced, assert_reads, recorded

SMOKE = ("profile=smoke",)
SIZE = {"nlqr/demo": ()}  # it has one size
QUICK = (
    "nlqr/exact_recovery",
    "nlqr/sample_complexity",
    "ntk/coupling",
    "ntk/early_stopping descent.method=stored",
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
    assert_reads(area, config, read)


@pytest.mark.parametrize("area", AREAS)
def test_configurations_name_the_studies_there_are(area):
    for module in area_of(area).studies.values():
        assert callable(importlib.import_module(f"fineq.studies.{area}.{module}").run)
