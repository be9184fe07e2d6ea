"""What a network is told beside the state: the time as waves, and the class."""

import math
from typing import Any

import jax.numpy as jnp
from flax import linen as nn
from jax import Array

from fineq.errors import InputError


def sincos(s: Array, size: int, *, scale: float = 1000.0, shift: float = 0.0) -> Array:
    """Waves sin(a_i), then cos(a_i), of a_i = scale s 10000^{-i/(n - shift)}, i < n = size/2.

    Source: Vaswani et al. 2017, as diffusion models use it (Ho, Jain and Abbeel 2020).

    Args:
        s: times `[B]`; from 0 to 1 for the usual scale, which then spans a thousand steps.
        size: of what is returned.
        scale: of the time.
        shift: of the count of waves: some models have 1.

    Returns:
        `[B, size]`.

    Raises:
        InputError: for a size that is not even.
    """
    if size < 2 or size % 2:
        raise InputError(f"the features of time must be an even number, got {size}")
    half = size // 2
    powers = jnp.arange(half, dtype=s.dtype) / max(half - shift, 1)
    angles = scale * s[:, None] * jnp.exp(-math.log(10_000) * powers)[None]
    return jnp.concatenate([jnp.sin(angles), jnp.cos(angles)], axis=-1)


class Condition(nn.Module):
    """Two dense layers on waves of the time, plus a vector for the class.

    Attributes:
        width: of what is returned.
        waves: size of `sincos`.
        num_classes: 0 for a model without classes. Entry `num_classes` of the table is no class.
        dtype: of parameters and arithmetic.
    """

    width: int
    waves: int = 64
    num_classes: int = 0
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, s: Array, label: Array | None) -> Array:
        """A vector for each state, `[B, width]`."""
        options = {"dtype": self.dtype, "param_dtype": self.dtype}
        told = nn.Dense(self.width, **options)(sincos(s, self.waves))
        told = nn.Dense(self.width, **options)(nn.silu(told))
        if not self.num_classes:
            return told
        if label is None:
            label = jnp.full(s.shape, self.num_classes)
        return told + nn.Embed(self.num_classes + 1, self.width, **options)(label)
