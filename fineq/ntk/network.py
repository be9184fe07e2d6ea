"""The two-layer network of the theory.

    f_i(z) = m^{-1/2} Σ_r A_ri relu(w_r·z),   i = 1..d,

w_r standard normal, A_ri = ±1 fixed; only the w_r are trained (arXiv 2401.15604). Kernel descent
starts at 0, so its comparison with the network (`ntk/coupling`) wants f_0 = 0: by `symmetric`
pairs (w, A), (w, -A), or with f_0 `subtracted`; `plain` does neither.

Activations are formed for a group of units at a time, so that they stay in cache and memory does
not grow with m.
"""

from functools import partial
from typing import Any, Literal, NamedTuple, get_args

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jax import Array, lax
from jax.custom_batching import sequential_vmap
from jax.typing import ArrayLike

from fineq.errors import InputError

Start = Literal["symmetric", "subtracted", "plain"]

# Entries of a group of activations: 128 KiB in float32, so that the three that are alive at a time
# stay in the second-level cache of a core (measured: half or twice as many cost the same).
CACHED = 2**15
# Elsewhere than on a CPU large products are wanted, and memory is the only bound.
BOUND = 2**26
FEWEST_UNITS, MOST_UNITS = 64, 1024


class Weights(NamedTuple):
    """A network.

    Attributes:
        W: input weights, trained, `[m, D]`.
        A: output signs, fixed, `[m, d]`.
    """

    W: Array
    A: Array


def check_width(width: int, start: str) -> None:
    """Raise `InputError` for no units, an unknown start, or an odd number of paired units."""
    if start not in get_args(Start):
        raise InputError(f"network.start must be one of {', '.join(get_args(Start))}, got {start}")
    if width < 1:
        raise InputError(f"network.width must be at least 1, got {width}")
    if start == "symmetric" and width % 2:
        raise InputError(
            f"network.width must be even with network.start=symmetric, which pairs units, "
            f"got {width}"
        )


def draw(
    key: Array, width: int, D: int, d: int, start: Start = "symmetric", dtype: Any = float
) -> Weights:
    """A network of `width` units at its start. Raises as `check_width` does."""
    check_width(width, start)
    key_input, key_output = jax.random.split(key)
    own = width // 2 if start == "symmetric" else width
    W = jax.random.normal(key_input, (own, D), dtype)
    A = jax.random.rademacher(key_output, (own, d), dtype)
    if start == "symmetric":
        W, A = jnp.concatenate([W, W]), jnp.concatenate([A, -A])
    return Weights(W, A)


class TwoLayer(nn.Module):
    """The network as a Flax module: `params/W` is trained, the collection `fixed` is not.

    Attributes:
        width: m.
        d: number of outputs.
        start: as in the head of this module.
    """

    width: int
    d: int
    start: Start = "symmetric"

    @nn.compact
    def __call__(self, z: Array) -> Array:
        """Predictions `[N, d]` at inputs `[N, D]`."""
        # One key for all, for units are paired. After the start Flax asks for shapes only.
        key = self.make_rng("params") if self.is_initializing() else jax.random.key(0)
        W = self.param("W", lambda _: self._draw(key, z).W)
        A = self.variable("fixed", "A", lambda: self._draw(key, z).A).value
        f = _outputs(W, A, z)
        if self.start == "subtracted":
            first = self.variable("fixed", "W", lambda: self._draw(key, z).W).value
            f = f - _outputs(first, A, z)
        return f

    def _draw(self, key: Any, z: Array) -> Weights:
        return draw(key, self.width, z.shape[-1], self.d, self.start, z.dtype)


def _outputs(W: Array, A: Array, z: Array) -> Array:
    return nn.relu(z @ W.T) @ A / jnp.sqrt(jnp.asarray(W.shape[0], z.dtype))


def units_for(num: int, width: int) -> int:
    """How many units a group holds at N = `num` inputs."""
    if jax.default_backend() != "cpu":
        return min(width, max(1, BOUND // num))
    # Groups of 1000 units save nothing where inputs are few; below 64 products get slow.
    return min(width, max(FEWEST_UNITS, min(MOST_UNITS, CACHED // num)))


def dot(x: Array, y: Array) -> Array:
    """Matrix product at full precision on every device."""
    return jnp.matmul(x, y, precision=lax.Precision.HIGHEST)


def grouped(x: Array, units: int) -> Array:
    """Rows `[m, k]` as `[G, k, units]`, filled up with zeros: a unit of weight 0 stays inactive."""
    count = -(-x.shape[0] // units)
    x = jnp.pad(x, ((0, count * units - x.shape[0]), (0, 0)))
    return x.reshape(count, units, -1).swapaxes(1, 2)


def _sums(W: Array, A: Array, z: Array) -> Array:
    """Σ_r A_r relu(w_r·z) for weights in groups, `[N, d]`."""

    def add(total: Array, group: tuple[Array, Array]) -> tuple[Array, None]:
        w, a = group
        return total + dot(jnp.maximum(dot(z, w), 0), a.T), None

    return lax.scan(add, jnp.zeros((z.shape[0], A.shape[1]), z.dtype), (W, A))[0]


@sequential_vmap
def sums_over(W: Array, A: Array, z: Array) -> Array:
    """Σ_r A_r relu(w_r·z) for weights in groups, `[N, d]`; has no derivative.

    Under `vmap` one network after the other: batched products of this shape are three times slower.
    """
    return _sums(W, A, z)


@partial(jax.jit, static_argnames="units")
def predict(weights: Weights, z: ArrayLike, units: int | None = None) -> Array:
    """Predictions `[N, d]` at inputs `[N, D]`; holds activations of `units` units at a time.

    Nothing is subtracted; the precision is that of the weights.
    """
    W, A = weights
    z = jnp.asarray(z, W.dtype)
    units = units or units_for(z.shape[0], W.shape[0])
    return _sums(grouped(W, units), grouped(A, units), z) / np.sqrt(W.shape[0])
