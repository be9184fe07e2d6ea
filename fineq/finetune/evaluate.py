"""What is reported of a policy: what it earns and pays, what a judge says, how its samples vary.

The judge is a second classifier, trained apart from the one that rewards: a policy that fools the
reward does not fool both. A policy that always makes one good sample does: hence the diversity.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jax import Array

from fineq.ddpm.quality import frechet
from fineq.fast.blocks import in_blocks
from fineq.finetune.classifier import Classifier
from fineq.finetune.truth import mean_over_classes, objective
from fineq.finetune.weights import BLOCK, Weighed
from fineq.pift.certificates import Estimate


class Report(NamedTuple):
    """Means over paths, of each class first, with 95% intervals.

    Attributes:
        reward: E r(Y_T).
        divergence: E Σ_t KL_t in nats.
        objective: J.
        distance: E |Y_T - Y'_T|/√d of two independent samples of one class.
    """

    reward: Estimate
    divergence: Estimate
    objective: Estimate
    distance: Estimate


class Judgement(NamedTuple):
    """What a judge says of samples.

    Attributes:
        log_prob: E log p(k | Y_T), k the class that was wanted.
        accuracy: share of samples in which the judge sees it.
    """

    log_prob: Estimate
    accuracy: Estimate


def report(paths: Weighed, beta: Array) -> Report:
    """Report of a policy's paths, as `weigh` makes them."""
    return Report(
        _mean(paths.reward),
        _mean(paths.divergence),
        objective(paths, beta),
        mean_over_classes(_distances(paths.last)),
    )


def judge(classifier: Classifier, paths: Weighed, wanted: Array) -> Judgement:
    """Judge the samples of paths.

    Args:
        classifier: the judge.
        paths: of C classes.
        wanted: the class wanted of each, int32 `[C]`; one number for paths without classes.
    """
    logs = in_blocks(classifier.log_probs, BLOCK, paths.last.reshape(-1, paths.last.shape[-1]))
    logs = logs.reshape(*paths.reward.shape, -1)
    k = jnp.broadcast_to(jnp.reshape(wanted, (-1, 1, 1, 1)), (*logs.shape[:3], 1))
    seen = jnp.argmax(logs, axis=-1) == k[..., 0]
    own = jnp.take_along_axis(logs, k, axis=-1)[..., 0]
    return Judgement(_mean(own), _mean(seen.astype(logs.dtype)))


def feature_shift(classifier: Classifier, paths: Weighed, pretrained: Weighed) -> Array:
    """Fréchet distance between the features of a policy's samples and the pre-trained ones, []."""
    found = [
        in_blocks(classifier.features, BLOCK, p.last.reshape(-1, p.last.shape[-1]))
        for p in (paths, pretrained)
    ]
    return frechet(*found)


def _distances(last: Array) -> Array:
    """Of the first half of the starts of each class to the second half, `[C, S//2]`.

    Paths of one start are not independent, and every sample is used once: so are the distances.
    """
    half = last.shape[1] // 2
    apart = last[:, :half, 0] - last[:, half : 2 * half, 0]
    return jnp.linalg.norm(apart, axis=-1) / jnp.sqrt(jnp.asarray(last.shape[-1], last.dtype))


def _mean(values: Array) -> Estimate:
    return mean_over_classes(jnp.mean(values, axis=-1))
