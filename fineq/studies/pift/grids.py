"""The grid of a study of laws on a line or in the plane."""

import jax
import numpy as np

from fineq.pift.grid import checks, tensor
from fineq.pift.rewards import check_reward
from fineq.studies.pift.common import Study
from fineq.sweep.stages import Member


def grid_of(study: Study) -> tensor.Grid:
    """The grid of a study, checked on its first member: fine, wide and small enough.

    Raises:
        InputError: for laws in more than two dimensions, and as `checks.check_grid`.
        ResourceError: when the arrays would not fit.
    """
    config = study.config
    first, seeds = first_member(study), next(a for a in study.axes if a.name == "seed").values
    bounds = [
        tensor.law_bounds(at.law, at.schedule, config.regularity.outside)
        for at in (study.instance({**first, "seed": seed}) for seed in seeds)
    ]
    low = np.min([b[0] for b in bounds], axis=0)
    high = np.max([b[1] for b in bounds], axis=0)
    problem = study.instance({**first, "seed": seeds[0]}).problem
    num = config.regularity.num_points
    checks.check_memory(
        checks.memory_bytes(problem.d, num, problem.num_steps, num_inner=config.inner.num_inner)
    )
    grid = tensor.make_grid(low, high, num)
    check_reward(problem.reward, grid.points())
    checks.check_grid(problem, grid)
    return jax.tree.map(lambda x: x.astype(config.precision), grid)


def first_member(study: Study) -> Member:
    """The first value of every axis."""
    return {axis.name: axis.values[0] for axis in study.axes}
