"""The studies of the paper's figures at a tiny budget, and plain NumPy to hold them against."""

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from fineq.settings.fields import replace_at
from fineq.shell.compose import compose
from fineq.studies.common import Study
from fineq.studies.found import Found
from fineq.studies.nlqr.area import AREA
from fineq.studies.nlqr.config import NlqrConfig
from fineq.studies.nlqr.instances import Given
from fineq.studies.recipe import Recipe
from fineq.sweep.stages import Stages

TINY = ("profile=smoke", "seeds=3", "descent.horizon=3", "reference.max_horizon=256")


def tiny(study: str, setting: str, *words: str) -> NlqrConfig:
    """The configuration that the files of a figure give, made small."""
    given = {word.lstrip("+").partition("=")[0] for word in words}
    usual = [word for word in TINY if word.partition("=")[0] not in given]
    return compose(AREA, [f"experiment=nlqr/{study}", f"setting={setting}", *usual, *words])


class Descents(NamedTuple):
    """A bound study and what it measured."""

    study: Study
    found: Found

    def __getattr__(self, name: str):
        return self.found.values[name]


def measured(run: Recipe, config: NlqrConfig) -> Descents:
    """Bind a study and measure."""
    study = run.bind(config, Given(), Stages())
    return Descents(study, run.measure(study))


def claims(run: Recipe, descents: Descents, config: NlqrConfig | None = None, **values) -> list:
    """The claims of what was measured, with other values and under another configuration."""
    study = descents.study._replace(config=config or descents.study.config)
    found = replace(descents.found, values={**descents.found.values, **values})
    known = replace(run, bind=lambda *_: study, measure=lambda _: found)
    return list(known(study.config, study.given, study.stages).claims)


def as_long(descents: Descents) -> NlqrConfig:
    """The configuration as if the descents were as long as the paper's."""
    return replace_at(descents.study.config, {"descent.num_steps": 200})


def closed_loop(descents: Descents, seed: int, scale: float, K: np.ndarray, plant: tuple = ()):
    """One step of `x [S, n]` under K, and its costs `[S]`, with φ = scale · sin and Q = R = I."""
    A, B, C = (getattr(descents.study.screen.plant, name)[(*plant, seed)] for name in "ABC")

    def step(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        features = scale * np.sin(x)
        u = -np.concatenate([x, features], axis=1) @ K.T
        return x @ A.T + u @ B.T + features @ C.T, np.sum(x**2, 1) + np.sum(u**2, 1)

    return step


def rollout_cost(step, x: np.ndarray, weights: np.ndarray, horizon: int) -> float:
    """The weighted cost of `horizon` steps from `x [S, n]`."""
    total = np.zeros(len(x))
    for _ in range(horizon):
        x, costs = step(x)
        total += costs
    return float(weights @ total)
