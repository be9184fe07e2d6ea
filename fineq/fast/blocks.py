"""Work on many entries block by block, so that what is held at once fits in a cache or in memory.

Blocks are of one size, for one compiled program, and as even as that allows: what fills up the last
one is computed and thrown away.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, Literal

import jax
import jax.numpy as jnp
from jax import Array, lax

Fill = Literal["edge", "constant"]


def in_blocks(
    function: Callable[..., Any],
    most: int,
    *arrays: Any,
    axis: int = 0,
    out_axis: int | None = None,
    multiple: int = 1,
) -> Any:
    """`function(*arrays)`, computed for at most `most` entries along an axis at once.

    For functions whose entries do not know of each other; equal to one call but for rounding.

    Args:
        function: of pytrees of arrays with equally many entries along `axis`; returns a pytree of
            arrays with as many along `out_axis`.
        most: entries at once, a multiple of `multiple`.
        *arrays: pytrees.
        axis: of the arguments.
        out_axis: of what is returned; default `axis`.
        multiple: of which the size of a block must be one, filled up with copies of the last entry.
    """
    num = _length(arrays, axis)
    if num <= most and num % multiple == 0:
        return function(*arrays)
    out = per_block(function, most, *arrays, axis=axis, multiple=multiple)
    return jax.tree.map(lambda x: join(x, num, axis if out_axis is None else out_axis), out)


def per_block(
    function: Callable[..., Any], most: int, *arrays: Any, axis: int = 0, multiple: int = 1
) -> Any:
    """What `function` says of each block, leaves with a leading axis of blocks: see `in_blocks`.

    The last block is filled up with copies of the last entry, which change no maximum.
    """
    num = _length(arrays, axis)
    if num <= most and num % multiple == 0:
        return jax.tree.map(lambda x: x[None], function(*arrays))
    cut = partial(split, most=most, axis=axis, multiple=multiple)
    return lax.map(lambda block: function(*block), jax.tree.map(cut, arrays))


def sum_of_blocks(function: Callable[[Array, int], Any], most: int, key: Array, num: int) -> Any:
    """`function(key, num)`, a sum over `num` draws; in blocks of `most`, block i by `fold_in`."""
    if num <= most:
        return function(key, num)
    count, rest = divmod(num, most)

    def add(total: Any, i: Array) -> tuple[Any, None]:
        block = function(jax.random.fold_in(key, i), most)
        return jax.tree.map(jnp.add, total, block), None

    shapes = jax.eval_shape(lambda: function(key, most))
    start = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), shapes)
    total = lax.scan(add, start, jnp.arange(count))[0]
    if not rest:
        return total
    return jax.tree.map(jnp.add, total, function(jax.random.fold_in(key, count), rest))


def split(x: Array, most: int, axis: int = 0, multiple: int = 1, fill: Fill = "edge") -> Array:
    """Blocks of at most `most` entries along `axis`, with a leading axis of blocks.

    Filled up with copies of the last entry, or with zeros (`constant`).
    """
    axis %= x.ndim
    num = x.shape[axis]
    count = -(-num // most)
    size = -(-num // (count * multiple)) * multiple
    if extra := count * size - num:
        x = jnp.pad(x, [(0, extra if i == axis else 0) for i in range(x.ndim)], mode=fill)
    return jnp.moveaxis(x.reshape(*x.shape[:axis], count, size, *x.shape[axis + 1 :]), axis, 0)


def join(blocks: Array, num: int, axis: int = 0) -> Array:
    """The first `num` entries along `axis` of blocks with a leading axis; undoes `split`."""
    axis %= blocks.ndim - 1
    x = jnp.moveaxis(blocks, 0, axis)
    x = x.reshape(*x.shape[:axis], -1, *x.shape[axis + 2 :])
    return lax.slice_in_dim(x, 0, num, axis=axis)


def _length(arrays: Any, axis: int) -> int:
    return jax.tree.leaves(arrays)[0].shape[axis]
