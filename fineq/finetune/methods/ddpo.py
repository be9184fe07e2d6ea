"""DDPO (Black et al. 2024): clipped importance ratios, here with the divergence as a penalty."""

from functools import partial
from typing import Any

import jax.numpy as jnp
from jax import Array

from fineq.ddpm import Denoiser
from fineq.finetune.methods.base import (
    AdapterTraining,
    Info,
    info_of,
    policy_of,
)
from fineq.finetune.methods.likelihood import Sampled, check_others, moved, sample
from fineq.finetune.problem import Tuning
from fineq.iterate import method, static
from fineq.optimiser import Descent
from fineq.pift.parametric.training import check_counts


@method
class DDPO(AdapterTraining):
    """Several updates on the paths of one policy, each held near it by clipped ratios.

    A path gains r - β log(dP_u/dP_pre), whose mean is J; its advantage A is that, standardised
    among the paths of its class. With ρ_t the ratio of a transition's density under the new and the
    old policy, what is maximised is the mean over paths of Σ_t min(ρ_t A, clip(ρ_t, 1 ± clip) A).

    Attributes:
        clip: how far a ratio may leave 1.
        num_inner: updates for each batch of paths.
    """

    clip: Any = 0.2
    num_inner: int = static(default=4)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_others(self.num_paths)
        check_counts(num_inner=self.num_inner)

    def step(self, key: Array | None, state: Descent, problem: Tuning) -> tuple[Descent, Info]:
        """Paths, and the updates made of them."""
        assert key is not None
        sampled = sample(key, problem, policy_of(state, problem), self.num_paths)
        loss = partial(clipped, problem, sampled, advantages(problem, sampled), self.clip)
        state, norm = self.descend(state, problem, loss, self.num_inner)
        return state, info_of(problem, sampled.earned, norm)

    def evaluations(self, problem: Tuning) -> float:
        """Both networks, 2, and the updates, 3 each."""
        del problem
        return 2 + 3 * self.num_inner


def clipped(
    problem: Tuning, sampled: Sampled, advantage: Array, clip: Array | float, policy: Denoiser
) -> Array:
    """The loss, of advantages `[B]`."""
    h = moved(problem, sampled, policy)
    ratio = jnp.exp(jnp.sum(h * sampled.paths.draws - 0.5 * jnp.square(h), axis=-1))
    near = jnp.clip(ratio, 1 - clip, 1 + clip)
    return -jnp.sum(jnp.minimum(ratio * advantage[None], near * advantage[None])) / h.shape[1]


def penalised(problem: Tuning, sampled: Sampled) -> Array:
    """What each path gains, r - β log(dP_u/dP_pre), `[B]`."""
    # Unlike the divergences themselves, the log ratio needs no gradient of its own beside the
    # score function's: its mean score is 0.
    log_ratio = sampled.earned.divergence + jnp.sum(
        sampled.errors * sampled.paths.draws, axis=(0, 2)
    )
    return sampled.earned.reward - problem.beta * log_ratio


def advantages(problem: Tuning, sampled: Sampled) -> Array:
    """What paths gain, to mean 0 and variance 1 among those of the same class, `[B]`."""
    gained, label = penalised(problem, sampled), sampled.paths.label
    label = jnp.zeros(gained.shape, jnp.int32) if label is None else label
    same = (label[:, None] == label[None]).astype(gained.dtype)
    share = same / jnp.sum(same, axis=1, keepdims=True)
    apart = gained - share @ gained
    deviation = jnp.sqrt(share @ jnp.square(apart))
    return apart / (deviation + jnp.sqrt(jnp.finfo(gained.dtype).eps))
