"""Sums over random perturbations of a policy, in blocks of bounded memory."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from fineq.errors import InputError
from fineq.fast.sine import cosine, sine
from fineq.nlqr.gradients.info import GradientInfo

LARGEST_BLOCK = 2**16  # samples at once: 10 MB of perturbations for n = p = d = 3


class Sums(NamedTuple):
    """Sums over samples: of `g_j [p, n + d]`, of `|g_j|²`, and of the cost `c_j` seen."""

    gradient: Array
    square: Array
    cost: Array


def sphere_directions(key: Array, num: int, shape: tuple[int, ...], dtype: Any) -> Array:
    """Draw matrices uniform on the unit Frobenius sphere, batch last, `[*shape, num]`.

    Normalised Gaussian draws, those by Box and Muller (1958): half the time of `jax.random.normal`,
    which would otherwise be most of an estimate's.
    """
    size = math.prod(shape)
    radius, angle = _polar(key, (-(-size // 2), num), dtype)
    draws = jnp.concatenate([radius * cosine(angle), radius * sine(angle)])[:size]
    draws = draws / jnp.sqrt(jnp.sum(draws * draws, axis=0, keepdims=True))
    return draws.reshape(*shape, num)


def _polar(key: Array, shape: tuple[int, int], dtype: Any) -> tuple[Array, Array]:
    """Radius (up to a factor) and angle of Gaussian points in the plane, 32 random bits each."""
    if jnp.dtype(dtype) == jnp.float64:
        both = jax.random.bits(key, shape, jnp.uint64)
        high, low = both >> 32, both & jnp.uint64(2**32 - 1)
    else:
        high, low = jax.random.bits(key, (2, *shape), jnp.uint32)
    # Midpoints of 2^32 cells: never 0, and symmetric under half a turn, so the mean is exactly 0.
    radius = jnp.sqrt(-jnp.log((high.astype(dtype) + 0.5) * 2.0**-32))
    return radius, (low.astype(dtype) + 0.5) * (2 * math.pi * 2.0**-32)


def weighted_sums(directions: Array, weights: Array, costs: Array) -> Sums:
    """Return the sums of `g_j = weights_j · directions_j` for unit directions `[p, n + d, J]`."""
    flat = directions.reshape(-1, directions.shape[-1])
    total = jnp.matmul(flat, weights, precision=lax.Precision.HIGHEST)
    return Sums(total.reshape(directions.shape[:2]), jnp.sum(weights**2), jnp.sum(costs))


def sum_in_blocks(sums: Callable[[Array, int], Sums], key: Array, num: int) -> Sums:
    """Return `sums(key, num)`; for large `num` block by block, block i with `fold_in(key, i)`."""
    if num <= LARGEST_BLOCK:
        return sums(key, num)
    count, rest = divmod(num, LARGEST_BLOCK)

    def add(total: Sums, i: Array) -> tuple[Sums, None]:
        block = sums(jax.random.fold_in(key, i), LARGEST_BLOCK)
        return jax.tree.map(jnp.add, total, block), None

    last = jax.random.fold_in(key, count)
    shapes = jax.eval_shape(lambda: sums(last, LARGEST_BLOCK))
    start = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), shapes)
    total = lax.scan(add, start, jnp.arange(count))[0]
    return jax.tree.map(jnp.add, total, sums(last, rest)) if rest else total


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
