"""A network whose arithmetic is coarser than its variables: bfloat16, for accelerators.

Variables stay as they are, and so do the states of a chain: what is rounded is the work of one
evaluation, and its result goes back to the precision of the states. Norms take their means in
float32, and waves of the time are made in the precision of the time.
"""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import Array

from fineq.errors import InputError

if TYPE_CHECKING:
    from fineq.ddpm.denoiser import Denoiser


@dataclass(frozen=True)
class Rounded:
    """A network that is called with rounded variables.

    Attributes:
        module: the network, with a `dtype` of its parameters and arithmetic.
        dtype: that takes its place, by name.
    """

    module: nn.Module
    dtype: str = "bfloat16"

    @property
    def num_classes(self) -> int:
        """Of the network."""
        return int(getattr(self.module, "num_classes", 0))

    @property
    def one_time(self) -> bool:
        """Of the network."""
        return bool(getattr(self.module, "one_time", False))

    def init(self, *given: Any) -> Any:
        """Variables of the network, in its own precision."""
        return self.module.init(*given)

    def apply(self, variables: Any, s: Array, x: Array, label: Array | None) -> Array:
        """What the network says, `[B, d]`, rounded."""
        module = self.module.clone(dtype=jnp.dtype(self.dtype))
        rounded = jax.tree.map(lambda leaf: leaf.astype(self.dtype), variables)
        return jnp.asarray(module.apply(rounded, s, x, label))


def rounded(denoiser: "Denoiser", dtype: str = "bfloat16") -> "Denoiser":
    """The same model, whose network computes in `dtype`.

    Raises:
        InputError: for a network without a `dtype`.
    """
    if not hasattr(denoiser.module, "dtype"):
        raise InputError(
            f"a {type(denoiser.module).__name__} has no dtype: its arithmetic cannot be changed"
        )
    module: Any = Rounded(denoiser.module, dtype)
    return replace(denoiser, module=module)
