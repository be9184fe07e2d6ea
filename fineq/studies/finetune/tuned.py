"""What studies of fine-tuned models share: training, paths of base and tuned models, what they say.

Each is one stage. Names of what a stage leaves are those of `REPORTED`.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from fineq.finetune import adapted
from fineq.finetune.evaluate import judge, report
from fineq.finetune.frontier import ideal_frontier
from fineq.finetune.methods.base import AdapterTraining
from fineq.finetune.problem import Tuning
from fineq.finetune.truth import gaps, own_gaps
from fineq.finetune.weights import Weighed, weigh
from fineq.keys import key_for
from fineq.pift.certificates import ENOUGH, Gap
from fineq.studies.finetune import common
from fineq.studies.finetune.rewards import Rewarded
from fineq.studies.recipe import Quantity, View
from fineq.sweep import Axis, SweepResult, Table, Task, solving
from fineq.sweep.stages import Member

REPORTED = (
    Quantity("reward", "reward"),
    Quantity("divergence", "divergence from the base model [nat]"),
    Quantity("objective", "objective J"),
    Quantity("gap", "what is left to gain: divergence from the tilted law [nat]"),
    Quantity("gap_high", "what is left to gain, upper 95% limit [nat]"),
    Quantity("effective", "effective paths behind the gap"),
    Quantity("best", "most reward at the same divergence"),
    Quantity("distance", "distance of two samples"),
    Quantity("judged", "share of samples in which a second classifier sees the class"),
)
ENDLESS = ("divergence", "gap", "gap_high")  # infinite for a policy that diverged
PRICES = 48  # of the ideal frontier


def fine_tune(
    study: common.Study,
    made: Rewarded,
    axes: Sequence[Axis],
    by: Callable[[Member], AdapterTraining],
    num_steps: int,
    *,
    name: str = "fine-tuning",
    inputs: Mapping[str, Any] | None = None,
    reference: Callable[[Tuning, Member], Any] = lambda tuning, member: None,
) -> SweepResult:
    """Fine-tune the base model for every member.

    Args:
        study: bound.
        made: its reward.
        axes: of the members.
        by: a member's method.
        num_steps: of it.
        name: of the stage.
        inputs: of the stage.
        reference: what is known of a member's optimum.
    """

    def make(key: Array, member: Member) -> Task:
        tuning = common.tuning_of(study, made.reward, member)
        return Task(tuning, by(member), None, reference(tuning, member))

    steps = common.records(num_steps)
    return study.stages.sweep(
        name,
        lambda static: solving(make, num_steps=num_steps, record=steps),
        axes,
        inputs=inputs,
    )


def base_paths(study: common.Study, made: Rewarded, times: int = 1) -> dict[str, np.ndarray]:
    """What `truth.num_paths` paths of the base model say, or `times` as many.

    Rewards `[*axes, 1, S, inner]`, and the ideal frontier that they tell: `ideal_reward` and
    `ideal_divergence` `[*axes, PRICES]`, of which enough paths know the part up to
    `known_divergence` `[*axes]`.
    """
    of = partial(_base, study, made, times * study.config.truth.num_paths)
    return study.stages.measure("paths of the base model", of, study.axes)


def _base(study: common.Study, made: Rewarded, num: int, member: Member) -> dict[str, Array]:
    tuning = common.tuning_of(study, made.reward, {"beta": 1.0})
    key = key_for(member["seed"], "paths of the base model")
    paths = weigh(key, tuning, None, num, study.config.truth.inner)
    ideal = ideal_frontier(paths, jnp.geomspace(1e2, 1e-2, PRICES, dtype=study.dtype))
    return {
        "rewards": paths.reward,
        "ideal_reward": ideal.reward.value,
        "ideal_divergence": ideal.divergence.value,
        "known_divergence": jnp.max(
            jnp.where(ideal.effective >= ENOUGH, ideal.divergence.value, 0.0)
        ),
    }


def tuned_paths(
    study: common.Study,
    made: Rewarded,
    axes: Sequence[Axis],
    adapters: Any,
    base: Mapping[str, np.ndarray],
    shown: int = 0,
) -> dict[str, np.ndarray]:
    """What paths of fine-tuned models say, by the names of `REPORTED`, over axes.

    Args:
        study: bound.
        made: its reward.
        axes: of the models.
        adapters: theirs, leaves `[*axes, ...]`.
        base: as `base_paths` has it.
        shown: samples of each that are kept, from as many starts, under `shown`.
    """

    def of(member: Member) -> dict[str, Array]:
        tuning = common.tuning_of(study, made.reward, member)
        policy = adapted(tuning.base, member["adapters"])
        key = key_for(member["seed"], "paths of a fine-tuned model")
        truth = study.config.truth
        paths = weigh(key, tuning, policy, truth.num_paths, truth.inner)
        found = said_of(study, made, paths, tuning.beta, member["base"])
        left = gap_of(weighed_base(member["base"]), paths, tuning.beta)
        found |= named(left)
        return {**found, "shown": paths.last[0, :shown, 0]} if shown else found

    inputs = {"adapters": adapters, "base": Table(study.axes, base)}
    return study.stages.measure("paths of the fine-tuned models", of, axes, inputs)


def said_of(
    study: common.Study, made: Rewarded, paths: Weighed, beta: Array, base: Mapping[str, Array]
) -> dict[str, Array]:
    """What paths of any policy say, but for the gap; `base` is a member's entry of `base_paths`."""
    seen = report(paths, beta)
    divergence = seen.divergence.value
    most = jnp.interp(divergence, base["ideal_divergence"], base["ideal_reward"])
    found = {
        "reward": seen.reward.value,
        "divergence": divergence,
        "objective": seen.objective.value,
        "best": jnp.where(divergence <= base["known_divergence"], most, jnp.nan),
        "distance": seen.distance.value,
    }
    if made.judge is not None:
        wanted = jnp.asarray(study.config.reward.label, jnp.int32)
        found["judged"] = judge(made.judge, paths, wanted).accuracy.value
    return found


def named(left: Gap) -> dict[str, Array]:
    """A gap by the names of `REPORTED`."""
    return {"gap": left.value, "gap_high": left.high, "effective": left.effective}


def weighed_base(base: Mapping[str, Array]) -> Weighed:
    """Paths of the base model for bounds, which ask for their rewards alone."""
    zero = jnp.zeros_like(base["rewards"])
    return Weighed(base["rewards"], zero, zero, zero[..., None])


def gap_of(before: Weighed, paths: Weighed, beta: Array) -> Gap:
    """The conditional gap of a policy from the base model's paths or, where too few, its own."""
    by_base, by_own = gaps(before, paths, beta).conditional, own_gaps(paths, beta).conditional
    known = by_base.effective >= ENOUGH
    # Its own paths do not see what a policy has given up; the base model's do, if few of them.
    wider = by_own._replace(high=jnp.maximum(by_base.high, by_own.high))
    return jax.tree.map(partial(jnp.where, known), by_base, wider)


def marked(values: Mapping[str, np.ndarray], lost: np.ndarray) -> dict[str, np.ndarray]:
    """What is said of policies where some diverged: no number, or one without end."""
    return {k: np.where(lost, np.inf if k in ENDLESS else np.nan, x) for k, x in values.items()}


def few(view: View) -> str:
    """Where too few paths carry an estimate, how many do."""
    return said_few(np.min(view("effective")))


def said_few(worst: float) -> str:
    """The same of the fewest effective paths."""
    return "" if worst >= ENOUGH else f"of {worst:.0f} effective paths only, which say little"
