"""The UNet2DModel of diffusers as a Flax network over flat states, image rows first, channels last.

Each module has the name that its tensors begin with in a file of diffusers.
"""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import Array

from fineq.ddpm.networks.conv import Conv
from fineq.ddpm.networks.embedding import sincos
from fineq.ddpm.networks.norm import GroupNorm
from fineq.interop.diffusers.config import Config


def norm(groups: int, epsilon: float, dtype: Any, name: str) -> GroupNorm:
    """A group norm, whose variance is a mean of squared deviations, as it is there."""
    return GroupNorm(
        groups, epsilon=epsilon, dtype=dtype, param_dtype=dtype, use_fast_variance=False, name=name
    )


class ResNet(nn.Module):
    """Two convolutions, between them the time; a third, of single pixels, where channels change.

    Attributes:
        features: channels that come out.
        config: of the network.
        dtype: of parameters and arithmetic.
    """

    features: int
    config: Config
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Array, told: Array) -> Array:
        """The image `[B, H, W, features]` after x `[B, H, W, C]`, told `[B, width]`."""
        c, t = self.config, self.dtype
        h = nn.silu(norm(c.groups, c.epsilon, t, "norm1")(x))
        h = Conv(self.features, dtype=t, name="conv1")(h)
        project = nn.Dense(self.features, dtype=t, param_dtype=t, name="time_emb_proj")
        h = h + project(nn.silu(told))[:, None, None]
        h = nn.silu(norm(c.groups, c.epsilon, t, "norm2")(h))
        h = Conv(self.features, dtype=t, name="conv2")(h)
        if x.shape[-1] != self.features:
            x = Conv(self.features, size=1, dtype=t, name="conv_shortcut")(x)
        return x + h


class Attention(nn.Module):
    """Self-attention of all pixels, added to what came in.

    Attributes:
        groups: of its norm.
        config: of the network.
        dtype: of parameters and arithmetic.
    """

    groups: int
    config: Config
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """The image `[B, H, W, C]`."""
        t, (b, height, width, c) = self.dtype, x.shape
        size = self.config.head or c
        seen = norm(self.groups, self.config.epsilon, t, "group_norm")(x)
        seen = seen.reshape(b, height * width, c)

        def heads(name: str) -> Array:
            out = nn.Dense(c, dtype=t, param_dtype=t, name=name)(seen)
            return out.reshape(b, height * width, c // size, size)

        query, key, value = map(heads, ("to_q", "to_k", "to_v"))
        logits = jnp.einsum("bihc,bjhc->bhij", query, key) / math.sqrt(size)
        mixed = jnp.einsum("bhij,bjhc->bihc", jax.nn.softmax(logits, axis=-1), value)
        out = nn.Dense(c, dtype=t, param_dtype=t, name="to_out.0")
        return x + out(mixed.reshape(b, height * width, c)).reshape(x.shape)


def numbered(
    i: int, attentive: bool, features: int, config: Config, dtype: Any
) -> Callable[[Array, Array], Array]:
    """Block i at one size, a part of the module that asks: ResNet, and attention where it has it.

    Args:
        i: by which files name it.
        attentive: whether attention follows.
        features: channels that come out.
        config: of the network.
        dtype: of parameters and arithmetic.
    """
    block = ResNet(features, config, dtype, name=f"resnets.{i}")
    if not attentive:
        return block
    attend = Attention(config.groups, config, dtype, name=f"attentions.{i}")
    return lambda x, told: attend(block(x, told))


class Down(nn.Module):
    """The blocks at one size on the way down, and the halving.

    Attributes:
        level: of the size, 0 for the image's own.
        config: of the network.
        dtype: of parameters and arithmetic.
    """

    level: int
    config: Config
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Array, told: Array) -> list[Array]:
        """All that the way up needs to see; the last goes on down."""
        c, t, features = self.config, self.dtype, self.config.channels[self.level]
        seen = []
        for i in range(c.layers):
            x = numbered(i, c.down[self.level], features, c, t)(x, told)
            seen.append(x)
        if self.level + 1 < len(c.channels):
            halve = Conv(
                features,
                stride=2,
                padding=(c.padding, c.padding),
                dtype=t,
                name="downsamplers.0.conv",
            )
            seen.append(halve(x))
        return seen


class Middle(nn.Module):
    """Two ResNet blocks at the smallest size, attention between them.

    Attributes:
        config: of the network.
        dtype: of parameters and arithmetic.
    """

    config: Config
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Array, told: Array) -> Array:
        """The image `[B, H, W, C]`."""
        c, t = self.config, self.dtype
        x = ResNet(x.shape[-1], c, t, name="resnets.0")(x, told)
        if c.attentive:
            x = Attention(c.attention_groups, c, t, name="attentions.0")(x)
        return ResNet(x.shape[-1], c, t, name="resnets.1")(x, told)


class Up(nn.Module):
    """The blocks at one size on the way up, and the doubling.

    Attributes:
        level: 0 for the smallest size.
        config: of the network.
        dtype: of parameters and arithmetic.
    """

    level: int
    config: Config
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Array, told: Array, seen: list[Array]) -> Array:
        """The image, twice as large but at the last size; takes what it needs off `seen`."""
        c, t, features = self.config, self.dtype, self.config.channels[-1 - self.level]
        for i in range(c.layers + 1):
            x = jnp.concatenate([x, seen.pop()], axis=-1)
            x = numbered(i, c.up[self.level], features, c, t)(x, told)
        if self.level + 1 < len(c.channels):
            x = jnp.repeat(jnp.repeat(x, 2, axis=1), 2, axis=2)
            x = Conv(features, dtype=t, name="upsamplers.0.conv")(x)
        return x


class UNet2D(nn.Module):
    """The network of a UNet2DModel.

    Attributes:
        config: which one.
        dtype: of parameters and arithmetic.
    """

    config: Config
    dtype: Any = jnp.float32

    one_time = True

    @nn.compact
    def __call__(self, s: Array, x: Array, label: Array | None = None) -> Array:
        """The prediction `[B, d]` at steps s `[B]` of its training's chain, states x `[B, d]`."""
        del label
        c, t = self.config, self.dtype
        told = Told(c, t, name="time_embedding")(s)
        h = Conv(c.channels[0], dtype=t, name="conv_in")(x.reshape(-1, *c.shape))
        seen = [h]
        for i in range(len(c.channels)):
            seen += Down(i, c, t, name=f"down_blocks.{i}")(seen[-1], told)
        h = seen[-1]
        if c.middle:
            h = Middle(c, t, name="mid_block")(h, told)
        for i in range(len(c.channels)):
            h = Up(i, c, t, name=f"up_blocks.{i}")(h, told, seen)
        h = nn.silu(norm(c.groups, c.epsilon, t, "conv_norm_out")(h))
        return Conv(c.shape[-1], dtype=t, name="conv_out")(h).reshape(x.shape)


class Told(nn.Module):
    """Two dense layers on waves of the time.

    Attributes:
        config: of the network.
        dtype: of parameters and arithmetic.
    """

    config: Config
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, s: Array) -> Array:
        """A vector for each state, `[B, width]`."""
        c, options = self.config, {"dtype": self.dtype, "param_dtype": self.dtype}
        waves = sincos(s, c.channels[0], scale=1.0, shift=c.shift)
        if c.cos_first:
            waves = jnp.roll(waves, c.channels[0] // 2, axis=-1)
        h = nn.silu(nn.Dense(c.width, name="linear_1", **options)(waves))
        return nn.Dense(c.width, name="linear_2", **options)(h)
