"""Fine-tuning of network models: rewards, and how far from the optimum a policy ends, in nats.

log p(k | y)        `Classifier` by `perceptron_classifier`, trained by
                    `ClassifierTraining` on `labelled` data
"""

from fineq.finetune.classifier import Classifier, perceptron_classifier
from fineq.finetune.recognition import ClassifierTraining, Labelled, accuracy, labelled

__all__ = [
    "Classifier",
    "ClassifierTraining",
    "Labelled",
    "accuracy",
    "labelled",
    "perceptron_classifier",
]
