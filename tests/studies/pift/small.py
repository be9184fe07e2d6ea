"""Small configurations for tests of studies."""

from fineq.shell.compose import compose
from fineq.studies.pift.area import AREA
from fineq.studies.pift.config import PiftConfig

OWN_STEPS = ("terminal_law", "continuous_limit")  # they have numbers of steps of their own


def small(name: str, *words: str) -> PiftConfig:
    """An experiment at its smoke profile with few seeds and steps."""
    usual = ["profile=smoke", "seeds=3"]
    usual += [] if name == "regularity" or name.endswith("_mixture") else ["data.d=2"]
    usual += [] if name.startswith(OWN_STEPS) else ["schedule.num_steps=6"]
    given = {word.lstrip("+").partition("=")[0] for word in words}
    usual = [word for word in usual if word.partition("=")[0] not in given]
    return compose(AREA, [f"experiment=pift/{name}", *usual, *words])
