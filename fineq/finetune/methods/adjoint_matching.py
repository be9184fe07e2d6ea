"""Adjoint matching (Domingo-Enrich et al. 2024): regression on the lean adjoint."""

from jax import Array

from fineq.finetune.methods.base import Info
from fineq.finetune.methods.regression import AdjointRegression
from fineq.finetune.problem import Tuning
from fineq.iterate import method
from fineq.optimiser import Descent


@method
class AdjointMatching(AdjointRegression):
    """Regress m_t on m0_t + (σ_t²/β) a_{t+1} with the lean adjoint a_t = (∂m0_t)'a_{t+1}.

    The reverse pass knows the pre-trained network alone and keeps no activations, so that `remat`
    changes nothing. Targets are biased for ∇V of the policy except at the start and at the optimum,
    where the fixed point is the same.
    """

    def step(self, key: Array | None, state: Descent, problem: Tuning) -> tuple[Descent, Info]:
        """One sweep."""
        return self.sweep(key, state, problem, "lean", 1.0)

    def evaluations(self, problem: Tuning) -> float:
        """Both networks and one derivative by the state, 3, and the regressions, 3 each."""
        del problem
        return 3 + 3 * self.num_inner
