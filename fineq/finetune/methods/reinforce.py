"""REINFORCE with leave-one-out baseline (Williams 1992; Kool et al. 2019) and the divergence."""

from functools import partial

import jax.numpy as jnp
from jax import Array

from fineq.finetune.methods.base import AdapterTraining, Info, info_of, policy_of
from fineq.finetune.methods.likelihood import (
    Sampled,
    check_others,
    leave_one_out,
    sample,
    score_function,
)
from fineq.finetune.problem import Tuning
from fineq.iterate import method
from fineq.optimiser import Descent


@method
class Reinforce(AdapterTraining):
    """The score-function gradient of J, unbiased, without a gradient of the reward.

    Step t is credited with what follows it, r - β Σ_{s>t} KL_s, less the mean of the other paths;
    the divergence of step t itself is differentiated.
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        check_others(self.num_paths)

    def step(self, key: Array | None, state: Descent, problem: Tuning) -> tuple[Descent, Info]:
        """One gradient step."""
        assert key is not None
        sampled = sample(key, problem, policy_of(state, problem), self.num_paths)
        loss = partial(score_function, problem, sampled, to_go(problem, sampled))
        state, norm = self.descend(state, problem, loss)
        return state, info_of(problem, sampled.earned, norm)

    def evaluations(self, problem: Tuning) -> float:
        """Both networks, 2, and one update, 3."""
        del problem
        return 5


def to_go(problem: Tuning, sampled: Sampled) -> Array:
    """What step t leads to, r - β Σ_{s>t} KL_s, less the mean of the other paths, `[T, B]`."""
    divergence = 0.5 * jnp.sum(jnp.square(sampled.errors), axis=-1)
    after = sampled.earned.divergence[None] - jnp.cumsum(divergence, axis=0)
    return leave_one_out(sampled.earned.reward[None] - problem.beta * after)
