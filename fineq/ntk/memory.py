"""What the ways to descend in the span of N kernel functions hold at once."""

from typing import Literal

import jax

from fineq.errors import ResourceError
from fineq.sweep.memory import device_bytes

Storage = Literal["spectral", "stored", "blocked"]

# Matrices of N² numbers held at once: LAPACK's divide and conquer needs two for work beside the
# Gram matrix and the vectors, before and after they are ordered; the compiler copies a stored Gram
# matrix when a loop reads it.
SQUARES = {"spectral": 5, "stored": 2, "blocked": 0}
ADVICE = {
    "spectral": "take a Krylov space with storage='float64', which stores the Gram matrix once, or "
    "'blocked', which never does",
    "stored": "take storage='float32', or 'blocked', which computes the Gram matrix anew for each "
    "product",
    "blocked": "take fewer points or fewer products",
}


def memory_bytes(num: int, storage: Storage, itemsize: int = 8, vectors: int = 0) -> int:
    """Bytes for N = `num` points, about.

    Args:
        num: N.
        storage: the eigendecomposition, a stored Gram matrix, or none of it.
        itemsize: bytes of a number of the Gram matrix.
        vectors: vectors of N float64 numbers kept beside.
    """
    return SQUARES[storage] * itemsize * num**2 + 8 * vectors * num


def check_memory(
    num: int, storage: Storage, itemsize: int = 8, available: int | None = None, vectors: int = 0
) -> None:
    """Raise `ResourceError` when that is more than the `available` bytes (default: the device)."""
    if available is None:
        available = device_bytes(jax.local_devices())
    needed = memory_bytes(num, storage, itemsize, vectors)
    if needed > available:
        what = {
            "spectral": "the eigendecomposition of the Gram matrix",
            "stored": "the Gram matrix",
            "blocked": "the Krylov space",
        }[storage]
        raise ResourceError(
            f"{what} of {num} points needs about {needed / 2**30:.3g} GiB, but there are "
            f"{available / 2**30:.3g} GiB: {ADVICE[storage]}"
        )
