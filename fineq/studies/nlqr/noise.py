"""The noise of a zeroth-order gradient and the floor it sets, over rollouts J and radius r.

One program does both: a descent with step size 0 stays where it is and collects independent
estimates of one gradient. J is traced: an estimate with J rollouts is the mean of J / J0
independent ones with J0 each, so that all J share one compilation.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from fineq import sweep
from fineq.iterate import every
from fineq.nlqr.gradients import Estimator
from fineq.nlqr.objective import expected_cost
from fineq.nlqr.problem import Problem
from fineq.studies.nlqr.common import Optimum, Study
from fineq.studies.nlqr.gradients import ZEROTH_ORDER
from fineq.studies.nlqr.instances import at_member
from fineq.sweep.stages import Member

NUM_RECORDS = 40
SETTLED = 0.5  # the floor is the mean gap over what follows this share of a descent


class Case(NamedTuple):
    """One thing to measure: with J rollouts and radius r, a descent from K* or the noise at K."""

    descends: bool
    num_rollouts: int
    radius: float


class Collected(NamedTuple):
    """Policy, and sums over the estimates so far: ĝ `[p, n + d]`, |ĝ|², how many."""

    K: Array
    total: Array
    square: Array
    taken: Array


class Collecting(NamedTuple):
    """What one member needs: see `Case`; at most `budget` steps; the cost that is too much."""

    problem: Problem
    blocks: Array
    radius: Array
    step_size: Array
    budget: Array
    cost_star: Array
    limit: Array


class Collection(NamedTuple):
    """Steps left, and the cost seen over the limit of divergence."""

    left: Array
    excess: Array


class Noise(NamedTuple):
    """What was measured, `[case, *axes, ...]`.

    Attributes:
        deviation: standard deviation of the estimate, the root of `E |ĝ - E ĝ|²`; of a descent,
            over its policies.
        floor: mean of `(C - C*)/C*` over the second half of a descent; NaN where it diverged.
        gap: the same against the iteration, `[..., R]`.
        iterations: `[R]`.
        diverged: which descents left.
    """

    deviation: np.ndarray
    floor: np.ndarray
    gap: np.ndarray
    iterations: np.ndarray
    diverged: np.ndarray


def measure_noise(
    study: Study,
    name: str,
    cases: Sequence[Case],
    policy: np.ndarray,
    star: Optimum,
    step_size: float,
) -> Noise:
    """Run all cases with one estimator.

    Args:
        study: bound study.
        name: of the estimator, a key of `ZEROTH_ORDER`, and of the stage.
        cases: what to measure.
        policy: K at which noise is measured, `[*study.axes, p, n + d]`.
        star: minimum of the T-step cost, `[*study.axes, ...]`.
        step_size: of descents, as a multiple of 1/h.
    """
    share = math.gcd(*(case.num_rollouts for case in cases))
    table = [jnp.asarray(column) for column in zip(*cases, strict=True)]
    steps, repeats = study.config.floors.num_steps, study.config.probe.repeats

    def program(static: dict[str, Any]) -> sweep.Program:
        horizon = static.get("descent.horizon", study.config.descent.horizon)

        def init(key: Array, member: Member) -> tuple[Collected, Collecting]:
            del key
            values = {**member, **static}
            at = at_member(study.config, values)
            best = member["star"]
            descends, num_rollouts, radius = (column[member["case"]] for column in table)
            K = jnp.where(descends, best.K, member["still"])
            problem = Collecting(
                study.instance(values).at_horizon(horizon),
                num_rollouts // share,
                radius.astype(K.dtype),
                jnp.where(descends, step_size / best.h, 0.0),
                jnp.where(descends, steps, repeats).astype(jnp.int32),
                best.cost,
                at.descent.diverged_factor * best.cost,
            )
            zero = jnp.zeros((), K.dtype)
            return Collected(K, jnp.zeros_like(K), zero, jnp.zeros((), jnp.int32)), problem

        def gap(state: Collected, info: Collection, problem: Collecting) -> dict[str, Array]:
            del info
            cost = expected_cost(state.K, problem.problem)
            return {"gap": (cost - problem.cost_star) / problem.cost_star}

        return sweep.Program(
            init,
            make_collector(ZEROTH_ORDER[name](share)),
            num_steps=max(steps, repeats),
            metrics=gap,
            record=every(max(steps, repeats), max(steps // NUM_RECORDS, 1)),
            until=lambda info: info.left,
            diverged=lambda state, info: ~jnp.all(jnp.isfinite(state.K)) | ~(info.excess <= 1),
        )

    axes = [sweep.Axis("case", range(len(cases))), *study.axes]
    # A block of one case runs as long as that case needs, and not as long as the longest.
    block = math.prod(len(axis) for axis in study.axes if not axis.static)
    known = {"star": star, "still": policy}
    inputs = {what: sweep.Table(study.axes, values) for what, values in known.items()}
    result = study.stages.sweep(name, program, axes, inputs=inputs, block_size=block)
    return _noise(cases, result, steps)


def make_collector(estimator: Estimator) -> Callable:
    """The kernel: average `blocks` estimates, add the mean to the sums, step along it."""

    def step(key: Array, state: Collected, problem: Collecting) -> tuple[Collected, Collection]:
        def add(i: Array, total: tuple[Array, Array]) -> tuple[Array, Array]:
            at = jax.random.fold_in(key, i)
            found = estimator(at, state.K, problem.problem, problem.radius)
            return total[0] + found.gradient, total[1] + found.cost

        zero = (jnp.zeros_like(state.K), jnp.zeros((), state.K.dtype))
        gradient, cost = lax.fori_loop(0, problem.blocks, add, zero)
        gradient, cost = gradient / problem.blocks, cost / problem.blocks
        taken = state.taken + 1
        following = Collected(
            state.K - problem.step_size * gradient,
            state.total + gradient,
            state.square + jnp.sum(gradient**2),
            taken,
        )
        return following, Collection(problem.budget - taken, cost / problem.limit)

    return step


def _noise(cases: Sequence[Case], result: sweep.SweepResult, steps: int) -> Noise:
    final, gap = result.final, result.metrics["gap"]
    count = final.taken
    mean = final.total / count[..., None, None]
    spread = final.square / count - np.sum(mean**2, axis=(-2, -1))
    deviation = np.sqrt(np.maximum(spread, 0.0) * count / np.maximum(count - 1, 1))
    settled = (result.iterations > SETTLED * steps) & (result.iterations <= steps)
    level = np.mean(gap[..., settled], axis=-1)
    descends = np.array([case.descends for case in cases]).reshape(-1, *[1] * (level.ndim - 1))
    return Noise(
        np.where(result.diverged, np.nan, deviation),
        np.where(descends & ~result.diverged, level, np.nan),
        gap,
        result.iterations,
        result.diverged,
    )
