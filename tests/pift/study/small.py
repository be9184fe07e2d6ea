"""Small configurations for tests of studies."""

from experiments.compose import compose
from experiments.pift import AREA
from fineq.pift.config import PiftConfig

FEW = {"seeds": 3, "data.d": 2, "schedule.num_steps": 6}


def small(name: str, *words: str) -> PiftConfig:
    """An experiment at its smoke profile with few seeds and steps."""
    given = {word.partition("=")[0] for word in words}
    few = [f"{k}={v}" for k, v in FEW.items() if k not in given]
    return compose(AREA, [f"experiment=pift/{name}", "profile=smoke", *few, *words])
