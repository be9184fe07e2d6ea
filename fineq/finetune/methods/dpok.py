"""DPOK (Fan et al. 2023): policy gradient of the reward, gradient of the divergence beside it."""

from functools import partial

from jax import Array

from fineq.finetune.methods.base import AdapterTraining, Info, info_of, policy_of
from fineq.finetune.methods.likelihood import check_others, leave_one_out, sample, score_function
from fineq.finetune.problem import Tuning
from fineq.iterate import method
from fineq.optimiser import Descent


@method
class DPOK(AdapterTraining):
    """Score-function gradient of the reward, less β times ∇ Σ_t KL_t at the states visited.

    Left out, as by its authors, is that an early step also moves the states at which later
    divergences are paid. The baseline is the mean of the other paths, not a learned value.
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        check_others(self.num_paths)

    def step(self, key: Array | None, state: Descent, problem: Tuning) -> tuple[Descent, Info]:
        """One gradient step."""
        assert key is not None
        sampled = sample(key, problem, policy_of(state, problem), self.num_paths)
        credit = leave_one_out(sampled.earned.reward)[None]
        loss = partial(score_function, problem, sampled, credit)
        state, norm = self.descend(state, problem, loss)
        return state, info_of(problem, sampled.earned, norm)

    def evaluations(self, problem: Tuning) -> float:
        """Both networks, 2, and one update, 3."""
        del problem
        return 5
