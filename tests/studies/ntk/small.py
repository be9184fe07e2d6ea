"""Small configurations for tests of studies."""

from fineq.results import StudyResult
from fineq.shell.compose import compose
from fineq.studies.ntk.area import AREA
from fineq.studies.ntk.config import NtkConfig
from fineq.sweep.stages import Stages


def small(name: str, *words: str) -> NtkConfig:
    """An experiment at its smoke profile with few seeds."""
    seeds = [] if any(word.startswith("seeds=") for word in words) else ["seeds=3"]
    return compose(AREA, [f"experiment=ntk/{name}", "profile=smoke", *seeds, *words])


def run_small(name: str, *words: str) -> tuple[NtkConfig, StudyResult]:
    """The same, run."""
    config = small(name, *words)
    study, loaded = AREA.begin(config)
    return config, study(config, loaded.given, Stages())
