"""Normal draws at a fraction of the usual time on CPU.

The random bits are those of JAX's default generator, Threefry-2x32 with 20 rounds on a counter
(Salmon, Moraes, Dror, Shaw 2011). Here the rounds are written out, so that XLA fuses them with what
follows into one loop whose state stays in registers; JAX loops over them through memory on CPU.
Each block of two 32-bit words makes two draws by Box and Muller (1958): a radius from one word, an
angle from the other. The words stand for the midpoints of 2^32 cells, so draws are symmetric and at
most 6.8 in size; that cuts off 1e-11 of the mass, as much as a run of 10^10 draws would notice.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from fineq.fast.sine import TABLES

ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
PARITY = 0x1BD11BDA

# log((1 + s)/(1 - s)) = 2s + s Σ_k LOG_k s^{2k}, to 2^-58 for |s| <= 0.1716 (fdlibm, e_log.c).
LOG = (
    6.666666666666735130e-01,
    3.999999999940941908e-01,
    2.857142874366239149e-01,
    2.222219843214978396e-01,
    1.818357216161805012e-01,
    1.531383769920937332e-01,
    1.479819860511658591e-01,
)
ROOT_HALF = int(np.float64(math.sqrt(0.5)).view(np.int64))


def normal(key: Array, shape: tuple[int, ...], dtype: jnp.dtype | type = float) -> Array:
    """Independent standard normal draws; as `jax.random.normal` in all but the numbers.

    Keys of another generator than Threefry, other dtypes than float32 and float64, and more than
    2^32 draws get `jax.random.normal` itself.
    """
    dtype = jax.dtypes.canonicalize_dtype(dtype)
    size = math.prod(shape)
    words = jax.random.key_data(key)
    if dtype.name not in TABLES or words.shape != (2,) or not 0 < size <= 2**32:
        return jax.random.normal(key, shape, dtype)
    first, second = threefry(words, lax.iota(jnp.uint32, -(-size // 2)))
    radius = _radius(first, dtype)
    # The second row is a quarter of a turn ahead. One expression in two rows: XLA's loops over rows
    # put end to end test at each entry which of them it belongs to.
    turns = jnp.array([[0], [2**30]], jnp.uint32)
    draws = radius[None] * _cosine(second[None] + turns, dtype)
    return draws.reshape(-1)[:size].reshape(shape)


def threefry(key: Array, counter: Array) -> tuple[Array, Array]:
    """Threefry-2x32-20 of the 64-bit counters (0, counter): two words each, uint32.

    Args:
        key: two words, uint32.
        counter: of any shape, uint32.
    """
    schedule = (key[0], key[1], key[0] ^ key[1] ^ jnp.uint32(PARITY))
    x, y = jnp.zeros_like(counter) + schedule[0], counter + schedule[1]
    for i in range(5):
        for rotation in ROTATIONS[i % 2]:
            x = x + y
            y = x ^ ((y << jnp.uint32(rotation)) | (y >> jnp.uint32(32 - rotation)))
        x = x + schedule[(i + 1) % 3]
        y = y + schedule[(i + 2) % 3] + jnp.uint32(i + 1)
    return x, y


def _radius(word: Array, dtype: np.dtype) -> Array:
    """√(-2 log u), u the midpoint of the word's cell."""
    number = word.astype(dtype) + 0.5
    if dtype.name == "float32":
        # The last 2^7 cells round to u = 1.
        return jnp.sqrt(-2 * jnp.log(number * 2.0**-32))
    # XLA's float64 logarithm is a scalar call on CPU, 5 ns each. This one: number = 2^e m with m
    # between √½ and √2.
    bits = lax.bitcast_convert_type(number, jnp.int64)
    exponent = (bits - ROOT_HALF) >> 52
    f = lax.bitcast_convert_type(bits - (exponent << 52), dtype) - 1
    s = f / (2 + f)
    series = _polynomial(s * s, LOG)
    log = f - s * (f - s * s * series)
    return jnp.sqrt((32 - exponent.astype(dtype)) * (2 * math.log(2)) - 2 * log)


def _cosine(word: Array, dtype: np.dtype) -> Array:
    """Cosine of the angle that the word, as a signed number, is of half a turn."""
    half = jnp.abs(lax.bitcast_convert_type(word, jnp.int32).astype(dtype) + 0.5)
    r = (2.0**30 - half) * (2 * math.pi * 2.0**-32)
    square = r * r
    return r + r * square * _polynomial(square, TABLES[dtype.name].coefficients)


def _polynomial(x: Array, coefficients: tuple[float, ...]) -> Array:
    total = jnp.full_like(x, coefficients[-1])
    for coefficient in coefficients[-2::-1]:
        total = total * x + coefficient
    return total
