"""Upper bounds on what any policy can earn, without knowing the optimum.

For constant β every policy u obeys

    J(u) <= E[β log E[e^{R/β} | Y_0]] <= β log E[e^{R/β}],   R = r(Y_T) + Σ_t f_t(Y_t),

expectations under the pre-trained chain (Donsker and Varadhan); with a schedule the bounds hold for
β = min_t β_t. Bound less J is a certified limit to what is left to gain. The discrete chain with
fixed noise does not reach the bounds: only its limit in continuous time does. The bounds are exact
by moments in linear-quadratic problems, and estimated from simulated paths in any. Source: the
variational formula behind arXiv 2412.18164 (`pift/certificate`).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from fineq.ddpm.laws import Gaussian, gaussian
from fineq.errors import InputError
from fineq.fast.lapack import after
from fineq.keys import one_key
from fineq.pift import lq, tilting
from fineq.pift.problem import Mean, Problem
from fineq.pift.simulation import simulate, simulate_from
from fineq.rates.intervals import normal_margin


class Bounds(NamedTuple):
    """Exact bounds; infinite where e^{r/β} is not integrable.

    Attributes:
        marginal: β log E e^{r(Y_T)/β}.
        conditional: E[β log E[e^{r(Y_T)/β} | Y_0]].
    """

    marginal: Array
    conditional: Array


def affine_bounds(problem: Problem) -> Bounds:
    """The bounds of a problem with affine means, a Gaussian start and a quadratic reward.

    Raises:
        InputError: for any other problem, or a running reward.
    """
    if problem.running is not None:
        raise InputError("exact certificates need a problem without running reward")
    arrays = lq.linear_quadratic(problem)
    start = problem.chain.start
    if not isinstance(start, Gaussian):
        raise InputError("exact certificates need a Gaussian law of Y_0")
    beta, reward = jnp.min(problem.betas), arrays.terminal
    bridge = tilting.chain_bridge(arrays.A, arrays.b, problem.chain.covariances())
    marginal = beta * tilting.tilt(gaussian(*bridge.marginal(start)), reward, beta).log_mass
    value = tilting.tilt_bridge(after(marginal, bridge), reward, beta)[1]
    mean, covariance = start.moments()
    conditional = value(mean) + 0.5 * jnp.trace(value.P @ covariance)
    return Bounds(
        marginal,
        jnp.where(jnp.isnan(conditional), jnp.inf, conditional),
    )


class Estimate(NamedTuple):
    """A number estimated from independent draws, with a 95% normal interval."""

    value: Array
    low: Array
    high: Array


ENOUGH = 100  # effective paths: with fewer, a bound is one or two paths' word and judges nothing


class Gap(NamedTuple):
    """What a policy has left to gain at most, with its interval, and the paths behind it."""

    value: Array
    low: Array
    high: Array
    effective: Array


class Certificate(NamedTuple):
    """A policy's objective beside the bounds, by simulation.

    Attributes:
        objective: J(u).
        marginal: β log E e^{R/β}.
        conditional: E[β log E[e^{R/β} | Y_0]], from an inner sample for each start. Of both the
            bias is removed to first order: see `LogMasses`.
        gap: marginal - J, what is left to gain at most.
        effective: the effective number of paths behind `marginal`, (Σw)²/Σw² for w = e^{R/β}: where
            it is small, a few paths carry the estimate and its interval is too short.
    """

    objective: Estimate
    marginal: Estimate
    conditional: Estimate
    gap: Estimate
    effective: Array


def certificate(
    key: Array, problem: Problem, policy: Mean | None, num: int, inner: int = 16
) -> Certificate:
    """Estimate J(u) and both bounds from `num` paths each; see `Certificate`.

    Args:
        key: of all draws.
        problem: chain, rewards and prices.
        policy: controlled means; None is the pre-trained chain.
        num: of paths of the policy and of the pre-trained chain, a multiple of `inner`.
        inner: paths from each start behind the conditional bound.

    Raises:
        InputError: for a key that is none, `inner` below 2, or `num` that is not a multiple of it,
            or below twice it.
    """
    if inner < 2:
        raise InputError(f"inner must be at least 2, got {inner}")
    if num % inner or num < 2 * inner:
        raise InputError(f"num must be a multiple of inner = {inner}, at least twice, got {num}")
    key_policy, key_start, key_base = jax.random.split(one_key(key), 3)
    beta = jnp.min(problem.betas)
    J = simulate(key_policy, problem, policy, num).objective
    starts = problem.chain.start.sample(key_start, num // inner)
    base = simulate_from(key_base, problem, None, jnp.repeat(starts, inner, axis=0))
    found = log_masses(((base.terminal + base.running) / beta).reshape(-1, inner))
    marginal = normal_estimate(beta * found.marginal, beta * found.shares)
    conditional = beta * found.conditional
    objective = normal_estimate(jnp.mean(J), J)
    gap = marginal.value - objective.value
    half = jnp.hypot(marginal.high - marginal.value, objective.high - objective.value)
    return Certificate(
        objective,
        marginal,
        normal_estimate(jnp.mean(conditional), conditional),
        Estimate(gap, gap - half, gap + half),
        found.effective,
    )


class LogMasses(NamedTuple):
    """Logarithms of mean weights e^{ω} of paths, several from each of S independent starts.

    The log of a sample mean is biased low by its relative variance over two, to first order; that
    much is added to both logarithms.

    Attributes:
        marginal: log E e^ω, [].
        conditional: log E[e^ω | Y_0] of each start, `[S]`.
        shares: mean weight of each start over that of all, `[S]`: paths that share a start are
            dependent, so that these are the independent draws behind `marginal`.
        effective: number of paths that carry the weight, (Σw)²/Σw², [].
        inner: the same among the paths of one start, its mean over starts, [].
    """

    marginal: Array
    conditional: Array
    shares: Array
    effective: Array
    inner: Array


def log_masses(logs: Array) -> LogMasses:
    """What the logarithms ω `[S, inner]` of the weights of paths say of their mean."""
    starts, inner = logs.shape
    tops = jnp.max(logs, axis=1)
    weights = jnp.exp(logs - tops[:, None])
    means = jnp.mean(weights, axis=1)
    each = tops + jnp.log(means)
    whole = jax.nn.logsumexp(each) - jnp.log(jnp.asarray(starts, logs.dtype))
    shares = jnp.exp(each - whole)
    spread = jnp.var(weights, axis=1, ddof=1) / (inner * means**2)
    total, square = jax.nn.logsumexp(logs), jax.nn.logsumexp(2 * logs)
    return LogMasses(
        whole + jnp.var(shares, ddof=1) / (2 * starts),
        each + spread / 2,
        shares,
        jnp.exp(2 * total - square),
        jnp.mean(inner * means**2 / jnp.mean(weights**2, axis=1)),
    )


def normal_estimate(value: Array, draws: Array) -> Estimate:
    """A value whose error is that of the mean of independent draws."""
    half = normal_margin(jnp.std(draws, ddof=1) / jnp.sqrt(draws.size))
    return Estimate(value, value - half, value + half)
