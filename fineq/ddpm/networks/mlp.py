"""A perceptron with residual layers that each hear the time and the class."""

from typing import Any

import jax.numpy as jnp
from flax import linen as nn
from jax import Array

from fineq.ddpm.networks.embedding import Condition
from fineq.errors import InputError


class MLP(nn.Module):
    """h ← h + D_i silu(h + e) for `depth` dense layers D_i, e the condition; linear in and out.

    Attributes:
        width, depth: of the hidden layers.
        waves: features of the time.
        num_classes: 0 for a model without classes.
        dtype: of parameters and arithmetic.

    Raises:
        InputError: for no hidden units or layers.
    """

    width: int = 256
    depth: int = 3
    waves: int = 64
    num_classes: int = 0
    dtype: Any = jnp.float32

    one_time = True

    def __post_init__(self) -> None:
        for name, value in (("width", self.width), ("depth", self.depth)):
            if value < 1:
                raise InputError(f"network.{name} must be at least 1, got {value}")
        super().__post_init__()

    @nn.compact
    def __call__(self, s: Array, x: Array, label: Array | None = None) -> Array:
        """The prediction `[B, d]` at times s `[B]`, states x `[B, d]` and labels `[B]`."""
        options = {"dtype": self.dtype, "param_dtype": self.dtype}
        told = Condition(self.width, self.waves, self.num_classes, self.dtype)(s, label)
        h = nn.Dense(self.width, **options)(x)
        for _ in range(self.depth):
            h = h + nn.Dense(self.width, **options)(nn.silu(h + told))
        zeros = nn.initializers.zeros_init()
        return nn.Dense(x.shape[-1], kernel_init=zeros, **options)(nn.silu(h))
