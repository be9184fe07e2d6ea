"""What an affine policy is worth: its value backwards, its objective forwards, its errors."""

from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp
from jax import Array, lax

from fineq.pift.lq.problem import LinearQuadratic, Policy, checked
from fineq.pift.rewards import Quadratic


def with_terminal(value: Quadratic, lq: LinearQuadratic) -> Quadratic:
    """V_0..V_{T-1} with V_T = r appended."""
    return jax.tree.map(lambda x, last: jnp.concatenate([x, last[None]]), value, lq.terminal)


def backward(lq: LinearQuadratic, t: Array, after: Quadratic, F: Array, f: Array) -> Quadratic:
    """V_t of a mean F y + f at step t, given V_{t+1}; F `[d, d]`, f `[d]`."""
    d = lq.b.shape[-1]
    chex.assert_shape([F, f, after.P, after.p, after.c], [(d, d), (d,), (d, d), (d,), ()])
    whitened = lq.L_inverse[t] @ (F - lq.A[t]), lq.L_inverse[t] @ (f - lq.b[t])
    D, e = whitened
    beta, L = lq.betas[t], lq.L[t]
    P = F.T @ after.P @ F - beta * D.T @ D
    p = F.T @ (after.P @ f + after.p) - beta * D.T @ e
    c = after.c + 0.5 * jnp.trace(L.T @ after.P @ L)
    c = c + 0.5 * f @ after.P @ f + after.p @ f - 0.5 * beta * e @ e
    P = P + lq.running.P[t]
    return Quadratic((P + P.T) / 2, p + lq.running.p[t], c + lq.running.c[t])


@jax.jit
def evaluate(lq: LinearQuadratic, policy: Policy) -> Quadratic:
    """V_0..V_T of a policy, leaves `[T + 1, ...]`.

    Raises:
        InputError: for a policy of another shape than the problem's.
    """
    policy = checked(lq, policy)

    def step(after: Quadratic, now: tuple) -> tuple[Quadratic, Quadratic]:
        t, F, f = now
        value = backward(lq, t, after, F, f)
        return value, value

    times = jnp.arange(lq.betas.shape[0])
    value = lax.scan(step, lq.terminal, (times, *policy), reverse=True)[1]
    return with_terminal(value, lq)


class Outcome(NamedTuple):
    """J = reward - price, from the moments of the controlled chain.

    Attributes:
        objective: J.
        reward: E[r(Y_T) + Σ f_t].
        divergence: path KL, Σ_t E KL_t.
        price: Σ_t β_t E KL_t.
        mean, covariance: of Y_T.
    """

    objective: Array
    reward: Array
    divergence: Array
    price: Array
    mean: Array
    covariance: Array


@jax.jit
def objective(lq: LinearQuadratic, policy: Policy) -> Outcome:
    """Run a policy forward by moments from those of Y_0.

    Raises:
        InputError: for a policy of another shape than the problem's.
    """
    policy = checked(lq, policy)

    def expectation(q: Quadratic, m: Array, C: Array) -> Array:
        return q(m) + 0.5 * jnp.trace(q.P @ C)

    def step(carry: tuple[Array, Array], now: tuple) -> tuple:
        (m, C), (F, f, A, b, L, L_inverse, P, p, c) = carry, now
        D, e = L_inverse @ (F - A), L_inverse @ ((F - A) @ m + f - b)
        kl = 0.5 * (e @ e + jnp.trace(D @ C @ D.T))
        gained = expectation(Quadratic(P, p, c), m, C)
        return (F @ m + f, F @ C @ F.T + L @ L.T), (kl, gained)

    inputs = (*policy, lq.A, lq.b, lq.L, lq.L_inverse, *lq.running)
    (m, C), (kl, gained) = lax.scan(step, (lq.mean, lq.covariance), inputs)
    reward, price = expectation(lq.terminal, m, C) + jnp.sum(gained), jnp.sum(lq.betas * kl)
    return Outcome(reward - price, reward, jnp.sum(kl), price, m, C)


def expected(lq: LinearQuadratic, value: Quadratic) -> Array:
    """E V_0(Y_0) for V_0..V_T as `evaluate` returns them: J of a policy whose value it is."""
    first = jax.tree.map(lambda x: x[0], value)
    return first(lq.mean) + 0.5 * jnp.trace(first.P @ lq.covariance)


def size(lq: LinearQuadratic) -> Array:
    """√E |Y_0|², the size of a state."""
    return jnp.sqrt(jnp.trace(lq.covariance) + lq.mean @ lq.mean)


def distance(policy: Policy, star: Policy, scale: Array) -> Array:
    """Largest difference of two policies' means over steps, `scale` the size of a state.

    The norm of (F - F*, (f - f*)/scale): the error at states of that size.
    """
    apart = jnp.concatenate([policy.F - star.F, (policy.f - star.f)[..., None] / scale], axis=-1)
    sizes = jnp.linalg.norm(apart, axis=(-2, -1))
    # A vectorised maximum on CPU may pass over NaN: a lost policy is told by hand.
    return jnp.where(jnp.all(jnp.isfinite(sizes)), jnp.max(sizes), jnp.nan)
