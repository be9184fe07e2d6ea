"""Descents as stages of a study: start, step rule, what is recorded of every member."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike

from fineq.nlqr.cost import CostStatus, infinite_cost
from fineq.nlqr.descent import (
    DescentInfo,
    DescentProblem,
    DescentState,
    Gradient,
    has_diverged,
    make_descent,
    start_descent,
)
from fineq.nlqr.optimum import Objective
from fineq.nlqr.policies import random_policy, zero_policy
from fineq.studies.nlqr.common import Optimum, Study, make_objective
from fineq.studies.nlqr.config import NlqrConfig
from fineq.studies.nlqr.instances import Instance, at_member
from fineq.sweep import Axis, Program, SweepResult
from fineq.sweep.stages import Member, lookup

STARTS = ("linear", "random", "zero")


class Method(NamedTuple):
    """How a stage descends.

    Attributes:
        gradient: `(key, K, problem) -> (gradient, cost)`.
        horizon: T of the recorded cost and of the reference optimum.
        num_steps: iterations.
        record: iterations at which cost and distance are recorded.
        step_size: η of a member, from its instance, configuration and optimum.
        rule: `fixed` or `adam`.
        distance: stop a member whose |K - K*| is at most this; 0 never.
        infinite: also record the infinite-horizon cost.
        policy: also record K.
    """

    gradient: Gradient
    horizon: int
    num_steps: int
    record: Sequence[int] | np.ndarray
    step_size: Callable[[NlqrConfig, Optimum, Instance], ArrayLike]
    rule: str = "fixed"
    distance: float = 0.0
    infinite: bool = False
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
        return random_policy(instance.key, system, radius)
    return zero_policy(system) if name == "zero" else instance.K_lin


def start_at(index: ArrayLike, instance: Instance, radius: ArrayLike) -> Array:
    """The initial policy `STARTS[index]`; the index may be traced, so starts share one program."""
    return jnp.stack([start_policy(name, instance, radius) for name in STARTS])[index]


def descend(
    study: Study,
    name: str,
    method: Method | Callable[[dict[str, Any]], Method],
    reference: Optimum,
    axes: Sequence[Axis] = (),
) -> SweepResult:
    """Run one descent per member.

    Args:
        study: bound study; its axes lead those of the reference.
        name: of the stage.
        method: how to descend; a function of the static values where some axis is static.
        reference: K* and its cost, `[*study.axes, ...]`.
        axes: further axes, laid before the study's: a static `start` (a name) or a traced one (an
            index into `STARTS`) overrides `descent.start`; a field such as `estimator.radius`
            takes its value.

    Returns:
        Metrics `cost`, `gap` (relative to C*), `distance` (|K - K*|), with `infinite` also
        `infinite_cost` (inf where the loop is not stable) and `stable`, with `policy` also
        `policy` `[..., p, n+d]`.
    """
    entry = lookup(study.axes, reference)

    def program(static: dict[str, Any]) -> Program:
        chosen = method(static) if callable(method) else method
        objective = make_objective(chosen.horizon)

        def init(key: Array, member: Member) -> tuple[DescentState, DescentProblem]:
            del key
            values = {**member, **static}
            at = at_member(study.config, values)
            instance, star = study.instance(values), entry(values)
            K = _start(values.get("start", at.descent.start), instance, at.descent.start_radius)
            limit = at.descent.diverged_factor * objective(K, instance)
            problem = DescentProblem(
                instance.problem,
                instance.points,
                jnp.asarray(chosen.step_size(at, star, instance), K.dtype),
                jnp.asarray(at.estimator.radius, K.dtype),
                star.K,
                star.cost,
                limit,
            )
            return start_descent(K, chosen.rule), problem

        return Program(
            init,
            make_descent(chosen.gradient, chosen.rule),
            num_steps=chosen.num_steps,
            metrics=make_metrics(objective, study, chosen),
            record=chosen.record,
            until=(lambda info: info.distance) if chosen.distance > 0 else None,
            tolerance=chosen.distance,
            diverged=has_diverged,
        )

    return study.stages.sweep(name, program, [*axes, *study.axes])


def _start(start: str | Array, instance: Instance, radius: ArrayLike) -> Array:
    if isinstance(start, str):
        return start_policy(start, instance, radius)
    return start_at(start, instance, radius)


def make_metrics(objective: Objective, study: Study, method: Method) -> Callable:
    """What is recorded of a descent: cost, relative gap, distance, and what else is asked for."""
    limits = study.config.reference

    def metrics(
        state: DescentState, info: DescentInfo, problem: DescentProblem
    ) -> dict[str, Array]:
        del info
        cost = objective(state.K, problem)
        recorded = {
            "cost": cost,
            "gap": (cost - problem.cost_star) / problem.cost_star,
            "distance": jnp.linalg.norm(state.K - problem.K_star),
        }
        if method.policy:
            recorded["policy"] = state.K
        if method.infinite:
            found = infinite_cost(
                state.K,
                problem.problem.system,
                problem.points,
                tolerance=limits.tail,
                max_horizon=limits.max_horizon,
            )
            recorded |= {"infinite_cost": found.cost, "stable": found.status == CostStatus.STABLE}
        return recorded

    return metrics
