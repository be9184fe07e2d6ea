"""Group norm."""

import jax
from flax import linen as nn
from jax import Array


class GroupNorm(nn.GroupNorm):
    """Flax's, which asks for the wider of two dtypes and so needs promotion to be allowed."""

    def __call__(self, x: Array, *, mask: Array | None = None) -> Array:
        """The normalised x, `[..., C]`."""
        with jax.numpy_dtype_promotion("standard"):
            return super().__call__(x, mask=mask)
