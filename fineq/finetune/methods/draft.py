"""DRaFT-k (Clark et al. 2024) and AlignProp (Prabhudesai et al. 2023): gradient of the reward."""

from functools import partial

import jax
import jax.numpy as jnp
from jax import Array, lax

from fineq.ddpm import Denoiser
from fineq.errors import InputError
from fineq.finetune.methods.base import AdapterTraining, Info
from fineq.finetune.problem import Tuning
from fineq.finetune.rollout import Earned, Noise, Paths, draw, earned_of, means, walk
from fineq.iterate import method, static
from fineq.optimiser import Descent


@method
class DRaFT(AdapterTraining):
    """Gradient of the reward through the last k steps of the simulation.

    Left out are the steps before them, and unless `kl` the price of the divergence: nothing then
    holds the policy near the pre-trained model. All steps with `kl` is `Pathwise`.

    Attributes:
        k: steps that are differentiated; None for all.
        kl: subtract β times the divergence of these steps.
        remat: recompute activations rather than keep those of k steps.
    """

    k: int | None = static(default=None)
    kl: bool = static(default=False)
    remat: bool = static(default=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.k is not None and self.k < 1:
            raise InputError(f"training.k must be at least 1, got {self.k}")

    def step(self, key: Array | None, state: Descent, problem: Tuning) -> tuple[Descent, Info]:
        """One gradient step."""
        assert key is not None
        noise = draw(key, problem, self.num_paths)
        return self.ascend(state, problem, partial(self._gained, problem, noise))

    def evaluations(self, problem: Tuning) -> float:
        """Both networks, 2, and of the last steps the backward passes, 2, and 1 with `kl`."""
        share = self._steps(problem) / problem.num_steps
        return 2 + share * (2 + self.kl + self.remat)

    def _steps(self, problem: Tuning) -> int:
        if self.k is None:
            return problem.num_steps
        if self.k > problem.num_steps:
            raise InputError(
                f"training.k must be at most the {problem.num_steps} steps of the chain, "
                f"got {self.k}"
            )
        return self.k

    def _gained(self, problem: Tuning, noise: Noise, policy: Denoiser) -> tuple[Array, Earned]:
        """What is maximised of each path `[B]`, and what it earned."""
        first = problem.num_steps - self._steps(problem)
        frozen = jax.tree.map(lax.stop_gradient, policy)
        head, m_head = walk(problem, frozen.mean, noise._replace(draws=noise.draws[:first]))
        rest = Noise(head.states[-1], noise.draws[first:], noise.label)
        tail, m_tail = walk(problem, policy.mean, rest, first=first, remat=self.remat)
        states = jnp.concatenate([head.states, tail.states[1:]])
        paths = Paths(states, noise.draws, noise.label)
        apart = jnp.concatenate([m_head, m_tail]) - means(problem.base, paths)
        found = earned_of(problem, paths, apart / problem.sigmas[:, None, None])
        return found.objective(problem.beta) if self.kl else found.reward, found
