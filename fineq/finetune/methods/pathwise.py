"""Gradient ascent on J, differentiated through the simulation."""

from functools import partial

from jax import Array

from fineq.ddpm import Denoiser
from fineq.finetune.methods.base import AdapterTraining, Info
from fineq.finetune.problem import Tuning
from fineq.finetune.rollout import Earned, Noise, draw, earned_of, means, walk
from fineq.iterate import method, static
from fineq.optimiser import Descent


@method
class Pathwise(AdapterTraining):
    """The gradient of J by the adapters with all noise held fixed.

    Attributes:
        remat: recompute activations rather than keep those of all T steps.
    """

    remat: bool = static(default=False)

    def step(self, key: Array | None, state: Descent, problem: Tuning) -> tuple[Descent, Info]:
        """One gradient step."""
        assert key is not None
        noise = draw(key, problem, self.num_paths)
        return self.ascend(state, problem, partial(gained, problem, noise, remat=self.remat))

    def evaluations(self, problem: Tuning) -> float:
        """The policy with its whole backward pass, 3, the base with one derivative, 2."""
        del problem
        return 5 + self.remat


def gained(
    tuning: Tuning, noise: Noise, policy: Denoiser, *, remat: bool = False
) -> tuple[Array, Earned]:
    """Reward less price of each path under given noise, `[B]`, and what it is made of."""
    paths, m = walk(tuning, policy.mean, noise, remat=remat)
    e = (m - means(tuning.base, paths)) / tuning.sigmas[:, None, None]
    found = earned_of(tuning, paths, e)
    return found.objective(tuning.beta), found
