"""Small configurations for tests of studies."""

from experiments.compose import compose
from experiments.ntk import AREA, load
from fineq.ntk.config import NtkConfig
from fineq.ntk.study import STUDIES
from fineq.results import StudyResult
from fineq.sweep.stages import Stages


def small(name: str, *words: str) -> NtkConfig:
    """An experiment at its smoke profile with few seeds."""
    seeds = [] if any(word.startswith("seeds=") for word in words) else ["seeds=3"]
    return compose(AREA, [f"experiment=ntk/{name}", "profile=smoke", *seeds, *words])


def run_small(name: str, *words: str) -> tuple[NtkConfig, StudyResult]:
    """The same, run."""
    config = small(name, *words)
    return config, STUDIES[config.study](config, load(config).given, Stages())
