"""The studies of the paper's figures at a tiny budget, and plain NumPy to hold them against."""

import numpy as np

from fineq.shell.compose import compose
from fineq.studies.nlqr.area import AREA
from fineq.studies.nlqr.config import NlqrConfig
from fineq.studies.nlqr.paper import Descents

TINY = ("profile=smoke", "seeds=3", "descent.horizon=3", "reference.max_horizon=256")


def tiny(study: str, setting: str, *words: str) -> NlqrConfig:
    """The configuration that the files of a figure give, made small."""
    given = {word.lstrip("+").partition("=")[0] for word in words}
    usual = [word for word in TINY if word.partition("=")[0] not in given]
    return compose(AREA, [f"experiment=nlqr/{study}", f"setting={setting}", *usual, *words])


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
