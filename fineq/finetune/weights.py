"""Paths by their weights: what ends a path, what it earned, and how likely it was before.

For a path of a policy with draws W_t and errors e_t = (m_t - m0_t)(Y_t)/σ_t,

    log dP_pre/dP_u = -Σ_t (e_t·W_t + ½ |e_t|²),   KL_t = ½ |e_t|²,

0 for the pre-trained model itself. Means of e^{r/β} under the pre-trained model are means of
e^{r/β} dP_pre/dP_u over paths of any policy that reaches wherever the pre-trained model does. A
policy that has given up a part of it makes such means too small, and its effective number of paths
does not tell: compare with the pre-trained paths.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from fineq.ddpm.denoiser import Denoiser
from fineq.errors import InputError
from fineq.fast.blocks import in_blocks
from fineq.fast.draws import normal
from fineq.finetune.problem import Tuning
from fineq.keys import key_for

BLOCK = 1024  # paths simulated at once: memory does not grow with their number


class Weighed(NamedTuple):
    """Ends of paths, `inner` from each of S independent starts, of each of C classes.

    Attributes:
        reward: r(Y_T), `[C, S, inner]`; C is 1 where there are no classes.
        divergence: Σ_t KL_t in nats, likewise.
        log_ratio: log dP_pre/dP_u of the path, likewise.
        last: Y_T, `[C, S, inner, d]`.
    """

    reward: Array
    divergence: Array
    log_ratio: Array
    last: Array

    def logs(self, beta: Array) -> Array:
        """r/β + log dP_pre/dP_u of each path, `[C, S, inner]`."""
        return self.reward / beta + self.log_ratio


def weigh(key: Array, tuning: Tuning, policy: Denoiser | None, num: int, inner: int = 1) -> Weighed:
    """Simulate `num` paths of a policy, `num/C` of each class, and weigh them.

    Args:
        key: of all draws.
        tuning: the problem.
        policy: a model with the base's schedule; None is the pre-trained one, at half the cost.
        num: of paths, a multiple of inner times the number C of classes.
        inner: paths from each start.

    Raises:
        InputError: for `inner` below 1, or `num` that is no such multiple, or below twice it.
    """
    classes = 1 if tuning.labels is None else tuning.labels.shape[0]
    if inner < 1:
        raise InputError(f"inner must be at least 1, got {inner}")
    if num % (classes * inner) or num < 2 * classes * inner:
        times = "" if tuning.labels is None else f" times {classes} classes"
        raise InputError(
            f"the number of paths must be a multiple of inner = {inner}{times}, at least twice, "
            f"got {num}"
        )
    shape = (classes, num // (classes * inner), inner)
    dtype = tuning.base.schedule.sigmas.dtype
    starts = normal(key_for(key, "starts"), (*shape[:2], tuning.d), dtype)
    y0 = jnp.repeat(starts, inner, axis=1).reshape(num, tuning.d)
    label = None if tuning.labels is None else jnp.repeat(tuning.labels, num // classes)
    key = key_for(key, "paths")

    def block(rows: Array, y0: Array, label: Array | None) -> Weighed:
        return _run(jax.random.fold_in(key, rows[0]), tuning, policy, y0, label)

    found = in_blocks(block, BLOCK, jnp.arange(num), y0, label)
    return jax.tree.map(lambda x: x.reshape(*shape, *x.shape[1:]), found)


def _run(
    key: Array, tuning: Tuning, policy: Denoiser | None, y0: Array, label: Array | None
) -> Weighed:
    schedule = tuning.base.schedule
    zero = jnp.zeros(y0.shape[0], y0.dtype)

    def step(carry: tuple, t: Array) -> tuple[tuple, None]:
        y, divergence, log_ratio = carry
        z = normal(jax.random.fold_in(key, t), y.shape, y.dtype)
        mean = (tuning.base if policy is None else policy).mean(t, y, label)
        sigma = schedule.sigmas[t]
        if policy is not None:
            e = (mean - tuning.base.mean(t, y, label)) / sigma
            kl = jnp.sum(jnp.square(e), axis=-1) / 2
            divergence = divergence + kl
            log_ratio = log_ratio - kl - jnp.sum(e * z, axis=-1)
        return (mean + sigma * z, divergence, log_ratio), None

    ends = lax.scan(step, (y0, zero, zero), jnp.arange(schedule.num_steps))[0]
    last, divergence, log_ratio = ends
    return Weighed(tuning.reward(last, label), divergence, log_ratio, last)
