"""PI-FT on a grid as in the paper: backwards in t, with inner iterations at each.

Source: arXiv 2412.18164 (`pift/linear-convergence`).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from fineq.fast.blocks import in_blocks
from fineq.iterate import Method, method, static, unroll
from fineq.pift.doors import expect
from fineq.pift.grid.bellman import (
    BLOCK,
    Best,
    Bracket,
    improved,
    maximiser,
)
from fineq.pift.grid.density import pretrained
from fineq.pift.grid.posed import Gridded, checked_means
from fineq.pift.grid.solve import (
    TOLERANCE,
    Curvature,
    Optimum,
    over_region,
    prepared,
    region_dtype,
    terminal,
)
from fineq.pift.rule import Rule, check_inner


class Backward(NamedTuple):
    """Where the backward recursion stands.

    Attributes:
        t: the step that has just been improved, int32; T before the first.
        means: found from t on, and before t those of the start, `[T, P, d]`.
        value: V_t..V_T of them, `[T + 1, P]`; 0 before t.
    """

    t: Array
    means: Array
    value: Array


class Inner(NamedTuple):
    """What the inner iterations at one t went through.

    Attributes:
        means: `[n + 1, P, d]`, the first those it began with.
        values: V_t under each of them, `[n + 1, P]`.
    """

    means: Array
    values: Array


def _iterations(
    bracket: Bracket, m: Array, m0: Array, rule: Rule, rho: Array, num_inner: int
) -> tuple[Array, Array]:
    """Means `[n + 1, M, d]` and brackets `[n + 1, M]` of a block of points, from m."""

    def inner(m: Array, _: None) -> tuple[Array, tuple[Array, Array]]:
        jet = bracket.jet(m)
        return improved(bracket, jet, m, m0, rule, rho), (m, bracket.value(jet, m, m0))

    return lax.scan(inner, m, length=num_inner + 1)[1]


@method
class GridNested(Method):
    """PI-FT as the paper's algorithm has it: a step goes one t back, with n inner iterations there.

    T steps make the whole run, and then it is done. The paper's rates are those of the inner
    iterations at each t, which a step makes and `measure` tells of: towards the fixed point of the
    current V_{t+1} they contract at ρ_t, towards the optimum down to a floor that the errors of
    later t leave.

    Measured of the t just done, over where Y_t has mass, i being the inner iteration: `t`;
    `lowest` and `highest`, the curvature of σ ∇²V̄ σ/β for the V_{t+1} found; `changes` `[n]`,
    |m^{i+1} - m^i|; `to_fixed` and `value_to_fixed` `[n + 1]`, |m^i - m| and V - V^i for the fixed
    point m of the current V_{t+1} and its value V. With the optimum as reference also `to_best` and
    `value_to_best` `[n + 1]`, |m^i - m*_t| and |V*_t - V_t^i|. With `keep` the inner iterates
    themselves, `inner_mean` `[n + 1, P, d]` and `inner_value` `[n + 1, P]`.

    Attributes:
        num_inner: n.
        rule: of an inner iteration; see `fineq.pift.grid.bellman.improved`.
        keep: also record all inner iterates.
        block: points at once.
    """

    reads = ("mean", "value")

    num_inner: int = static()
    rule: Rule = static(default="plain")
    keep: bool = static(default=False)
    block: int = static(default=BLOCK)

    def __post_init__(self) -> None:
        check_inner(self.num_inner, self.rule)

    def init(self, key: Array | None, problem: Gridded, start: Array | None) -> Backward:
        """Before the last step; inner iterations begin at `start` `[T, P, d]`, or at m0."""
        del key
        expect(self, problem, Gridded, "gridded")
        task, grid, _ = problem
        T, P, _ = problem.shape
        means = pretrained(task, grid) if start is None else checked_means(problem, start)
        last = terminal(task, grid)
        return Backward(jnp.int32(T), means, jnp.zeros((T + 1, P), last.dtype).at[T].set(last))

    def step(self, key: Array | None, state: Backward, problem: Gridded) -> tuple[Backward, Inner]:
        """The inner iterations at t - 1, which are the info, and V_{t-1}."""
        del key
        task, grid, region = problem
        t = state.t - 1
        bracket, m0, gained = prepared(task, grid, t, state.value[t + 1])
        rho = jnp.zeros((), m0.dtype)
        if self.rule == "damped":
            rho = over_region(bracket, region[t + 1], self.block).ratio

        def iterate(m: Array, m0: Array) -> tuple[Array, Array]:
            return _iterations(bracket, m, m0, self.rule, rho, self.num_inner)

        means, values = in_blocks(iterate, self.block, state.means[t], m0, out_axis=1)
        inner = Inner(means, values + gained[None])
        means = state.means.at[t].set(inner.means[-1])
        return Backward(t, means, state.value.at[t].set(inner.values[-1])), inner

    def measure(
        self, state: Backward, info: Inner, problem: Gridded, reference: Optimum | None
    ) -> dict[str, Array]:
        """The errors of the inner iterates at the t just done."""
        task, grid, region = problem
        t = jnp.minimum(state.t, problem.num_steps - 1)
        bracket, m0, gained = prepared(task, grid, t, state.value[t + 1])
        everywhere = over_region(bracket, region[t + 1], self.block)
        near = info.means[-1] if reference is None else reference.mean[t]
        fixed = self._fixed(bracket, m0, near)

        def most(x: Array) -> Array:
            x = x if x.ndim == 2 else jnp.linalg.norm(x, axis=-1)
            return jnp.max(jnp.where(region[t][None], x, 0.0), axis=-1)

        found = {
            "t": state.t,
            **everywhere._asdict(),
            "changes": most(jnp.diff(info.means, axis=0)),
            "to_fixed": most(info.means - fixed.mean[None]),
            "value_to_fixed": most((fixed.value + gained)[None] - info.values),
        }
        if reference is not None:
            found["to_best"] = most(info.means - reference.mean[t][None])
            found["value_to_best"] = most(jnp.abs(reference.value[t][None] - info.values))
        if self.keep:
            found |= {"inner_mean": info.means, "inner_value": info.values}
        return found

    def _fixed(self, bracket: Bracket, m0: Array, near: Array) -> Best:
        tolerance = TOLERANCE * float(jnp.finfo(region_dtype(bracket.grid)).eps)

        def solve(m0: Array, near: Array) -> Best:
            return maximiser(bracket, m0, near, tolerance)

        return in_blocks(solve, self.block, m0, near)

    def done(self, state: Backward, info: Inner, problem: Gridded, reference: object) -> Array:
        """The first step of the chain has been improved."""
        del info, problem, reference
        return state.t == 0


class Nested(NamedTuple):
    """PI-FT backwards in t, with n inner iterations at each; NaN from where it diverged.

    All errors are suprema over where Y_t has mass; i = 0 is the pre-trained mean.

    Attributes:
        value: V_0..V_T of the policy found, `[T + 1, P]`.
        mean: its means, `[T, P, d]`.
        everywhere: curvature of σ ∇²V̄ σ/β for the V_{t+1} found; its `ratio` is ρ_t, `[T]`.
        changes: |m^{i+1} - m^i|, `[T, n]`.
        to_fixed: |m^i - fixed point of the current V_{t+1}|, `[T, n + 1]`.
        value_to_fixed: value of the fixed point less that after i iterations, `[T, n + 1]`.
        to_best: |m^i - m*|, `[T, n + 1]`; None without a reference.
        value_to_best: |V*_t - V_t^i|, `[T, n + 1]`; None without a reference.
        inner_mean: `[T, n + 1, P, d]` if kept, else None.
        inner_value: `[T, n + 1, P]` if kept, else None.
    """

    value: Array
    mean: Array
    everywhere: Curvature
    changes: Array
    to_fixed: Array
    value_to_fixed: Array
    to_best: Array | None
    value_to_best: Array | None
    inner_mean: Array | None
    inner_value: Array | None


def nested(
    problem: Gridded,
    num_inner: int,
    rule: Rule = "plain",
    *,
    reference: Optimum | None = None,
    keep: bool = False,
    block: int = BLOCK,
) -> Nested:
    """The whole run of `GridNested` from the pre-trained policy, as one pure function.

    Args:
        problem: on its grid.
        num_inner: n.
        rule: of an inner iteration.
        reference: the optimum of the same problem, where errors against it are wanted.
        keep: also return all inner means and values.
        block: points at once.

    Raises:
        InputError: for num_inner < 1 or an unknown rule.
    """
    return _nested(problem, GridNested(num_inner, rule, keep, block), reference)


@jax.jit
def _nested(problem: Gridded, by: GridNested, reference: Optimum | None) -> Nested:
    last, seen = unroll(problem, by, num_steps=problem.num_steps, reference=reference)
    times = jnp.arange(problem.num_steps, dtype=jnp.int32)
    reached = seen.pop("t")[:0:-1] == times

    def in_time(x: Array) -> Array:
        """The records of steps T-1..0 by t; those of steps that were not made are NaN."""
        kept = reached.reshape(-1, *[1] * (x.ndim - 1))
        return jnp.where(kept, x[:0:-1], jnp.nan)

    found = {name: in_time(x) for name, x in seen.items()}
    value = jnp.where(jnp.append(reached, True)[:, None], last.value, jnp.nan)
    everywhere = Curvature(found.pop("lowest"), found.pop("highest"))
    missing = dict.fromkeys(("to_best", "value_to_best", "inner_mean", "inner_value"))
    mean = jnp.where(reached[:, None, None], last.means, jnp.nan)
    return Nested(value=value, mean=mean, everywhere=everywhere, **{**missing, **found})
