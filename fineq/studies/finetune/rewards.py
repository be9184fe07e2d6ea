"""The configured reward, and a judge beside it: classifiers trained apart from each other."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from fineq.errors import InputError
from fineq.finetune import Classifier, ClassifierTraining, labelled, perceptron_classifier, rewards
from fineq.finetune.rewards import Reward, check_reward
from fineq.keys import key_for
from fineq.optimiser import Optimiser
from fineq.pift.rewards import Wave
from fineq.studies.finetune.common import Study
from fineq.sweep import Axis, Task, solving

NUM_STEPS = 1500  # of a classifier's training: a few seconds, and its accuracy is said
NUM_TRIED = 256  # points at which a reward is tried before anything is trained


class Rewarded(NamedTuple):
    """The reward, and what judges samples that it has been optimised on.

    Attributes:
        reward: of batches.
        judge: a second classifier, or None where no class is wanted.
        notes: what is to be said of them.
    """

    reward: Reward
    judge: Classifier | None
    notes: dict[str, str]


def rewarded(study: Study) -> Rewarded:
    """The configured reward of a study.

    Raises:
        InputError: for a reward that the data cannot have, and as
            `fineq.finetune.rewards.check_reward`.
    """
    config, given = study.config.reward, study.given
    of_class = config.name in ("digit", "prompt")
    made = _of_a_class(study) if of_class else Rewarded(_plain(study), None, {})
    name = "reward" if given.function is None else f"reward.target={config.target}"
    tried = jnp.asarray(given.data.held_x[:NUM_TRIED], study.dtype)
    label = None if config.name != "prompt" else jnp.resize(jnp.array(config.labels), (len(tried),))
    said = check_reward(made.reward, tried, label, name)
    return made if said is None else made._replace(notes={**made.notes, "reward": said})


def _plain(study: Study) -> Reward:
    name, shape = study.config.reward.name, study.given.data.shape
    if name == "python":
        assert study.given.function is not None
        return rewards.per_point(study.given.function)
    if name == "wave":
        d = study.given.data.x.shape[1]
        direction = jnp.zeros(d, study.dtype).at[0].set(1.0)
        height, shift, ripple = (jnp.asarray(v, study.dtype) for v in (1.0, 0.5, 0.3))
        return rewards.per_point(Wave(direction, height, shift, ripple))
    if shape is None:
        raise InputError(f"reward.name={name} needs images, and the data are none")
    return rewards.Ink() if name == "ink" else rewards.Symmetry(shape)


def _of_a_class(study: Study) -> Rewarded:
    data, config = study.given.data, study.config.reward
    if data.label is None or data.held_label is None:
        raise InputError(f"reward.name={config.name} needs data with classes, and these have none")
    own = config.name == "prompt"
    field, wanted = ("labels", max(config.labels)) if own else ("label", config.label)
    if wanted >= data.num_classes:
        raise InputError(
            f"reward.{field} must be below the {data.num_classes} classes of the data, got {wanted}"
        )
    learnt = labelled(data.x.astype(study.dtype), data.label)
    held = labelled(data.held_x.astype(study.dtype), data.held_label)
    by = ClassifierTraining(optimiser=Optimiser(2e-3, NUM_STEPS, weight_decay=1e-2))

    def make(key: Any, member: Any) -> Task:
        start = perceptron_classifier(
            key_for(key, "a classifier"), data.x.shape[1], data.num_classes, dtype=study.dtype
        )
        return Task(learnt, by, start, held)

    found = study.stages.sweep(
        "classifiers",
        lambda static: solving(make, num_steps=NUM_STEPS, record=[0, NUM_STEPS]),
        [Axis("seed", [0, 1])],
    )
    both = found.final.averaged
    first, second = (jax.tree.map(lambda leaf, i=i: jnp.asarray(leaf[i]), both) for i in (0, 1))
    right = found.metrics["accuracy"][:, -1]
    words = f"held-out accuracy {right[0]:.3f}, of the judge {right[1]:.3f}"
    return Rewarded(
        rewards.class_log_prob(first, None if own else wanted), second, {"classifiers": words}
    )
