"""The two-layer network of the theory.

    f_i(z) = m^{-1/2} Σ_r A_ri relu(w_r·z),   i = 1..d,

w_r standard normal, A_ri = ±1 fixed; only the w_r are trained (arXiv 2401.15604). Kernel descent
starts at 0, so its comparison with the network (`ntk/coupling`) wants an initialisation at f_0 = 0:
by `symmetric` pairs (w, A), (w, -A), or with f_0 `subtracted`; `plain` does neither.

Activations are formed for a group of units at a time, so that they stay in cache and memory does
not grow with m.
"""

from functools import partial
from typing import Any, Literal, NamedTuple, get_args

import chex
import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.custom_batching import sequential_vmap
from jax.typing import ArrayLike

from fineq.arrays import real_array
from fineq.errors import InputError

Initialisation = Literal["symmetric", "subtracted", "plain"]

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


def check_width(width: int, initialisation: str) -> None:
    """Raise `InputError` for no units, an unknown initialisation, or an odd number of pairs."""
    known = get_args(Initialisation)
    if initialisation not in known:
        raise InputError(f"initialisation must be one of {', '.join(known)}, got {initialisation}")
    if width < 1:
        raise InputError(f"width must be at least 1, got {width}")
    if initialisation == "symmetric" and width % 2:
        raise InputError(
            f"width must be even with initialisation=symmetric, which pairs units, got {width}"
        )


def draw_weights(
    key: Array,
    width: int,
    D: int,
    d: int,
    initialisation: Initialisation = "symmetric",
    dtype: Any = float,
) -> Weights:
    """A network of `width` units at its start, for inputs `[N, D]` and d outputs.

    Raises `InputError` as `check_width` does.
    """
    check_width(width, initialisation)
    key_input, key_output = jax.random.split(key)
    own = width // 2 if initialisation == "symmetric" else width
    W = jax.random.normal(key_input, (own, D), dtype)
    A = jax.random.rademacher(key_output, (own, d), dtype)
    if initialisation == "symmetric":
        W, A = jnp.concatenate([W, W]), jnp.concatenate([A, -A])
    return Weights(W, A)


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
    """Σ_r A_r relu(w_r·z) for weights in groups, W `[G, D, units]`, A `[G, d, units]`: `[N, d]`."""
    G, D, units = W.shape
    chex.assert_shape([A, z], [(G, None, units), (None, D)])

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


def ungrouped(x: Array, width: int) -> Array:
    """Rows `[..., m, k]` from their groups `[..., G, k, units]`."""
    flat = jnp.swapaxes(x, -1, -2)
    return flat.reshape(*flat.shape[:-3], -1, flat.shape[-1])[..., :width, :]


def check_weights(weights: Weights) -> Weights:
    """The weights as arrays of one type; raises `InputError` unless they are `[m, D]`, `[m, d]`."""
    W, A = (real_array(name, x, 2) for name, x in zip("WA", weights, strict=True))
    if W.shape[0] != A.shape[0] or 0 in W.shape + A.shape:
        raise InputError(f"weights must be W [m, D] and A [m, d], got {W.shape} and {A.shape}")
    return Weights(W, A.astype(W.dtype))


def evaluate(weights: Weights, z: ArrayLike, units: int | None = None) -> Array:
    """Predictions `[N, d]` of a network at inputs `[N, D]`, in the precision of its weights.

    Nothing is subtracted. Activations of `units` units are held at a time.

    Raises:
        InputError: for weights that are not `[m, D]` and `[m, d]`, inputs that are not `[N, D]`, or
            fewer than 1 units at a time.
    """
    W, A = check_weights(weights)
    z = real_array("z", z, 2).astype(W.dtype)
    if z.shape[1] != W.shape[1] or not z.size:
        raise InputError(f"inputs must be [N, {W.shape[1]}] for these weights, got {z.shape}")
    if units is not None and units < 1:
        raise InputError(f"units must be at least 1, got {units}")
    return _evaluate(Weights(W, A), z, units or units_for(z.shape[0], W.shape[0]))


@partial(jax.jit, static_argnames="units")
def _evaluate(weights: Weights, z: Array, units: int) -> Array:
    W, A = weights
    return _sums(grouped(W, units), grouped(A, units), z) * W.shape[0] ** -0.5
