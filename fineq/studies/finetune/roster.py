"""The methods that are compared, each as configured, at equal network evaluations."""

from collections.abc import Callable
from typing import Any, NamedTuple

from fineq.finetune import (
    DDPO,
    DPOK,
    AdjointMatching,
    DRaFT,
    Pathwise,
    PolicyIteration,
    Reinforce,
    RewardWeighted,
    Tuning,
)
from fineq.finetune.methods.base import AdapterTraining
from fineq.studies.finetune import common
from fineq.studies.finetune.config import FinetuneConfig

GUIDANCE = "guidance"
NAMES = {
    "pi_ft": "PI-FT",
    "adjoint_matching": "adjoint matching",
    "pathwise": "pathwise",
    "draft": "DRaFT",
    "draft_last": "DRaFT-k",
    "draft_last_kl": "DRaFT-k with KL",
    "ddpo": "DDPO",
    "reinforce": "REINFORCE",
    "dpok": "DPOK",
    "reward_weighted": "reward-weighted",
    GUIDANCE: GUIDANCE,
}


class Entrant(NamedTuple):
    """A method that is trained.

    Attributes:
        name: in `methods.names`.
        method: with an optimiser that decays over all its updates.
        num_steps: of it, for as many network evaluations as all others.
    """

    name: str
    method: AdapterTraining
    num_steps: int


def entrants(config: FinetuneConfig, problem: Tuning) -> list[Entrant]:
    """The configured methods; what `tuning.num_steps` steps of PI-FT cost is what each may.

    Args:
        config: validated.
        problem: for the length of its chain.
    """
    budget = config.tuning.num_steps * _makers(config)["pi_ft"](0).evaluations(problem)
    return [_entrant(name, _makers(config)[name], budget, problem) for name in config.methods.names]


def _entrant(
    name: str, make: Callable[[int], AdapterTraining], budget: float, problem: Tuning
) -> Entrant:
    num_steps = max(round(budget / make(0).evaluations(problem)), 1)
    updates = num_steps * getattr(make(0), "num_inner", 1)
    return Entrant(name, make(updates), num_steps)


def _makers(config: FinetuneConfig) -> dict[str, Callable[[int], AdapterTraining]]:
    """Name to a function from the number of updates to the method."""
    t, last, remat = config.tuning, config.methods.last, config.tuning.remat

    def of(kind: Any, **options: Any) -> Callable[[int], AdapterTraining]:
        return lambda updates: kind(**common.shared(config, updates), **options)

    return {
        "pi_ft": of(PolicyIteration, num_inner=t.num_inner, damping=t.damping, remat=remat),
        "adjoint_matching": of(AdjointMatching, num_inner=t.num_inner),
        "pathwise": of(Pathwise, remat=remat),
        "draft": of(DRaFT, remat=remat),
        "draft_last": of(DRaFT, k=last, remat=remat),
        "draft_last_kl": of(DRaFT, k=last, kl=True, remat=remat),
        "ddpo": of(DDPO),
        "reinforce": of(Reinforce),
        "dpok": of(DPOK),
        "reward_weighted": of(RewardWeighted),
    }
