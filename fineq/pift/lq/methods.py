"""PI-FT on linear-quadratic problems as methods of `fineq.solve`: whole sweeps, and nested.

    arrays = lq.linear_quadratic(problem)
    found = fineq.solve(arrays, LQSweeps(), num_steps=50, reference=lq.optimum(arrays))
    found.value, found.rate("distance")

Source: arXiv 2412.18164 (`pift/linear-convergence`).
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from fineq.iterate import Method, method, static
from fineq.pift.doors import expect
from fineq.pift.lq.exact import Solution
from fineq.pift.lq.iterations import improve, inner_iterations
from fineq.pift.lq.lanes import policy_iterations
from fineq.pift.lq.problem import LinearQuadratic, Policy, checked, pretrained
from fineq.pift.lq.values import backward, distance, evaluate, expected, size
from fineq.pift.rewards import Quadratic
from fineq.pift.rule import Rule, check_inner, check_rule


@method
class LQSweeps(Method):
    """PI-FT by whole sweeps: a step evaluates the policy at all t, then improves it at all t.

    The rate of whole sweeps is max_t ρ_t, ρ_t the spectral radius of S_t P_{t+1}/β_t, and its
    square for the value gap. Under `vmap` plain steps on small problems run in lanes.

    Measured: `objective`, J of the policy; with the optimum as reference `distance`, to its means,
    and `gap`, J* - J.

    Attributes:
        rule: of the improvement; see `fineq.pift.lq.improve`.
    """

    reads = ("policy", "value")

    rule: Rule = static(default="plain")

    def __post_init__(self) -> None:
        check_rule(self.rule)

    def init(self, key: Array | None, problem: LinearQuadratic, start: Policy | None) -> Policy:
        """The policy `start`, or the pre-trained one."""
        del key
        expect(self, problem, LinearQuadratic, "linear_quadratic")
        return pretrained(problem) if start is None else checked(problem, start)

    def step(
        self, key: Array | None, state: Policy, problem: LinearQuadratic
    ) -> tuple[Policy, tuple[()]]:
        """One sweep."""
        del key
        return policy_iterations(problem, state, 1, self.rule)[0], ()

    def measure(
        self, state: Policy, info: Any, problem: LinearQuadratic, reference: Solution | None
    ) -> dict[str, Array]:
        """J, and how far the policy is from the optimum."""
        del info
        objective = expected(problem, evaluate(problem, state))
        if reference is None:
            return {"objective": objective}
        return {
            "objective": objective,
            "distance": distance(state, reference.policy, size(problem)),
            "gap": expected(problem, reference.value) - objective,
        }


class Backward(NamedTuple):
    """Where the backward recursion stands.

    Attributes:
        t: the step that has just been improved, int32; T before the first.
        policy: found from t on, and before t that of the start.
        value: V_t..V_T of it, leaves `[T + 1, ...]`; 0 before t.
    """

    t: Array
    policy: Policy
    value: Quadratic


@method
class LQNested(Method):
    """PI-FT as the paper's algorithm has it: a step goes one t back, with n inner iterations there.

    T steps make the whole run, and then it is done. The paper's rates are those of the inner
    iterations at each t, which a step makes and `measure` tells of: towards the fixed point of the
    current V_{t+1} they contract at ρ_t, towards the optimum down to a floor that the errors of
    later t leave.

    Measured of the t just done: `t`, `to_fixed` `[n + 1]`, the distance of the inner iterates from
    the fixed point; with the optimum as reference `to_best` `[n + 1]`, from the optimal mean.

    Attributes:
        num_inner: n.
        rule: of an inner iteration; see `fineq.pift.lq.improve`.
    """

    reads = ("policy",)

    num_inner: int = static()
    rule: Rule = static(default="plain")

    def __post_init__(self) -> None:
        check_inner(self.num_inner, self.rule)

    def init(self, key: Array | None, problem: LinearQuadratic, start: Policy | None) -> Backward:
        """Before the last step; inner iterations begin at `start`, or the pre-trained policy."""
        del key
        expect(self, problem, LinearQuadratic, "linear_quadratic")
        T = problem.betas.shape[0]
        blank = jax.tree.map(lambda x: jnp.zeros((T + 1, *x.shape), x.dtype), problem.terminal)
        value = jax.tree.map(lambda x, last: x.at[T].set(last), blank, problem.terminal)
        policy = pretrained(problem) if start is None else checked(problem, start)
        return Backward(jnp.int32(T), policy, value)

    def step(
        self, key: Array | None, state: Backward, problem: LinearQuadratic
    ) -> tuple[Backward, Policy]:
        """The inner iterations at t - 1, which are the info, and V_{t-1}."""
        del key
        t = state.t - 1
        after = jax.tree.map(lambda x: x[state.t], state.value)
        first = Policy(state.policy.F[t], state.policy.f[t])
        path = inner_iterations(problem, t, after, first, self.num_inner, self.rule)
        last = Policy(path.F[-1], path.f[-1])
        now = backward(problem, t, after, *last)
        policy, value = jax.tree.map(
            lambda x, new: x.at[t].set(new), (state.policy, state.value), (last, now)
        )
        return Backward(t, policy, value), path

    def measure(
        self, state: Backward, info: Policy, problem: LinearQuadratic, reference: Solution | None
    ) -> dict[str, Array]:
        """The errors of the inner iterates at the t just done."""
        T = problem.betas.shape[0]
        t = jnp.minimum(state.t, T - 1)
        after = jax.tree.map(lambda x: x[t + 1], state.value)
        fixed = improve(problem, t, after, problem.A[t], problem.b[t], "newton")
        scale = size(problem)

        def errors(F: Array, f: Array) -> Array:
            # Of one step: the largest over steps is that of this one.
            return jax.vmap(lambda m: distance(m, Policy(F, f), scale))(info)

        found = {"t": state.t, "to_fixed": errors(*fixed)}
        if reference is not None:
            found["to_best"] = errors(reference.policy.F[t], reference.policy.f[t])
        return found

    def done(self, state: Backward, info: Any, problem: LinearQuadratic, reference: Any) -> Array:
        """The first step of the chain has been improved."""
        del info, problem, reference
        return state.t == 0
