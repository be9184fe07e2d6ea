"""PI-FT on a grid by whole sweeps: evaluate at all t, then improve at all t.

Source: arXiv 2412.18164 (`pift/linear-convergence`).
"""

from functools import partial

import jax
import jax.numpy as jnp
from jax import Array, lax

from fineq.fast.blocks import in_blocks
from fineq.iterate import Method, method, static
from fineq.pift.doors import expect
from fineq.pift.grid.bellman import BLOCK, improved
from fineq.pift.grid.density import pretrained
from fineq.pift.grid.posed import Gridded, checked_means
from fineq.pift.grid.solve import Optimum, over_region, prepared, terminal
from fineq.pift.rule import Rule, check_rule


@partial(jax.jit, static_argnames=("rule", "block"))
def policy_iteration(
    problem: Gridded, means: Array, rule: Rule = "plain", *, block: int = BLOCK
) -> tuple[Array, Array]:
    """Whole-trajectory policy iteration: evaluate at all t, then improve at all t.

    Args:
        problem: on its grid.
        means: of the policy, `[T, P, d]`.
        rule: of the improvement; `damped` takes ρ_t over the region.
        block: points at once.

    Returns:
        The improved means, and the values `[T + 1, P]` of the policy that came in.
    """
    check_rule(rule)
    task, grid, region = problem

    def step(after: Array, now: tuple) -> tuple:
        t, m = now
        bracket, m0, gained = prepared(task, grid, t, after)
        rho = jnp.zeros((), after.dtype)
        if rule == "damped":
            rho = over_region(bracket, region[t + 1], block).ratio

        def both(m: Array, m0: Array) -> tuple[Array, Array]:
            jet = bracket.jet(m)
            return bracket.value(jet, m, m0), improved(bracket, jet, m, m0, rule, rho)

        value, better = in_blocks(both, block, m, m0)
        value = value + gained
        return value, (value, better)

    last = terminal(task, grid)
    times = jnp.arange(problem.num_steps)
    values, better = lax.scan(step, last, (times, means), reverse=True)[1]
    return better, jnp.concatenate([values, last[None]])


@method
class GridSweeps(Method):
    """PI-FT by whole sweeps on a grid, for any smooth reward in one or two dimensions.

    Measured: `last_objective`, J of the policy that the last sweep began with (it is evaluated
    there, and nowhere twice); with the optimum as reference `distance` `[T]`, |m_t - m*_t| of the
    policy, `gaps` `[T + 1]` and `gap`, |V*_t - V_t| and J* - J of that same last one. Suprema are
    over where Y_t has mass.

    Attributes:
        rule: of the improvement; see `fineq.pift.grid.bellman.improved`.
        block: points at once.
    """

    reads = ("mean", "value")

    rule: Rule = static(default="plain")
    block: int = static(default=BLOCK)

    def __post_init__(self) -> None:
        check_rule(self.rule)

    def init(self, key: Array | None, problem: Gridded, start: Array | None) -> Array:
        """The means `start` `[T, P, d]`, or those of the pre-trained policy."""
        del key
        expect(self, problem, Gridded, "gridded")
        if start is None:
            return pretrained(problem.problem, problem.grid)
        return checked_means(problem, start)

    def step(self, key: Array | None, state: Array, problem: Gridded) -> tuple[Array, Array]:
        """One sweep; the info is the value of the policy that came in, `[T + 1, P]`."""
        del key
        return policy_iteration(problem, state, self.rule, block=self.block)

    def measure(
        self, state: Array, info: Array, problem: Gridded, reference: Optimum | None
    ) -> dict[str, Array]:
        """J of the policy before, and errors against the optimum."""
        task, grid, region = problem
        p0 = jnp.exp(jax.vmap(task.chain.start.log_density)(grid.points())) * grid.cell
        found = {"last_objective": p0 @ info[0]}
        if reference is None:
            return found
        apart = jnp.linalg.norm(state - reference.mean, axis=-1)
        gaps = jnp.where(region, jnp.abs(reference.value - info), 0.0)
        return {
            **found,
            "distance": jnp.max(jnp.where(region[:-1], apart, 0.0), axis=-1),
            "gaps": jnp.max(gaps, axis=-1),
            "gap": p0 @ (reference.value[0] - info[0]),
        }
