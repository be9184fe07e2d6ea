"""Regression of a policy's mean on targets at the states of its paths, all steps in one batch.

Targets are given for e_t = (m_t - m0_t)/σ_t: they are (σ_t/β) a_{t+1}, which is to say
m_t = m0_t + (σ_t²/β) a_{t+1}, and the loss

    β mean over paths of Σ_t ½ |e_t - target_t|²

is that of `fineq.pift.parametric.training.loss` for the costate (β/σ) e: with the full adjoint its
first gradient is the pathwise gradient of -J, exactly.
"""

from functools import partial

import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from fineq.ddpm import Denoiser
from fineq.finetune.adjoint import Kind, Traced, trace
from fineq.finetune.methods.base import AdapterTraining, Info, info_of, policy_of
from fineq.finetune.problem import Tuning
from fineq.finetune.rollout import draw, earned_of, means
from fineq.iterate import method, static
from fineq.optimiser import Descent
from fineq.pift.parametric.training import check_counts


def regression(tuning: Tuning, traced: Traced, damping: ArrayLike, policy: Denoiser) -> Array:
    """The loss of a policy on the targets of paths, moved to by a share `damping` of the way.

    Args:
        tuning: the problem.
        traced: paths and their adjoints.
        damping: in (0, 1]: targets are (1 - damping) e_t + damping (σ_t/β) a_{t+1}, with the e_t of
            the policy that made the paths.
        policy: whose loss it is.
    """
    sigmas = tuning.sigmas[:, None, None]
    wanted = sigmas / tuning.beta * traced.adjoints
    wanted = traced.errors + damping * (wanted - traced.errors)
    e = (means(policy, traced.paths) - traced.base) / sigmas
    return tuning.beta * jnp.sum(jnp.square(e - wanted)) / (2 * e.shape[1])


@method
class AdjointRegression(AdapterTraining):
    """What the two methods that regress on adjoints share: `sweep`.

    Attributes:
        num_inner: updates for each batch of paths.
        remat: recompute activations rather than keep those of all T steps.
    """

    num_inner: int = static(default=1)
    remat: bool = static(default=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_counts(num_inner=self.num_inner)

    def sweep(
        self, key: Array | None, state: Descent, problem: Tuning, kind: Kind, damping: ArrayLike
    ) -> tuple[Descent, Info]:
        """Simulate, go back once, and make the updates."""
        assert key is not None
        noise = draw(key, problem, self.num_paths)
        traced = trace(problem, policy_of(state, problem), noise, kind, remat=self.remat)
        loss = partial(regression, problem, traced, damping)
        state, norm = self.descend(state, problem, loss, self.num_inner)
        return state, info_of(problem, earned_of(problem, traced.paths, traced.errors), norm)
