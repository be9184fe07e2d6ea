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
        conditional: E[β log E[e^{R/β} | Y_0]], from an inner sample for each start; its bias of
            the order 1/inner is removed to first order.
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
    logs = (base.terminal + base.running) / beta
    shift = jnp.max(logs)
    weights = jnp.exp(logs - shift).reshape(-1, inner)
    # Paths that share a start are dependent: their means are the independent draws.
    means = jnp.mean(weights, axis=1)
    mass = jnp.mean(means)
    marginal = _normal(beta * (shift + jnp.log(mass)), beta * means / mass)
    # E log of a sample mean is log E - variance/2, to first order in 1/inner.
    spread = jnp.var(weights, axis=1, ddof=1) / (inner * means**2)
    conditional = beta * (shift + jnp.log(means) + spread / 2)
    objective = _normal(jnp.mean(J), J)
    gap = marginal.value - objective.value
    half = jnp.hypot(marginal.high - marginal.value, objective.high - objective.value)
    return Certificate(
        objective,
        marginal,
        _normal(jnp.mean(conditional), conditional),
        Estimate(gap, gap - half, gap + half),
        jnp.sum(weights) ** 2 / jnp.sum(weights**2),
    )


def _normal(value: Array, draws: Array) -> Estimate:
    half = normal_margin(jnp.std(draws, ddof=1) / jnp.sqrt(draws.size))
    return Estimate(value, value - half, value + half)
