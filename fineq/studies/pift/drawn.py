"""What a member is, apart from the number of steps: drawn once, then used at every T.

Programs that differ in their number of steps are compiled one by one; drawing laws and rewards in
each would take longer to compile than the rest.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from fineq.ddpm.laws import Law
from fineq.ddpm.schedules import Schedule
from fineq.errors import InputError
from fineq.pift.problem import Problem, Reward, ddpm_chain, make_problem
from fineq.settings.fields import replace_at
from fineq.studies.pift.common import Study
from fineq.studies.pift.instances import schedule_of
from fineq.sweep import Axis, Table
from fineq.sweep.stages import Member

VARIANCES = ("forward", "posterior")
VARYING = Axis("schedule.variance", VARIANCES, static=True)


class Problems(NamedTuple):
    """Law of the data, reward and price: what a problem of any schedule has."""

    law: Law
    reward: Reward
    beta: Array

    def problem(self, schedule: Schedule) -> Problem:
        """The problem on a schedule."""
        return make_problem(ddpm_chain(self.law, schedule), self.reward, self.beta)


def draw(study: Study) -> Problems:
    """Everything for all members, leaves `[*axes, ...]`: one stage of the study."""

    def at(member: Member) -> Problems:
        instance = study.instance(member)
        return Problems(instance.law, instance.problem.reward, instance.problem.betas[0])

    return study.stages.measure("instances", at, study.axes)


def schedule_at(study: Study, member: Member) -> Schedule:
    """The schedule of a member's fields, `{"schedule.num_steps": ...}`; others are left out."""
    own = ("seed", "drawn")
    return schedule_of(replace_at(study.config, {k: v for k, v in member.items() if k not in own}))


def over_steps(
    study: Study,
    drawn: Problems,
    num_steps: Sequence[int],
    one: Callable[[Problems, Schedule], Any],
) -> Any:
    """Evaluate `one` for every T, member and variance; leaves `[*axes, T, variance, ...]`.

    The variances are a batch: one program for each T, not two.
    """

    def at(member: Member) -> Any:
        each = [schedule_at(study, {**member, "schedule.variance": kind}) for kind in VARIANCES]
        stacked = jax.tree.map(lambda *x: jnp.stack(x), *each)
        return jax.vmap(lambda schedule: one(member["drawn"], schedule))(stacked)

    if study.config.schedule.name == "list":
        raise InputError(
            f"study={study.config.study} varies the number of steps: take a named schedule, not "
            "schedule.name=list"
        )
    steps = Axis("schedule.num_steps", num_steps, static=True)
    inputs = {"drawn": Table(study.axes, drawn)}
    found = study.stages.measure("steps", at, [steps, *study.axes], inputs)
    return jax.tree.map(lambda x: np.moveaxis(np.asarray(x), 0, len(study.axes)), found)


def refuse_lost(study: Study, values: Any) -> None:
    """Raise `InputError` where some member has no finite value: an order cannot be fitted."""
    lost = int((~np.isfinite(values)).any(axis=(*range(values.ndim - 2), -1)).sum())
    if lost:
        raise InputError(
            f"{lost} of {values.shape[-2]} seeds have no finite value at beta="
            f"{study.config.beta:g}, below well-posedness: raise beta"
        )
