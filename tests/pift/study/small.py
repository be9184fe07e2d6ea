"""Small configurations for tests of studies."""

from experiments.compose import compose
from experiments.pift import AREA
from fineq.pift.config import PiftConfig


def small(name: str, *words: str) -> PiftConfig:
    """An experiment at its smoke profile with few seeds and steps."""
    words = ("profile=smoke", "seeds=3", "data.d=2", "schedule.num_steps=6", *words)
    return compose(AREA, [f"experiment=pift/{name}", *words])
