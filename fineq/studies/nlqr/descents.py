"""Descents as stages of a study: start, step rule, what is recorded of every member."""

from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike

from fineq import sweep
from fineq.keys import key_for
from fineq.nlqr.gradients import Estimator
from fineq.nlqr.objective import expected_cost
from fineq.nlqr.policies import random_policy, zero_policy
from fineq.nlqr.policy_gradient import PolicyGradient
from fineq.studies.nlqr.common import Optimum, Study
from fineq.studies.nlqr.config import NlqrConfig
from fineq.studies.nlqr.instances import Instance, at_member
from fineq.sweep.stages import Member

STARTS = ("linear", "random", "zero")


class Descent(NamedTuple):
    """How a stage descends.

    Attributes:
        gradient: of the cost of `horizon` steps, unless it has a horizon of its own.
        horizon: T of the recorded cost and of the reference optimum.
        num_steps: iterations.
        record: iterations at which cost and distance are recorded.
        step_size: η of a member, from its instance, configuration and optimum.
        rule: `fixed` or `adam`.
        distance: stop a member whose |K - K*| is at most this; None never.
        policy: also record K.
    """

    gradient: Estimator
    horizon: int
    num_steps: int
    record: Sequence[int] | np.ndarray
    step_size: Callable[[NlqrConfig, Optimum, Instance], ArrayLike]
    rule: Literal["fixed", "adam"] = "fixed"
    distance: float | None = None
    policy: bool = False


def start_policy(name: str, instance: Instance, radius: ArrayLike) -> Array:
    """The initial policy: K_lin, a random one of Frobenius norm `radius`, or zero.

    `identified` is K_lin of the identified system: NaN, so that the member counts as diverged from
    its first step, where the samples do not determine one.

    Raises:
        ValueError: for `identified` unless the study was made with `descent.start=identified`.
    """
    system = instance.problem.system
    if name == "identified":
        if instance.K_identified is None:
            raise ValueError("an identified start needs descent.start=identified")
        return instance.K_identified
    if name == "random":
        return random_policy(key_for(instance.key, "a random start"), system, radius)
    return zero_policy(system) if name == "zero" else instance.K_lin


def start_at(index: ArrayLike, instance: Instance, radius: ArrayLike) -> Array:
    """The initial policy `STARTS[index]`; the index may be traced, so starts share one program."""
    return jnp.stack([start_policy(name, instance, radius) for name in STARTS])[index]


def descend(
    study: Study,
    name: str,
    descent: Descent | Callable[[dict[str, Any]], Descent],
    reference: Optimum,
    axes: Sequence[sweep.Axis] = (),
) -> sweep.SweepResult:
    """Run one policy gradient per member.

    Args:
        study: bound study; its axes lead those of the reference.
        name: of the stage.
        descent: how to descend; a function of the static values where some axis is static.
        reference: K* and its cost, `[*study.axes, ...]`.
        axes: further axes, laid before the study's: a static `start` (a name) or a traced one (an
            index into `STARTS`) overrides `descent.start`; a field such as `estimator.radius`
            takes its value.

    Returns:
        Metrics of `fineq.nlqr.PolicyGradient`: `cost`, `gap` (relative to C*), `distance`
        (|K - K*|), and with `policy` also `policy` `[..., p, n+d]`.
    """

    def program(static: dict[str, Any]) -> sweep.Program:
        chosen = descent(static) if callable(descent) else descent

        def make(key: Array, member: Member) -> sweep.Task:
            del key
            values = {**member, **static}
            at = at_member(study.config, values)
            instance, star = study.instance(values), member["star"]
            problem = instance.at_horizon(chosen.horizon)
            K = _start(values.get("start", at.descent.start), instance, at.descent.start_radius)
            by = PolicyGradient(
                jnp.asarray(chosen.step_size(at, star, instance), K.dtype),
                gradient=chosen.gradient,
                radius=jnp.asarray(at.estimator.radius, K.dtype),
                rule=chosen.rule,
                limit=at.descent.diverged_factor * expected_cost(K, problem),
                tolerance=chosen.distance,
                keep_policy=chosen.policy,
            )
            return sweep.Task(problem, by, K, star)

        return sweep.solving(
            make,
            num_steps=chosen.num_steps,
            record=chosen.record,
            stops=chosen.distance is not None,
        )

    inputs = {"star": sweep.Table(study.axes, reference)}
    return study.stages.sweep(name, program, [*axes, *study.axes], inputs=inputs)


def _start(start: str | Array, instance: Instance, radius: ArrayLike) -> Array:
    if isinstance(start, str):
        return start_policy(start, instance, radius)
    return start_at(start, instance, radius)
