"""A small U-Net: ResNet blocks over two or more sizes of the image, attention at the smallest."""

import math
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import Array

from fineq.ddpm.networks.conv import Conv
from fineq.ddpm.networks.embedding import Condition
from fineq.ddpm.networks.norm import GroupNorm
from fineq.errors import InputError

GROUPS = 8


def norm(channels: int, dtype: Any) -> GroupNorm:
    """Group norm of the largest number of groups up to 8 that divides the channels."""
    return GroupNorm(math.gcd(GROUPS, channels), dtype=dtype, param_dtype=dtype)


class Block(nn.Module):
    """A ResNet block: two convolutions, between them the condition; its last one starts at zero.

    Attributes:
        features: channels that come out.
        dtype: of parameters and arithmetic.
    """

    features: int
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Array, told: Array) -> Array:
        """The image `[B, H, W, features]` after x `[B, H, W, C]`, told `[B, E]`."""
        t, zeros = self.dtype, nn.initializers.zeros_init()
        h = Conv(self.features, dtype=t)(nn.silu(norm(x.shape[-1], t)(x)))
        shift = nn.Dense(self.features, dtype=t, param_dtype=t)(nn.silu(told))
        h = nn.silu(norm(self.features, t)(h + shift[:, None, None]))
        h = Conv(self.features, dtype=t, kernel_init=zeros)(h)
        if x.shape[-1] != self.features:
            x = nn.Dense(self.features, dtype=t, param_dtype=t)(x)
        return x + h


class Attention(nn.Module):
    """Self-attention of all pixels with one head, added to what came in; starts at zero.

    Attributes:
        dtype: of parameters and arithmetic.
    """

    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """The image `[B, H, W, C]`."""
        options = {"dtype": self.dtype, "param_dtype": self.dtype}
        b, _, _, c = x.shape
        seen = norm(c, self.dtype)(x).reshape(b, -1, c)
        query, key, value = (nn.Dense(c, name=n, **options)(seen) for n in ("q", "k", "v"))
        logits = jnp.einsum("bic,bjc->bij", query, key) / math.sqrt(c)
        mixed = jax.nn.softmax(logits, axis=-1) @ value
        zeros = nn.initializers.zeros_init()
        return x + nn.Dense(c, name="out", kernel_init=zeros, **options)(mixed).reshape(x.shape)


class UNet(nn.Module):
    """Down through the sizes of the image, attention at the smallest, and up with what was seen.

    Attributes:
        shape: (H, W, C) of the image, whose entries a flat state lists row by row.
        channels: at each size; each is half of the one before.
        width: of the vector that tells time and class.
        num_classes: 0 for a model without classes.
        dtype: of parameters and arithmetic.

    Raises:
        InputError: for no channels, or an image that does not halve so often.
    """

    shape: tuple[int, int, int]
    channels: tuple[int, ...] = (32, 64)
    width: int = 64
    num_classes: int = 0
    dtype: Any = jnp.float32

    one_time = True

    def __post_init__(self) -> None:
        if not self.channels or min(self.channels) < 1:
            raise InputError(f"the channels of a UNet must be at least 1, got {self.channels}")
        height, width = self.shape[:2]
        times = len(self.channels) - 1
        if height % 2**times or width % 2**times:
            raise InputError(
                f"a UNet of {times + 1} sizes halves the image {times} times: height and width "
                f"must be multiples of {2**times}, got {height} x {width}"
            )
        super().__post_init__()

    @nn.compact
    def __call__(self, s: Array, x: Array, label: Array | None = None) -> Array:
        """The prediction `[B, d]` at times s `[B]`, states x `[B, d]` and labels `[B]`."""
        t, zeros = self.dtype, nn.initializers.zeros_init()
        told = Condition(self.width, num_classes=self.num_classes, dtype=t)(s, label)
        h = Conv(self.channels[0], dtype=t)(x.reshape(-1, *self.shape))
        kept = []
        for features in self.channels[:-1]:
            h = Block(features, t)(h, told)
            kept.append(h)
            h = Conv(features, stride=2, dtype=t)(h)
        h = Block(self.channels[-1], t)(h, told)
        h = Block(self.channels[-1], t)(Attention(t)(h), told)
        for features, seen in zip(self.channels[-2::-1], kept[::-1], strict=True):
            h = Conv(features, dtype=t)(jnp.repeat(jnp.repeat(h, 2, axis=1), 2, axis=2))
            h = Block(features, t)(jnp.concatenate([h, seen], axis=-1), told)
        h = nn.silu(norm(h.shape[-1], t)(h))
        return Conv(self.shape[-1], dtype=t, kernel_init=zeros)(h).reshape(x.shape)
