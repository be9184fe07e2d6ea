"""Reward-weighted regression (Peters and Schaal 2007; Lee et al. 2023 for diffusion models)."""

from functools import partial

import jax
import jax.numpy as jnp
from jax import Array

from fineq.ddpm import Denoiser
from fineq.finetune.methods.base import AdapterTraining, Info, info_of, policy_of
from fineq.finetune.methods.likelihood import Sampled, moved, sample
from fineq.finetune.problem import Tuning
from fineq.iterate import method, static
from fineq.optimiser import Descent
from fineq.pift.parametric.training import check_counts


@method
class RewardWeighted(AdapterTraining):
    """Fit the policy to its own transitions, those of a path with weight e^{r/β}.

    Weights sum to 1 in the batch. Each step tilts what the last one left: β says how fast, and
    nothing is paid for leaving the pre-trained model.

    Attributes:
        num_inner: updates for each batch of paths.
    """

    num_inner: int = static(default=1)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_counts(num_inner=self.num_inner)

    def step(self, key: Array | None, state: Descent, problem: Tuning) -> tuple[Descent, Info]:
        """Paths, and the updates made of them."""
        assert key is not None
        sampled = sample(key, problem, policy_of(state, problem), self.num_paths)
        weights = path_weights(problem, sampled.earned.reward)
        loss = partial(weighted, problem, sampled, weights)
        state, norm = self.descend(state, problem, loss, self.num_inner)
        return state, info_of(problem, sampled.earned, norm)

    def evaluations(self, problem: Tuning) -> float:
        """Both networks, 2, and the updates, 3 each."""
        del problem
        return 2 + 3 * self.num_inner


def path_weights(problem: Tuning, reward: Array) -> Array:
    """e^{r/β} of each path over their sum, `[B]`."""
    return jax.nn.softmax(reward / problem.beta)


def weighted(problem: Tuning, sampled: Sampled, weights: Array, policy: Denoiser) -> Array:
    """-Σ weight log p(transitions), up to a constant: Σ_t ½ |W_t - h_t|² of each path, weighted."""
    apart = sampled.paths.draws - moved(problem, sampled, policy)
    return 0.5 * jnp.sum(weights * jnp.sum(jnp.square(apart), axis=(0, 2)))
