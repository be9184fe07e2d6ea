"""Fine-tuning of network models: rewards, and how far from the optimum a policy ends, in nats.

log p(k | y)        `Classifier` by `perceptron_classifier` or `conv_classifier`, trained by
                    `ClassifierTraining` on `labelled` data
r(y, label)         `Reward` of a batch: `rewards.class_log_prob`, `Ink`, `template`, `Symmetry`,
                    `per_point`; `check_reward` at the door
"""

from fineq.finetune import rewards
from fineq.finetune.classifier import Classifier, conv_classifier, perceptron_classifier
from fineq.finetune.recognition import ClassifierTraining, Labelled, accuracy, labelled
from fineq.finetune.rewards import Reward, check_reward

__all__ = [
    "Classifier",
    "ClassifierTraining",
    "Labelled",
    "Reward",
    "accuracy",
    "check_reward",
    "conv_classifier",
    "labelled",
    "perceptron_classifier",
    "rewards",
]
