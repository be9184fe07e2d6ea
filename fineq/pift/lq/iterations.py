"""Policy iteration on affine means: one inner step, one iteration at all t, PI-FT backwards in t.

The plain inner step m ← m0 + (S/β)(P m + p), P = P_{t+1}, contracts at the spectral radius of
S P/β. Source: arXiv 2412.18164 (`pift/linear-convergence`).
"""

from functools import partial
from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp
from jax import Array, lax

from fineq.pift.lq.problem import LinearQuadratic, Policy
from fineq.pift.lq.values import backward, evaluate, with_terminal
from fineq.pift.rewards import Quadratic
from fineq.pift.rule import Rule


def improve(
    lq: LinearQuadratic, t: Array, after: Quadratic, F: Array, f: Array, rule: Rule = "plain"
) -> tuple[Array, Array]:
    """One inner step at time t towards the best mean for V_{t+1} = `after`.

    `plain`: m ← m0 + (S/β)∇V̄(m), the paper's. `damped`: the fraction 1/(1 + ρ) of that step, ρ the
    largest curvature |λ|/β. `newton`: the exact maximiser, for the bracket is quadratic.
    """
    L, beta = lq.L[t], lq.betas[t]
    chex.assert_equal_shape([L, F, after.P])
    chex.assert_equal_shape([f, after.p])
    S = L @ L.T
    F_new = lq.A[t] + S @ (after.P @ F) / beta
    f_new = lq.b[t] + S @ (after.P @ f + after.p) / beta
    if rule == "plain":
        return F_new, f_new
    if rule == "damped":
        rho = jnp.max(jnp.abs(jnp.linalg.eigvalsh(L.T @ after.P @ L))) / beta
        share = 1 / (1 + rho)
        return F + share * (F_new - F), f + share * (f_new - f)
    bracket = jnp.eye(L.shape[-1], dtype=L.dtype) - S @ after.P / beta
    step = jnp.linalg.solve(bracket, jnp.concatenate([F_new - F, (f_new - f)[:, None]], axis=1))
    return F + step[:, :-1], f + step[:, -1]


def policy_iteration(
    lq: LinearQuadratic, policy: Policy, rule: Rule = "plain"
) -> tuple[Policy, Quadratic]:
    """Whole-trajectory policy iteration: evaluate at all t, then improve at all t.

    Many iterations on many problems have a faster form, `policy_iterations`.

    Returns:
        The improved policy, and the value of the policy that came in.
    """
    value = evaluate(lq, policy)
    after = jax.tree.map(lambda x: x[1:], value)
    times = jnp.arange(lq.betas.shape[0])
    F, f = jax.vmap(lambda t, v, F, f: improve(lq, t, v, F, f, rule))(times, after, *policy)
    return Policy(F, f), value


class Nested(NamedTuple):
    """PI-FT as in the paper, backwards in t with inner iterations at each.

    Attributes:
        policy: what it ends with.
        value: its value, leaves `[T + 1, ...]`.
        inner: policies after 0..num_inner inner iterations, leaves `[T, num_inner + 1, ...]`.
    """

    policy: Policy
    value: Quadratic
    inner: Policy


def inner_iterations(
    lq: LinearQuadratic,
    t: Array,
    after: Quadratic,
    mean: Policy,
    num_inner: int,
    rule: Rule = "plain",
) -> Policy:
    """The means at time t after 0..num_inner inner iterations towards the best for `after`.

    Args:
        lq: the problem.
        t: the step.
        after: V_{t+1}.
        mean: F `[d, d]` and f `[d]` to begin with.
        num_inner: n.
        rule: of an iteration, see `improve`.

    Returns:
        F `[n + 1, d, d]` and f `[n + 1, d]`, the first `mean` itself.
    """

    def inner(mean: Policy, _: None) -> tuple[Policy, Policy]:
        mean = Policy(*improve(lq, t, after, *mean, rule))
        return mean, mean

    path = lax.scan(inner, mean, length=num_inner)[1]
    return jax.tree.map(lambda x, first: jnp.concatenate([first[None], x]), path, mean)


@partial(jax.jit, static_argnames=("num_inner", "rule"))
def nested(lq: LinearQuadratic, num_inner: int, rule: Rule = "plain") -> Nested:
    """PI-FT with `num_inner` inner iterations at each t, from the pre-trained policy.

    As one scan that keeps all inner iterates; step by step it is `fineq.pift.LQNested`.
    """

    def at(after: Quadratic, now: tuple) -> tuple[Quadratic, tuple]:
        t, A, b = now
        path = inner_iterations(lq, t, after, Policy(A, b), num_inner, rule)
        last = jax.tree.map(lambda x: x[-1], path)
        value = backward(lq, t, after, *last)
        return value, (last, value, path)

    times = jnp.arange(lq.betas.shape[0])
    policy, value, path = lax.scan(at, lq.terminal, (times, lq.A, lq.b), reverse=True)[1]
    return Nested(policy, with_terminal(value, lq), path)
