"""What the studies of the paper's figures share: descents, what is left of the gap, stability.

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
from fineq.nlqr.cost import CostStatus, InfiniteCost, infinite_cost
from fineq.settings.fields import flatten, replace_at
from fineq.studies.common import user_axes
from fineq.studies.nlqr.common import (
    Optimum,
    Study,
    dropped_note,
    make_study,
    newton,
)
from fineq.studies.nlqr.config import NlqrConfig
from fineq.studies.nlqr.descents import STARTS, Descent, descend, start_at
from fineq.studies.nlqr.gradients import configured
from fineq.studies.nlqr.instances import Given, Instance
from fineq.sweep import Axis, SweepResult
from fineq.sweep.stages import Member, Stages, lookup

NUM_RECORDS = 100
NUM_MOMENTS = 5  # iterations at which stability is looked at, the first and the last among them
NEWTON_STARTS = ("linear", "zero")
ROUNDING_UNITS = 64  # a cost of T steps carries a few of them, and so does C*
LOWER = 1e-9  # a cost lower by more than this share belongs to another minimum


def bind(
    config: NlqrConfig, given: Given, stages: Stages, *, starts: Sequence[str] = ()
) -> tuple[Study, list[Axis]]:
    """The study over the fields that make its instances, and the axes of the descents alone.

    Args:
        config: validated.
        given: what the user brought from files.
        stages: runs the sweeps.
        starts: initial policies that are compared; none: `descent.start` alone.
    """
    paths = flatten(config.sweep)
    random = config.estimator.name != "exact" or not {"random", "identified"}.isdisjoint(
        starts or [config.descent.start]
    )
    own = [path for path in paths if _is_of_descents(path)]
    plants = replace_at(config, {"sweep": {p: v for p, v in paths.items() if p not in own}})
    descents = replace_at(config, {"sweep": {path: paths[path] for path in own}})
    stable = config.system.keep == "stable"
    study = make_study(plants, given, stages, stable_only=stable, random=random)
    return study, user_axes(descents)


def _is_of_descents(path: str) -> bool:
    # The horizon is that of the cost, hence of the optimum too.
    return path.startswith(("descent.", "estimator.")) and path != "descent.horizon"


class Descents(NamedTuple):
    """The descents of one figure.

    Attributes:
        study: the instances.
        axes: of every array: `start` where there are several, fields, seeds.
        result: of the descents.
        star: the lowest minimum found for each instance, `[*study.axes, ...]`.
        gap: relative suboptimality (C - C*)/C* of the T-step cost, `[*axes, iteration]`.
        left: (C - C*)/(C_0 - C*), `[*axes, iteration]`; NaN where the start is the optimum to
            rounding, and nothing can be lowered.
        moments: iterations at which stability was looked at, `[moment]`.
        unstable: the loop is not brought to rest, or the descent has diverged, `[*axes, moment]`.
        undecided: too slow to be judged, `[*axes, moment]`.
        infinite_cost: C(K), infinite where unstable, `[*axes, moment]`.
        star_unstable: the optimum of the T-step cost does not stabilise, `[*study.axes]`.
        notes: how C* was found, what was left out.
    """

    study: Study
    axes: list[Axis]
    result: SweepResult
    star: Optimum
    gap: np.ndarray
    left: np.ndarray
    moments: np.ndarray
    unstable: np.ndarray
    undecided: np.ndarray
    infinite_cost: np.ndarray
    star_unstable: np.ndarray
    notes: dict[str, str]

    @property
    def alone(self) -> bool:
        """Nothing random went into them, and there is one seed."""
        return self.study.alike and len(self.study.axes[-1]) == 1


def run_descents(study: Study, axes: Sequence[Axis], starts: Sequence[str] = ()) -> Descents:
    """Find the optima, descend, and look at stability on the way.

    Args:
        study: bound study.
        axes: further axes of the descents.
        starts: initial policies compared; none: `descent.start` alone.
    """
    star, minima = lowest_optimum(study)
    indices = [Axis("start", [STARTS.index(name) for name in starts])] if starts else []
    result = descend(study, "descents", _descent(study.config), star, [*indices, *axes])
    cost = result.metrics["cost"]
    star, lower = _lowest_of_all(star, cost, len(indices) + len(axes))
    shown = [*(Axis("start", starts, static=True) for _ in indices), *axes, *study.axes]
    excess = cost - star.cost[..., None]
    gap = excess / star.cost[..., None]
    found, moments = _stability(study, result, star)
    status = np.asarray(found.status)
    unstable = status == CostStatus.UNSTABLE
    return Descents(
        study,
        shown,
        result,
        star,
        gap,
        _left(excess, gap[..., :1] > rounding(study.config)),
        moments,
        unstable[..., :-1],
        (status == CostStatus.UNDECIDED)[..., :-1],
        np.asarray(found.cost)[..., :-1],
        unstable[..., -1].reshape(-1, *star.cost.shape)[0],
        _notes(study, minima, lower, result, found),
    )


def rounding(config: NlqrConfig) -> float:
    """The relative gap (C - C*)/C* at which a cost is the optimal one to rounding."""
    return ROUNDING_UNITS * float(np.finfo(config.precision).eps)


def _left(excess: np.ndarray, above: np.ndarray) -> np.ndarray:
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
    entry = lookup([*result.axes, looks], K)
    limits = study.config.reference

    def look(member: Member) -> InfiniteCost:
        at = study.instance(member)
        return infinite_cost(
            entry(member),
            at.problem.system,
            at.points,
            tolerance=limits.tail,
            max_horizon=limits.max_horizon,
        )

    found = study.stages.measure("stability", look, [*result.axes, looks])
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
