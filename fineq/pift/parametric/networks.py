"""Neural costates: a multilayer perceptron that starts as the pre-trained policy.

The last layer starts at zero, so that c = 0 and the mean is m0 before the first step; what is
learned is the departure from the pre-trained model.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import Array
from jax.typing import ArrayLike

from fineq.errors import InputError
from fineq.pift.parametric.features import Scale

ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "relu": nn.relu,
    "silu": nn.silu,
    "tanh": jnp.tanh,
}


class Perceptron(nn.Module):
    """Hidden layers of equal width on (z, embedding of time), and a linear layer from zero.

    Attributes:
        width, depth: of the hidden layers.
        d: of the output.
        frequencies: waves in the embedding s, sin(π 2^j s), cos(π 2^j s) of s = t/T.
        activation: a key of `ACTIVATIONS`.
    """

    width: int
    depth: int
    d: int
    frequencies: int = 2
    activation: str = "silu"

    @nn.compact
    def __call__(self, s: Array, z: Array) -> Array:
        """The output `[d]` at relative time s and standardised state z `[d]`."""
        angles = jnp.pi * 2.0 ** jnp.arange(self.frequencies, dtype=z.dtype) * s
        x = jnp.concatenate([z, s[None], jnp.sin(angles), jnp.cos(angles)])
        for _ in range(self.depth):
            dense = nn.Dense(self.width, dtype=z.dtype, param_dtype=z.dtype)
            x = ACTIVATIONS[self.activation](dense(x))
        zeros = nn.initializers.zeros_init()
        return nn.Dense(self.d, kernel_init=zeros, dtype=z.dtype, param_dtype=z.dtype)(x)


@partial(
    jax.tree_util.register_dataclass, data_fields=["variables", "scale"], meta_fields=["module"]
)
@dataclass(frozen=True)
class NetworkCostate:
    """c_t(y) = network(t/T, z_t(y)) with z the standardised state.

    Attributes:
        variables: of the Flax module.
        scale: of the state; not trained.
        module: the network.
    """

    variables: Any
    scale: Scale
    module: Perceptron

    def __call__(self, t: ArrayLike, y: Array) -> Array:
        """c_t(y), `[d]`."""
        s = jnp.asarray(t, y.dtype) / self.scale.center.shape[0]
        return jnp.asarray(self.module.apply(self.variables, s, self.scale(t, y)))

    def holding(self, variables: Any) -> "NetworkCostate":
        """The same network with other variables."""
        return NetworkCostate(variables, self.scale, self.module)


def network(
    key: Array, scale: Scale, *, width: int = 64, depth: int = 2, activation: str = "silu"
) -> NetworkCostate:
    """A network in the precision of `scale`.

    Raises:
        InputError: for no hidden units or layers, or an unknown activation.
    """
    for name, value in (("width", width), ("depth", depth)):
        if value < 1:
            raise InputError(f"network.{name} must be at least 1, got {value}")
    if activation not in ACTIVATIONS:
        known = ", ".join(ACTIVATIONS)
        raise InputError(f"network.activation must be one of {known}, got {activation}")
    center = scale.center[0]
    module = Perceptron(width, depth, center.shape[0], activation=activation)
    variables = module.init(key, jnp.zeros((), center.dtype), jnp.zeros_like(center))
    return NetworkCostate(variables, scale, module)
