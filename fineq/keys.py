"""Random keys by purpose: what one seed draws is told apart by words.

Whatever draws more than one thing gives each a purpose, a few words that stand at one place of the
code, and draws it from `key_for(seed, purpose)`. Two things with the same seed then share no bits,
and none depends on what else is drawn: nobody counts how many keys a seed was split into. What is
drawn again and again under one purpose folds its index into the purpose's key: step t, block i.
"""

import zlib
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike


def key_for(root: ArrayLike, purpose: str) -> Array:
    """The key of a purpose: the root with a hash of the words, CRC-32, folded in.

    Args:
        root: a random key, or a seed, which may be traced.
        purpose: what is drawn, in words.
    """
    key = root if isinstance(root, Array) and is_key(root) else jax.random.key(root)
    return jax.random.fold_in(key, purpose_number(purpose))


def purpose_number(purpose: str) -> int:
    """What is folded in for a purpose: the same in every process, from 0 to 2^32 - 1."""
    return zlib.crc32(purpose.encode())


def is_key(leaf: Any) -> bool:
    """Whether the leaf holds random keys."""
    return jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
