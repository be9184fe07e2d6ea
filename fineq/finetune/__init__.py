"""Fine-tuning of network models: methods, rewards, and how far from the optimum a policy ends.

The control problem is that of `fineq.pift`, the policy is a `fineq.ddpm.Denoiser`, and everything
works on batches of points.

r, β, m0_t          `Tuning` by `make_tuning`; in one or two dimensions `exact_problem` is the same
                    for the exact methods of `fineq.pift`
W + A'B'            `make_adapters`, `merge`, `adapted`
Y_0..Y_T, W_t       `simulate`, which makes `Paths`
e_t, KL_t, J        `errors`, `earned`
a_1..a_T            `adjoints`: full, quiet or lean
methods             `PolicyIteration` (PI-FT), `AdjointMatching`, `Pathwise`, `DRaFT`, `DDPO`,
                    `Reinforce`, `DPOK`, `RewardWeighted`; value: adapters
without training    `guide`, `best_of` with `kl_bound`
log p(k | y)        `Classifier` by `perceptron_classifier` or `conv_classifier`, trained by
                    `ClassifierTraining` on `labelled` data
r(y, label)         `Reward` of a batch: `rewards.class_log_prob`, `Ink`, `template`, `Symmetry`,
                    `per_point`; `check_reward` at the door
log dP_pre/dP_u     `weigh`: paths of any policy and their weights; reported by `report`,
                    `judge`, `feature_shift`
(B - J)/β           `truth.gaps` and `truth.own_gaps` in nats, with `truth.bound`; the frontier of
                    P_b ∝ P_pre e^{r/b}: `ideal_frontier`
σ_t² ρ(∇²V_{t+1})   `curvatures`, with q_t(β) and the β where it passes 1

found = fineq.solve(tuning, finetune.PolicyIteration(), num_steps=200, key=key)
policy = finetune.adapted(tuning.base, found.value)
"""

from fineq.finetune import rewards, truth
from fineq.finetune.adapters import Adapters, adapted, make_adapters, merge
from fineq.finetune.adjoint import adjoints
from fineq.finetune.classifier import Classifier, conv_classifier, perceptron_classifier
from fineq.finetune.contraction import Curvatures, curvatures
from fineq.finetune.evaluate import feature_shift, judge, report
from fineq.finetune.frontier import Frontier, ideal_frontier
from fineq.finetune.methods.adjoint_matching import AdjointMatching
from fineq.finetune.methods.best_of import best_of, kl_bound
from fineq.finetune.methods.ddpo import DDPO
from fineq.finetune.methods.dpok import DPOK
from fineq.finetune.methods.draft import DRaFT
from fineq.finetune.methods.guidance import guide
from fineq.finetune.methods.pathwise import Pathwise
from fineq.finetune.methods.policy_iteration import PolicyIteration
from fineq.finetune.methods.reinforce import Reinforce
from fineq.finetune.methods.reward_weighted import RewardWeighted
from fineq.finetune.problem import Tuning, exact_problem, make_tuning
from fineq.finetune.recognition import ClassifierTraining, Labelled, accuracy, labelled
from fineq.finetune.reference import Reference, reference_of
from fineq.finetune.rewards import Reward, check_reward
from fineq.finetune.rollout import Earned, Paths, earned, errors, simulate
from fineq.finetune.weights import Weighed, weigh

__all__ = [
    "DDPO",
    "DPOK",
    "Adapters",
    "AdjointMatching",
    "Classifier",
    "ClassifierTraining",
    "Curvatures",
    "DRaFT",
    "Earned",
    "Frontier",
    "Labelled",
    "Paths",
    "Pathwise",
    "PolicyIteration",
    "Reference",
    "Reinforce",
    "Reward",
    "RewardWeighted",
    "Tuning",
    "Weighed",
    "accuracy",
    "adapted",
    "adjoints",
    "best_of",
    "check_reward",
    "conv_classifier",
    "curvatures",
    "earned",
    "errors",
    "exact_problem",
    "feature_shift",
    "guide",
    "ideal_frontier",
    "judge",
    "kl_bound",
    "labelled",
    "make_adapters",
    "make_tuning",
    "merge",
    "perceptron_classifier",
    "reference_of",
    "report",
    "rewards",
    "simulate",
    "truth",
    "weigh",
]
