"""Whole sweeps and inner iterations of policy iteration on linear-quadratic instances."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from fineq import sweep
from fineq.fast.lapack import after
from fineq.pift import lq
from fineq.pift.rewards import Quadratic
from fineq.pift.rule import Rule
from fineq.studies.found import Quantity
from fineq.studies.pift.common import Study
from fineq.sweep.stages import Member

MEANS = ("t", "component", "state")  # the dimensions of F in m_t(y) = F_t y + f_t


def of_means(name: str, words: str) -> tuple[Quantity, Quantity]:
    """The quantities of affine means: F and f of m_t(y) = F_t y + f_t."""
    return (
        Quantity(f"{name}_F", f"F of {words}, m(y) = F y + f", MEANS),
        Quantity(f"{name}_f", f"f of {words}, m(y) = F y + f", MEANS[:-1]),
    )


def means(name: str, policy: lq.Policy) -> dict[str, Array]:
    """Their values."""
    return {f"{name}_F": policy.F, f"{name}_f": policy.f}


class Facts(NamedTuple):
    """What is exact of one linear-quadratic instance.

    Attributes:
        solution: the optimum.
        ratio: max_t ρ_t, the spectral radius of S_t P_{t+1}/β_t; NaN unless well posed.
        ratios: ρ_t, `[T]`.
        concave: max_t of the negative curvature alone.
        convex: max_t of the positive curvature alone, what well-posedness bounds by 1.
        value: J of the optimum.
        reward: E r of the optimum.
        divergence: path KL of the optimum.
        pretrained: E r of the pre-trained chain.
        mismatch: |V backward - J forward| over |J|.
    """

    solution: lq.Solution
    ratio: Array
    ratios: Array
    concave: Array
    convex: Array
    value: Array
    reward: Array
    divergence: Array
    pretrained: Array
    mismatch: Array


def facts_of(study: Study, axes: Sequence[sweep.Axis] | None = None) -> Facts:
    """The exact facts of every member, leaves `[*axes, ...]`, by default the study's axes."""

    def look(member: Member) -> Facts:
        arrays = lq.linear_quadratic(study.instance(member).problem)
        found = lq.optimum(arrays)
        best = lq.objective(arrays, found.policy)
        plain = lq.objective(arrays, lq.pretrained(arrays))
        ratios = found.ratios
        backward = lq.expected(arrays, found.value)
        return Facts(
            found,
            jnp.where(found.well_posed, jnp.max(ratios), jnp.nan),
            ratios,
            jnp.max(-found.lowest),
            jnp.max(found.highest),
            best.objective,
            best.reward,
            best.divergence,
            plain.reward,
            jnp.abs(backward - best.objective) / jnp.abs(best.objective),
        )

    return study.stages.measure("facts", look, study.axes if axes is None else axes)


def sweeps(
    study: Study,
    name: str,
    num_sweeps: int,
    axes: list[sweep.Axis] | None = None,
    rule: Callable[[dict[str, Any]], Rule] | None = None,
) -> sweep.SweepResult:
    """Whole-trajectory policy iteration from the pre-trained policy.

    Args:
        study: bound study.
        name: of the stage.
        num_sweeps: evaluations and improvements.
        axes: further axes before the study's.
        rule: the inner step of a member's static values; `inner.rule` unless given.

    Returns:
        What `lq.LQSweeps` measures, recorded at every sweep.
    """
    pick = rule or (lambda static: study.config.inner.rule)

    def program(static: dict[str, Any]) -> sweep.Program:
        by = lq.LQSweeps(pick(static))  # type: ignore[arg-type]

        def make(key: Array, member: Member) -> sweep.Task:
            del key
            problem = study.instance({**member, **static}).problem
            arrays = lq.linear_quadratic(problem)
            return sweep.Task(arrays, by, reference=lq.optimum(arrays))

        return sweep.solving(make, num_steps=num_sweeps, record=list(range(num_sweeps + 1)))

    return study.stages.sweep(name, program, [*(axes or []), *study.axes])


class Inner(NamedTuple):
    """Inner iterations of nested PI-FT, `[T, num_inner + 1]`.

    Attributes:
        to_fixed_point: distance to the fixed point of the current V_{t+1}.
        to_optimum: distance to u_t*.
    """

    to_fixed_point: Array
    to_optimum: Array


def inner_errors(study: Study, num_inner: int) -> Inner:
    """Nested PI-FT of every member, leaves `[*axes, T, num_inner + 1]`."""

    def look(member: Member) -> Inner:
        arrays = lq.linear_quadratic(study.instance(member).problem)
        star = lq.optimum(arrays).policy
        arrays = after(star, arrays)
        found = lq.nested(arrays, num_inner, study.config.inner.rule)  # type: ignore[arg-type]
        following = jax.tree.map(lambda x: x[1:], found.value)
        times = jnp.arange(arrays.betas.shape[0])
        fixed = jax.vmap(lambda t, v, A, b: lq.improve(arrays, t, v, A, b, "newton"))(
            times, following, arrays.A, arrays.b
        )
        size = lq.size(arrays)

        def error(inner: lq.Policy, to: lq.Policy) -> Array:
            return jax.vmap(lambda i: lq.distance(i, to, size))(inner)

        return Inner(
            jax.vmap(error)(found.inner, lq.Policy(*fixed)), jax.vmap(error)(found.inner, star)
        )

    return study.stages.measure("inner", look, study.axes)


class Ratios(NamedTuple):
    """Contraction ratios of the update maps themselves, linearised at the optimum.

    Attributes:
        sweep: of a whole sweep.
        steps: of the inner iteration at each t for V*, `[T]`.
    """

    sweep: Array
    steps: Array


def measured_ratios(study: Study, num: int) -> Ratios:
    """The ratios by `num` power iterations on the derivatives of the maps, leaves `[*axes, ...]`.

    Errors of an ordinary run reach rounding before all but the slowest mode have died out; the
    derivative can be iterated for as long as it takes.
    """

    def ratio(function: Callable[[lq.Policy], lq.Policy], at: lq.Policy) -> Array:
        def step(v: lq.Policy, _: None) -> tuple[lq.Policy, Array]:
            moved = jax.jvp(function, (at,), (v,))[1]
            size = jnp.sqrt(sum(jnp.sum(x * x) for x in moved))
            return jax.tree.map(lambda x: x / jnp.where(size > 0, size, 1.0), moved), size

        start = jax.tree.map(jnp.ones_like, at)
        return lax.scan(step, start, length=num)[1][-1]

    def look(member: Member) -> Ratios:
        arrays = lq.linear_quadratic(study.instance(member).problem)
        found = lq.optimum(arrays)
        following = jax.tree.map(lambda x: x[1:], found.value)

        def inner(t: Array, value: Quadratic, F: Array, f: Array) -> Array:
            return ratio(lambda m: lq.Policy(*lq.improve(arrays, t, value, *m)), lq.Policy(F, f))

        times = jnp.arange(arrays.betas.shape[0])
        steps = jax.vmap(inner)(times, following, *found.policy)
        return Ratios(ratio(lambda m: lq.policy_iteration(arrays, m)[0], found.policy), steps)

    return study.stages.measure("ratios", look, study.axes)
