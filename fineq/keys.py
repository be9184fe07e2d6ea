"""Random keys by purpose: what one seed draws is told apart by words.

Whatever draws more than one thing gives each a purpose, a few words that stand at one place of the
code, and draws it from `key_for(seed, purpose)`. Two things with the same seed then share no bits,
and none depends on what else is drawn: nobody counts how many keys a seed was split into. What is
drawn again and again under one purpose folds its index into the purpose's key: step t, block i.
"""

import zlib
from numbers import Integral
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike

from fineq.errors import InputError


def key_for(root: ArrayLike, purpose: str) -> Array:
    """The key of a purpose: the root with a hash of the words, CRC-32, folded in.

    Args:
        root: a random key, or a seed, which may be traced.
        purpose: what is drawn, in words.

    Raises:
        InputError: for a root that is neither.
    """
    if isinstance(root, Array) and is_key(root):
        key = one_key(root)
    elif isinstance(root, Integral) or (
        isinstance(root, Array | np.ndarray) and root.ndim == 0 and root.dtype.kind in "iu"
    ):
        key = jax.random.key(root)
    else:
        raise InputError(f"a key is made of a random key or of one integer, got {root!r}")
    return jax.random.fold_in(key, purpose_number(purpose))


def purpose_number(purpose: str) -> int:
    """What is folded in for a purpose: the same in every process, from 0 to 2^32 - 1."""
    return zlib.crc32(purpose.encode())


def is_key(leaf: Any) -> bool:
    """Whether the leaf holds random keys."""
    return jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def one_key(key: Any) -> Array:
    """Return `key`, where it is one random key.

    Raises:
        InputError: for anything else, a seed or many keys among it.
    """
    # A key of the older kind is an array of words, [2] or [4].
    if not hasattr(key, "dtype") or key.ndim != int(not is_key(key)):
        got = f"shape {key.shape}" if hasattr(key, "dtype") else repr(key)
        raise InputError(f"key must be one random key, jax.random.key(...), got {got}")
    return key
