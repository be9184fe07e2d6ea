"""Descents judged by the lowest minimum of their cost, and by the loops they pass through.

A descent is judged by the T-step cost it is run on, against the lowest minimum of that cost found
(truncation makes several), and by the infinite-horizon cost of the loops it passes through: with a
bounded kernel the first stays finite where the second does not.
A descent has *diverged* when its policy is no longer finite, or when the cost that its gradient saw
exceeds `descent.diverged_factor` times the cost of its start; it then keeps its last policy, and
what follows is absent (NaN) from every array.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from fineq.iterate import every
from fineq.nlqr.costs import CostStatus, InfiniteCost, infinite_cost
from fineq.settings.fields import flatten, replace_at
from fineq.studies import common
from fineq.studies.found import Found
from fineq.studies.nlqr.common import (
    GAINS,
    POLICIES,
    Optimum,
    Study,
    dropped_note,
    in_order,
    make_study,
    newton,
    policies,
)
from fineq.studies.nlqr.config import NlqrConfig
from fineq.studies.nlqr.descents import STARTS, Descent, descend, start_at
from fineq.studies.nlqr.gradients import configured
from fineq.studies.nlqr.instances import Given, Instance
from fineq.sweep import Axis, SweepResult
from fineq.sweep.stages import Member, Stages

NUM_RECORDS = 100
NUM_MOMENTS = 5  # iterations at which stability is looked at, the first and the last among them
NEWTON_STARTS = ("linear", "zero")
ROUNDING_UNITS = 64  # a cost of T steps carries a few of them, and so does C*
LOWER = 1e-9  # a cost lower by more than this share belongs to another minimum
OF_STAR = {
    "optimum": "lowest T-step cost C* found",
    "mu": "smallest Hessian eigenvalue μ at K*",
    "h": "largest Hessian eigenvalue h at K*",
    "converged": "Newton's method converged to K*",
    "star_unstable": "K* of the T-step cost is not stable",
    **{quantity.name: quantity.text for quantity in POLICIES},
}
START = "start"  # the axis of the initial policies that are compared


class Descended(NamedTuple):
    """What tables of claims need beside the arrays.

    Attributes:
        instances: the study of the instances alone.
        star: the lowest minimum found for each, `[*instances.axes, ...]`.
        policies: K, `[*axes, iteration, p, n + d]`, axes of starts and descents before the others.
        undecided: loops too slow to be judged, `[*axes, moment]`.
    """

    instances: Study
    star: Optimum
    policies: np.ndarray
    undecided: np.ndarray


def bind(
    config: NlqrConfig,
    given: Given,
    stages: Stages,
    *,
    starts: Sequence[str] = (),
    along: str = "",
) -> Study:
    """A study of descents: its axes are those of the descents, then those of their instances.

    Args:
        config: validated.
        given: what the user brought from files.
        stages: runs the sweeps.
        starts: initial policies that are compared, an axis of its own; none: `descent.start` alone.
        along: a swept field that is an axis of its own.
    """
    paths = flatten(config.sweep)
    random = config.estimator.name != "exact" or not {"random", "identified"}.isdisjoint(
        starts or [config.descent.start]
    )
    plants = {path: values for path, values in paths.items() if not _is_of_descents(path)}
    descents = {path: values for path, values in paths.items() if _is_of_descents(path)}
    stable = config.system.keep == "stable"
    instances = replace_at(config, {"sweep": plants})
    study = make_study(instances, given, stages, stable_only=stable, random=random)
    axes = [*common.user_axes(replace_at(config, {"sweep": descents})), *study.axes]
    own = [Axis(START, starts, static=True)] if starts else []
    own += [axis for axis in axes if axis.name == along]
    return study._replace(
        config=config,
        axes=[axis for axis in axes if axis.name != along],
        own=tuple(own),
        alike=study.alike and not random,
    )


def _is_of_descents(path: str) -> bool:
    # The horizon is that of the cost, hence of the optimum too.
    return path.startswith(("descent.", "estimator.")) and path != "descent.horizon"


def _split(study: Study) -> tuple[list[Axis], list[Axis], Study]:
    """Starts, by their index; axes of the descents alone; and the study of their instances."""
    fields = in_order(study)
    starts = [
        Axis(START, [STARTS.index(name) for name in axis.values])
        for axis in study.own
        if axis.name == START
    ]
    alone = [axis for axis in fields if _is_of_descents(axis.name)]
    axes = [axis for axis in fields if not _is_of_descents(axis.name)]
    return starts, alone, study._replace(axes=axes, own=())


def measure(study: Study) -> Found:
    """Find the optima, descend, and look at stability on the way."""
    starts, alone, instances = _split(study)
    star, minima = lowest_optimum(instances)
    result = descend(instances, "descents", _descent(study.config), star, [*starts, *alone])
    cost = result.metrics["cost"]
    star, lower = _lowest_of_all(star, cost, len(starts) + len(alone))
    loops, moments = _stability(instances, result, star)
    excess = cost - star.cost[..., None]
    gap = excess / star.cost[..., None]
    unstable = np.asarray(loops.status) == CostStatus.UNSTABLE
    values = {
        "cost": cost,
        "gap": gap,
        "left": left_of(excess, gap[..., :1] > rounding(study.config)),
        "unstable": unstable[..., :-1],
        "infinite_cost": np.asarray(loops.cost)[..., :-1],
        "diverged": result.diverged,
        "diverged_at": result.diverged_at,
        "unstable_start": unstable[..., 0],
        "unstable_end": unstable[..., -2],
        "policy": result.metrics["policy"][..., -1, :, :],
    }
    order = [axis.name for axis in (*starts, *alone, *instances.axes)]
    wanted = [order.index(axis.name) for axis in (*study.own, *study.axes)]
    values = {
        name: np.transpose(x, (*wanted, *range(len(wanted), np.ndim(x))))
        for name, x in values.items()
    }
    of_star: dict[str, Any] = {
        **star._asdict(),
        **policies(instances, star),
        "converged": star.converged,
        "optimum": star.cost,
        "star_unstable": unstable[..., -1].reshape(-1, *star.cost.shape)[0],
    }
    return Found(
        values,
        study.own,
        {"iteration": result.iterations, "moment": moments},
        values["diverged"],
        _notes(instances, minima, lower, result, loops),
        arrays=common.named_arrays(of_star, common.dims_of(instances.axes), OF_STAR, last=GAINS),
        more=Descended(
            instances,
            star,
            result.metrics["policy"],
            (np.asarray(loops.status) == CostStatus.UNDECIDED)[..., :-1],
        ),
    )


def rounding(config: NlqrConfig) -> float:
    """The relative gap (C - C*)/C* at which a cost is the optimal one to rounding."""
    return ROUNDING_UNITS * float(np.finfo(config.precision).eps)


def left_of(excess: np.ndarray, above: np.ndarray) -> np.ndarray:
    """What is left of an excess `[..., iteration]` over the optimum, where the start is above."""
    nothing = np.full(excess.shape, np.nan)
    return np.divide(
        excess, excess[..., :1], out=nothing, where=np.broadcast_to(above, excess.shape)
    )


def _descent(config: NlqrConfig) -> Callable[[dict[str, Any]], Descent]:
    def descent(static: dict[str, Any]) -> Descent:
        at = replace_at(config, static)
        steps = at.descent.num_steps
        return Descent(
            configured(at.estimator),
            at.descent.horizon,
            steps,
            every(steps, max(steps // NUM_RECORDS, 1)),
            step_size,
            rule="adam" if at.descent.rule == "adam" else "fixed",
            policy=True,
        )

    return descent


def step_size(at: NlqrConfig, star: Optimum, instance: Instance) -> Array:
    """η as `descent.rule` reads `descent.step_size`: a multiple of 1/h, or η itself."""
    del instance
    size = jnp.asarray(at.descent.step_size, star.h.dtype)
    return size / star.h if at.descent.rule == "smoothness" else size


def lowest_optimum(study: Study) -> tuple[Optimum, np.ndarray]:
    """The lowest end of Newton's method from `NEWTON_STARTS`.

    Returns:
        The lowest per instance, and which of the starts ended there, `[start, *study.axes]`.
    """
    radius = jnp.asarray(study.config.descent.start_radius)

    def start(member: Member, instance: Instance) -> Array:
        return start_at(member["start"], instance, radius.astype(instance.K_lin.dtype))

    axis = Axis("start", [STARTS.index(name) for name in NEWTON_STARTS])
    found = newton(study, study.config.descent.horizon, start, "reference", [axis])
    cost = np.where(np.isfinite(found.cost), found.cost, np.inf)
    best = np.argmin(cost, axis=0)

    def pick(leaf: np.ndarray) -> np.ndarray:
        index = best.reshape(1, *best.shape, *(1,) * (leaf.ndim - cost.ndim))
        return np.take_along_axis(np.asarray(leaf), index, axis=0)[0]

    lowest = jax.tree.map(pick, found)
    return lowest, cost <= lowest.cost * (1 + LOWER)


def _lowest_of_all(star: Optimum, cost: np.ndarray, num: int) -> tuple[Optimum, np.ndarray]:
    """C* lowered to what descents reached, where they found a lower minimum, and where that is."""
    reached = np.where(np.isfinite(cost), cost, np.inf).min(axis=(*range(num), -1))
    lower = reached < star.cost * (1 - LOWER)
    return star._replace(cost=np.where(lower, reached, star.cost)), lower


def _stability(study: Study, result: SweepResult, star: Optimum) -> tuple[InfiniteCost, np.ndarray]:
    """The infinite-horizon cost at moments of the descents, and last at K*, `[*axes, moment]`."""
    last = len(result.iterations) - 1
    chosen = np.unique(np.linspace(0, last, NUM_MOMENTS).round().astype(int))
    policies = result.metrics["policy"]
    best = np.broadcast_to(star.K, (*policies.shape[:-3], *star.K.shape[-2:]))
    K = np.concatenate([policies[..., chosen, :, :], best[..., None, :, :]], axis=-3)
    looks = Axis("moment", list(range(K.shape[-3])))
    limits = study.config.reference

    def look(member: Member) -> InfiniteCost:
        at = study.instance(member)
        return infinite_cost(
            member["K"],
            at.problem.system,
            at.points,
            tolerance=limits.tail,
            max_horizon=limits.max_horizon,
        )

    found = study.stages.measure("stability", look, [*result.axes, looks], {"K": K})
    return jax.tree.map(np.asarray, found), result.iterations[chosen]


def _notes(
    study: Study, minima: np.ndarray, lower: np.ndarray, result: SweepResult, found: InfiniteCost
) -> dict[str, str]:
    several = int((~minima.all(axis=0)).sum())
    slow = int(np.sum(np.asarray(found.status) == CostStatus.UNDECIDED))
    factor = study.config.descent.diverged_factor
    notes = {"seeds": dropped_note(study)} if study.config.system.keep == "stable" else {}
    return notes | {
        "optimum": "C* is the lowest end of Newton's method from K_lin and from zero, which reach "
        f"different costs for {several} of {lower.size} instances, and descents went lower for "
        f"{int(lower.sum())}",
        "diverged": f"{int(result.diverged.sum())} of {result.diverged.size} descents diverged: "
        f"cost above {factor:g} times that of the start, or a policy that is not finite",
        "undecided": f"{slow} of {found.status.size} loops were too slow to be judged",
    }
