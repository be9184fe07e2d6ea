"""Random Gaussian systems, pure in their key: `jax.vmap` over keys draws a batch of plants.

Source: arXiv 2303.08431, section 5, which normalises "to spectral radius < 1" without saying how;
the three readings are `radius`, `own` and `joint`.
"""

from typing import Literal, get_args

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from fineq.errors import InputError
from fineq.nlqr.problem import Features, System

Normalisation = Literal["radius", "own", "joint"]


def spectral_radius(M: Array, *, num_squarings: int = 60) -> Array:
    """Return `ρ(M) = lim |M^(2^k)|^(1/2^k)`, a scalar, for a real `[n, n]` matrix.

    Repeated squaring, rescaled at each step so that nothing overflows: the same few matrix products
    on every device, under `jit` and `vmap`. The limit is reached to rounding: the truncation error
    is at most log(condition)/2^60 relative. What remains is rounding in the first products: below
    2e-14 relative on Gaussian matrices up to n = 64 in float64 (3e-6 in float32), growing with the
    condition of the dominant eigenvalue. For a defective one expect the rounding unit to the power
    1/(j + 1) with j the size of its Jordan block (an eigenvalue solver: 1/j).
    """
    tiny = jnp.finfo(M.dtype).tiny

    def square(carry: tuple[Array, Array], k: Array) -> tuple[tuple[Array, Array], None]:
        power, log_radius = carry
        size = jnp.maximum(jnp.max(jnp.abs(power)), tiny)
        power = power / size
        log_radius = log_radius + jnp.log(size) * 2.0**-k
        return (power @ power, log_radius), None

    start = (M, jnp.zeros((), M.dtype))
    steps = jnp.arange(num_squarings, dtype=M.dtype)
    (power, log_radius), _ = jax.lax.scan(square, start, steps)
    return jnp.where(jnp.all(power == 0), 0.0, jnp.exp(log_radius))


def spectral_norm(M: Array) -> Array:
    """Return the largest singular value of a matrix, a scalar; 0 for an empty one."""
    if 0 in M.shape:
        return jnp.zeros((), M.dtype)
    return jnp.linalg.svd(M, compute_uv=False)[0]


def _spectral_norms(*matrices: Array) -> Array:
    """The largest singular value of each matrix with the same rows, 1 for one that is zero.

    One batched decomposition of the matrices padded with zero columns: see `fineq.fast.lapack`.
    """
    width = max(M.shape[1] for M in matrices)
    padded = jnp.stack([jnp.pad(M, ((0, 0), (0, width - M.shape[1]))) for M in matrices])
    largest = jnp.linalg.svd(padded, compute_uv=False)[:, 0]
    return jnp.where(largest > 0, largest, 1.0)


def normalise(
    A: Array, B: Array, C: Array, normalisation: Normalisation, size: ArrayLike = 1.0
) -> tuple[Array, Array, Array]:
    """Scale A `[n, n]`, B `[n, p]`, C `[n, d]` so that their measure becomes `size`.

    `radius`: A to spectral radius `size`, B and C left alone; `own`: each of A, B, C to spectral
    norm `size`; `joint`: all by one factor, so that `[A B C]` has spectral norm `size`.
    Raises `InputError` for another name.
    """
    size = jnp.asarray(size, A.dtype)
    match normalisation:
        case "radius":
            return size * A / spectral_radius(A), B, C
        case "own":
            factors = size / _spectral_norms(A, B, C)
            return factors[0] * A, factors[1] * B, factors[2] * C
        case "joint":
            factor = size / spectral_norm(jnp.concatenate([A, B, C], axis=1))
            return factor * A, factor * B, factor * C
    allowed = ", ".join(get_args(Normalisation))
    raise InputError(f"normalisation must be one of {allowed}, got {normalisation!r}")


def random_system(
    key: Array,
    phi: Features,
    *,
    n: int,
    p: int,
    normalisation: Normalisation,
    size: ArrayLike = 1.0,
    scale: ArrayLike = 1.0,
    Q: Array | None = None,
    R: Array | None = None,
) -> System:
    """Draw A, B, C with independent N(0, 1) entries and normalise them.

    d is that of `phi`; `size` is what `normalise` scales to; `scale` is handed to φ; Q `[n, n]` and
    R `[p, p]` are identities by default. Pure in `key`; `size` and `scale` may be traced. With
    `radius` and size >= 1 the plant itself is unstable. Raises `InputError` for n or p < 1.
    """
    if n < 1 or p < 1:
        raise InputError(f"a system needs n >= 1 states and p >= 1 controls, got n = {n}, p = {p}")
    key_A, key_B, key_C = jax.random.split(key, 3)
    d = phi.num_features(n)
    dtype = jnp.result_type(size, scale, float)
    A = jax.random.normal(key_A, (n, n), dtype)
    B = jax.random.normal(key_B, (n, p), dtype)
    C = jax.random.normal(key_C, (n, d), dtype)
    A, B, C = normalise(A, B, C, normalisation, size)
    Q = jnp.eye(n, dtype=dtype) if Q is None else Q
    R = jnp.eye(p, dtype=dtype) if R is None else R
    return System(A, B, C, Q, R, jnp.asarray(scale, dtype), phi)
