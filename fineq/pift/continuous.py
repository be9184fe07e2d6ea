"""Chains of T steps against continuous time, where the limit has a closed form or a quadrature.

V_t(y) = β log E[e^{r/β} | Y_t = y] and u* = s + ∇V/β (`pift/continuous-time`). Gaussian data and a
linear or quadratic reward: exact by moments. A law on a line: by the trapezoidal rule.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from fineq.ddpm.chain import control_of
from fineq.ddpm.laws import Gaussian, Mixture
from fineq.ddpm.schedules import Schedule, rates
from fineq.fast.lapack import after
from fineq.pift import lq, tilting
from fineq.pift.certificates import affine_bounds
from fineq.pift.problem import Problem, Reward
from fineq.pift.rewards import Quadratic


class Apart(NamedTuple):
    """A chain against its limit.

    Attributes:
        value: root mean square of V_0 - limit over Y_0 ~ N(0, I).
        control: root mean square of u* - limit over Y_t of the data, averaged over the clock ∫g.
        shortfall: the same average of |(σ²/b - 1) ∇V/β|, V the limit: what replacing b by σ² in
            the noise does to the control.
        gap: bound E[β log E[e^{r/β} | Y_0]] of the chain, less J*.
    """

    value: Array
    control: Array
    shortfall: Array
    gap: Array


def mean_square(value: Quadratic, mean: Array, covariance: Array) -> Array:
    """E q(Y)² of a quadratic for Gaussian Y, exact."""
    center = value(mean) + 0.5 * jnp.trace(value.P @ covariance)
    slope, PC = value.P @ mean + value.p, value.P @ covariance
    return center**2 + slope @ covariance @ slope + 0.5 * jnp.trace(PC @ PC)


def apart(problem: Problem, law: Gaussian, schedule: Schedule) -> Apart:
    """A chain of constant β on Gaussian data against its limit; exact."""
    arrays = lq.linear_quadratic(problem)
    best = lq.optimum(arrays)
    law = after(best, law)
    reward, beta = arrays.terminal, problem.betas[0]

    def limit(bar: Array) -> Quadratic:
        return tilting.tilt_bridge(tilting.bridge(law, bar), reward, beta)[1]

    exact = jax.vmap(limit)(schedule.alpha_bars[:-1])
    first = jax.tree.map(lambda a, b: a[0] - b[0], best.value, exact)
    start = problem.chain.start.moments()

    def control(now: tuple) -> tuple[Array, Array]:
        """E |u - limit|² and E |∇V/β|² at one t, all being affine in y."""
        alpha, bar, F, f, V = now
        noised = law.noised(bar)
        u0 = control_of(f, alpha, jnp.zeros_like(f))
        U = jax.vmap(lambda F, e: control_of(F, alpha, e), 1, 1)(F, jnp.eye(law.d, dtype=F.dtype))
        precision = noised.precision()
        D = U + precision - V.P / beta
        e = u0 - precision @ noised.mean - V.p / beta
        mean, covariance = noised.moments()

        def square(D: Array, e: Array) -> Array:
            return jnp.sum((D @ mean + e) ** 2) + jnp.trace(D @ covariance @ D.T)

        return square(D, e), square(V.P / beta, V.p / beta)

    inputs = (schedule.alphas, schedule.alpha_bars[:-1], *best.policy, exact)
    squares, pulls = jax.vmap(control)(inputs)
    short, clock = schedule.sigmas**2 / (1 - schedule.alphas) - 1, rates(schedule)
    bound = affine_bounds(after(exact, problem)).conditional
    return Apart(
        jnp.sqrt(mean_square(first, *start)),
        jnp.sqrt(jnp.sum(clock * squares) / jnp.sum(clock)),
        jnp.sqrt(jnp.sum(clock * short**2 * pulls) / jnp.sum(clock)),
        bound - lq.expected(arrays, best.value),
    )


def quadrature(
    law: Mixture, reward: Reward, beta: Array, bar: Array, y: Array
) -> tuple[Array, Array]:
    """V and u* at points y `[n]` of noise level ᾱ, by the trapezoidal rule over Y_T on [-8, 8].

    V = β log E[e^{r/β} | y]; u* = (√ᾱ E*[Y_T | y] - y)/(1 - ᾱ), E* under the tilt.
    """
    x = jnp.linspace(-8.0, 8.0, 2001)
    at = jax.vmap(lambda x: (law.log_density(x[None]), reward(x[None]) / beta))(x)

    def one(y: Array) -> tuple[Array, Array]:
        logs = at[0] - 0.5 * (y - jnp.sqrt(bar) * x) ** 2 / (1 - bar)
        value = jax.nn.logsumexp(logs + at[1]) - jax.nn.logsumexp(logs)
        mean = jax.nn.softmax(logs + at[1]) @ x
        return beta * value, (jnp.sqrt(bar) * mean - y) / (1 - bar)

    return jax.vmap(one)(y)
