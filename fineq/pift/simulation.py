"""Paths of a policy and what they earn, as one scan over steps for a whole batch of paths.

The state is kept as `[d, num]`: the batch runs along the last axis, where vector instructions work,
whatever d is. The normal draws of step t come from a key of its own inside the scan, so that memory
does not grow with the number of steps unless paths are asked for.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from fineq.arrays import real_array, shaped
from fineq.ddpm.chain import ExactScore, mean_of
from fineq.errors import InputError, in_a_line
from fineq.fast.draws import normal
from fineq.keys import one_key
from fineq.pift.problem import Mean, Problem, ScoreMean


class Simulation(NamedTuple):
    """What a batch of paths earned.

    Attributes:
        last: Y_T, `[num, d]`.
        terminal: r(Y_T), `[num]`.
        running: Σ_t f_t(Y_t), `[num]`.
        divergence: Σ_t KL_t, `[num]`.
        price: Σ_t β_t KL_t, `[num]`.
        paths: Y_0..Y_T, `[T + 1, num, d]`, or None where not asked for.
    """

    last: Array
    terminal: Array
    running: Array
    divergence: Array
    price: Array
    paths: Array | None

    @property
    def objective(self) -> Array:
        """r(Y_T) + Σ f_t - Σ β_t KL_t of each path, `[num]`; its mean is J."""
        return self.terminal + self.running - self.price


def simulate(
    key: Array, problem: Problem, policy: Mean | None, num: int, *, keep: bool = False
) -> Simulation:
    """Run `num` independent paths of a policy; None is the pre-trained chain.

    Args:
        key: of all draws.
        problem: chain, rewards and prices.
        policy: controlled means m_t(y).
        num: of paths.
        keep: keep the paths.

    Raises:
        InputError: for a key that is none, fewer than 1 path, or a policy whose mean is not `[d]`.
    """
    if num < 1:
        raise InputError(f"the number of paths must be at least 1, got {num}")
    key_start, key_steps = jax.random.split(one_key(key))
    y0 = problem.chain.start.sample(key_start, num)
    return simulate_from(key_steps, problem, policy, y0, keep=keep)


def simulate_from(
    key: Array, problem: Problem, policy: Mean | None, y0: Array, *, keep: bool = False
) -> Simulation:
    """As `simulate`, from given starts Y_0 `[num, d]`.

    Raises:
        InputError: for starts of another shape, or a policy whose mean is not `[d]`.
    """
    y0 = real_array("y0", y0, 2)
    y0 = shaped("y0", y0, (y0.shape[0], problem.d))
    check_policy(problem, policy)
    chain, running = problem.chain, problem.running
    num = y0.shape[0]
    zero = jnp.zeros(num, y0.dtype)

    def means(t: Array, pretrained: Callable[[Array], Array], y: Array) -> tuple[Array, Array]:
        """Mean of the next state and KL_t at one point."""
        if policy is None:
            return pretrained(y), jnp.zeros((), y.dtype)
        mean = policy(t, y)
        apart = mean - pretrained(y)
        sigma = chain.sigmas[t]
        white = apart / sigma if sigma.ndim == 0 else jnp.linalg.solve(sigma, apart)
        return mean, 0.5 * jnp.sum(white * white)

    def step(carry: tuple, t: Array) -> tuple:
        y, earned, divergence, price = carry
        z = normal(jax.random.fold_in(key, t), y.shape, y.dtype)
        mean, kl = jax.vmap(partial(means, t, _at(chain.mean, t)), -1, -1)(y)
        if running is not None:
            earned = earned + jax.vmap(running, (None, -1))(t, y)
        sigma = chain.sigmas[t]
        y = mean + (sigma * z if sigma.ndim == 0 else sigma @ z)
        return (y, earned, divergence + kl, price + problem.betas[t] * kl), y if keep else None

    times = jnp.arange(problem.num_steps)
    (y, earned, divergence, price), path = lax.scan(step, (y0.T, zero, zero, zero), times)
    paths = None
    if path is not None:
        paths = jnp.concatenate([y0[None], jnp.swapaxes(path, 1, 2)])
    return Simulation(y.T, jax.vmap(problem.reward, -1)(y), earned, divergence, price, paths)


def check_policy(problem: Problem, policy: Mean | None) -> None:
    """Raise `InputError` unless a policy maps a time and a point `[d]` to a mean `[d]`."""
    if policy is None:
        return
    point = jax.ShapeDtypeStruct((problem.d,), problem.chain.sigmas.dtype)
    try:
        found = jax.eval_shape(policy, 0, point)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"the policy failed on a time and a point of shape {point.shape}: {in_a_line(error)}"
        ) from error
    shape = getattr(found, "shape", None)
    if shape != point.shape:
        raise InputError(
            f"the policy must return a mean of shape {point.shape}, got "
            f"{type(found).__name__ if shape is None else shape}"
        )


def _at(mean: Mean, t: Array) -> Callable[[Array], Array]:
    """Y -> mean(t, y), for many y at one t."""
    if isinstance(mean, ScoreMean) and isinstance(mean.score, ExactScore):
        score, alpha = mean.score.at(t), mean.schedule.alphas[t]
        return lambda y: mean_of(score(y), alpha, y)
    return lambda y: mean(t, y)
