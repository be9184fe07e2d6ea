"""Convolution of images whose derivatives stay fast inside loops.

XLA on CPUs has fast code for a convolution as it is usually written, and none for what automatic
differentiation makes of one inside `lax.scan`: gradients take 20 to 50 times as long there as
outside. Here the derivative is written so that reverse mode meets fast forms alone: the gradient in
the kernel is one matrix product over patches, that in the image a convolution of the usual kind
with the kernel turned round. Forward mode and higher derivatives go through as they do elsewhere.
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import Array, lax

from fineq.errors import InputError

Padding = tuple[tuple[int, int], tuple[int, int]]


@partial(jax.custom_jvp, nondiff_argnums=(2, 3))
def convolve(x: Array, kernel: Array, stride: int, padding: Padding) -> Array:
    """Cross-correlation y_{hwo} = Σ_{ijc} x_{sh+i-p, sw+j-q, c} k_{ijco} of padded images.

    Args:
        x: `[B, H, W, C]`.
        kernel: `[k, k, C, O]`.
        stride: s.
        padding: zeros (before, after) of rows, then of columns; p and q are those before.
    """
    return _convolution(x, kernel, stride, padding, "HWIO")


@convolve.defjvp
def _(stride: int, padding: Padding, primals: tuple, tangents: tuple) -> tuple[Array, Array]:
    (x, kernel), (dx, dkernel) = primals, tangents
    # Differentiation swaps the kernel's channels by name. Swapped beforehand, they come out in the
    # usual order, for which there is fast code.
    by_image = _convolution(dx, jnp.swapaxes(kernel, 2, 3), stride, padding, "HWOI")
    # Kept for the reverse pass: the image, and not its patches, which take k² times the memory.
    product = jax.checkpoint(partial(_product, stride=stride, padding=padding), prevent_cse=False)
    return convolve(x, kernel, stride, padding), by_image + product(x, dkernel)


def _convolution(x: Array, kernel: Array, stride: int, padding: Padding, order: str) -> Array:
    names = ("NHWC", order, "NHWC")
    return lax.conv_general_dilated(x, kernel, (stride, stride), padding, dimension_numbers=names)


def _product(x: Array, kernel: Array, stride: int, padding: Padding) -> Array:
    return patches(x, kernel.shape[0], stride, padding) @ kernel.reshape(-1, kernel.shape[-1])


def patches(x: Array, size: int, stride: int, padding: Padding) -> Array:
    """The k² C numbers that each entry of a convolution sees, `[B, H', W', k² C]`."""
    x = jnp.pad(x, ((0, 0), *padding, (0, 0)))
    ends = [stride * ((n - size) // stride) + 1 for n in x.shape[1:3]]
    shifts = [(i, j) for i in range(size) for j in range(size)]
    cuts = [x[:, i : i + ends[0] : stride, j : j + ends[1] : stride] for i, j in shifts]
    return jnp.concatenate(cuts, axis=-1)


class Conv(nn.Module):
    """`convolve` with a kernel `[k, k, C, features]` and a bias; images `[B, H, W, C]`.

    Attributes:
        features: channels that come out.
        size: k, odd.
        stride: 1 or 2.
        padding: None for (k - 1)/2 zeros on all sides, or pairs (before, after) of rows and of
            columns.
        dtype: of parameters and arithmetic.
        kernel_init: of the kernel.

    Raises:
        InputError: for an even size, or another stride.
    """

    features: int
    size: int = 3
    stride: int = 1
    padding: Padding | None = None
    dtype: Any = jnp.float32
    kernel_init: nn.initializers.Initializer = nn.initializers.lecun_normal()

    def __post_init__(self) -> None:
        if self.size < 1 or self.size % 2 == 0:
            raise InputError(f"the size of a kernel must be odd, got {self.size}")
        if self.stride not in (1, 2):
            raise InputError(f"the stride of a convolution must be 1 or 2, got {self.stride}")
        super().__post_init__()

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """The image that comes out, `[B, H', W', features]`."""
        shape = (self.size, self.size, x.shape[-1], self.features)
        kernel = self.param("kernel", self.kernel_init, shape, self.dtype)
        bias = self.param("bias", nn.initializers.zeros_init(), (self.features,), self.dtype)
        half = self.size // 2
        padding = self.padding or ((half, half), (half, half))
        out = convolve(x.astype(self.dtype), kernel, self.stride, padding)
        return out + bias[None, None, None]
