"""PI-FT with a network (arXiv 2412.18164): evaluate the policy on its paths, then regress on it."""

from typing import Any

from jax import Array

from fineq.finetune.methods.base import Info, check_share
from fineq.finetune.methods.regression import AdjointRegression
from fineq.finetune.problem import Tuning
from fineq.iterate import method
from fineq.optimiser import Descent


@method
class PolicyIteration(AdjointRegression):
    """PI-FT: regress m_t on m0_t + (σ_t²/β) a_{t+1}, a the full adjoint, at all t at once.

    With `num_inner` = 1 a step is one of gradient ascent on J.

    Attributes:
        damping: in (0, 1], the share of the way to the target that is asked for.
    """

    damping: Any = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_share(damping=self.damping)

    def step(self, key: Array | None, state: Descent, problem: Tuning) -> tuple[Descent, Info]:
        """One sweep."""
        return self.sweep(key, state, problem, "full", self.damping)

    def evaluations(self, problem: Tuning) -> float:
        """Both networks and their derivatives by the state, 4, and the regressions, 3 each."""
        del problem
        return 4 + self.remat + 3 * self.num_inner
