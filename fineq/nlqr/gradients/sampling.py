"""Sums over random perturbations of a policy, in blocks of bounded memory."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import chex
import jax.numpy as jnp
from jax import Array, lax

from fineq.errors import InputError
from fineq.fast.blocks import sum_of_blocks
from fineq.fast.draws import normal
from fineq.nlqr.gradients.info import GradientInfo

LARGEST_BLOCK = 2**16  # samples at once: 10 MB of perturbations for n = p = d = 3


class Sums(NamedTuple):
    """Sums over samples: of `g_j [p, n + d]`, of `|g_j|²`, and of the cost `c_j` seen."""

    gradient: Array
    square: Array
    cost: Array


def sphere_directions(key: Array, num: int, shape: tuple[int, ...], dtype: Any) -> Array:
    """Draw matrices uniform on the unit Frobenius sphere, batch last, `[*shape, num]`.

    Normalised Gaussian draws; by `jax.random.normal` they would be most of an estimate's time.
    """
    size = math.prod(shape)
    cosines, sines = normal(key, (2, -(-size // 2), num), dtype)
    draws = jnp.concatenate([cosines, -sines])[:size]
    draws = draws / jnp.sqrt(jnp.sum(draws * draws, axis=0, keepdims=True))
    return draws.reshape(*shape, num)


def weighted_sums(directions: Array, weights: Array, costs: Array) -> Sums:
    """Return the sums of `g_j = weights_j · directions_j` for unit directions `[p, n + d, J]`."""
    chex.assert_rank(directions, 3)
    chex.assert_shape([weights, costs], directions.shape[-1:])
    flat = directions.reshape(-1, directions.shape[-1])
    total = jnp.matmul(flat, weights, precision=lax.Precision.HIGHEST)
    return Sums(total.reshape(directions.shape[:2]), jnp.sum(weights**2), jnp.sum(costs))


def mean_over(sums: Callable[[Array, int], Sums], key: Array, num: int) -> GradientInfo:
    """Return the mean of `num` samples of which `sums(key, num)` makes sums, in blocks."""
    return mean_of(sum_of_blocks(sums, LARGEST_BLOCK, key, num), num)


def mean_of(total: Sums, num: int) -> GradientInfo:
    """Return the mean gradient over `num` independent samples with its standard error."""
    mean = total.gradient / num
    spread = jnp.maximum(total.square / num - jnp.sum(mean**2), 0.0)
    # One sample says nothing about its own spread.
    noise = jnp.sqrt(spread / (num - 1)) if num > 1 else jnp.full((), jnp.nan, mean.dtype)
    return GradientInfo(mean, total.cost / num, noise)


def check_counts(horizon: int | None, num_rollouts: int, least: int = 1) -> None:
    """Raise `InputError` for too few rollouts, a number not divisible by `least`, or no step."""
    if horizon is not None and horizon < 1:
        raise InputError(f"horizon must be at least 1, got {horizon}")
    if num_rollouts < least or num_rollouts % least:
        multiple = "at least 1" if least == 1 else f"a positive multiple of {least}"
        raise InputError(f"num_rollouts must be {multiple}, got {num_rollouts}")
