"""Many small matrices at once, in the layout that compiles to fast code for their size.

XLA has no fast kernel for thousands of 4x4 products: `Lanes` puts the batch last and writes
products as sums over whole lanes; `Stack` keeps the batch first and calls the batched routines,
which win from dimension 8 on (measured on CPU, float64). Algorithms written against the shared
methods run in either. `over_lanes` gives such an algorithm leading axes, `vmap` and cache-sized
blocks.
"""

import functools
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.custom_batching import custom_vmap

from fineq.fast.blocks import in_blocks

LARGEST_LANES = 7
BLOCKED = range(8, 33, 4)  # dimensions at which elimination by blocks of 4 is faster
FEWEST_LANES = 16
BLOCK_ENTRIES = 8192  # entries of one matrix over a block: the dozen live ones stay in cache


class Lanes:
    """Arrays `[rows, columns, J]`; per-lane scalars `[J]`."""

    @staticmethod
    def load(x: Array) -> Array:
        """From `[J, rows, columns]`."""
        return jnp.moveaxis(x, 0, -1)

    @staticmethod
    def store(x: Array) -> Array:
        """Back to `[J, rows, columns]`."""
        return jnp.moveaxis(x, -1, 0)

    @staticmethod
    def spread(s: Array) -> Array:
        """Per-lane scalars, shaped to broadcast against matrices."""
        return s[None, None]

    @staticmethod
    def rows(x: Array) -> int:
        """The number of rows."""
        return x.shape[0]

    @staticmethod
    def eye(like: Array) -> Array:
        """The identity, shaped to broadcast against square `like`."""
        return jnp.eye(like.shape[0], dtype=like.dtype)[:, :, None]

    @staticmethod
    def transpose(x: Array) -> Array:
        """Each matrix transposed."""
        return jnp.swapaxes(x, 0, 1)

    @staticmethod
    def matmul(x: Array, y: Array) -> Array:
        """Each pair of matrices multiplied."""
        terms = [x[:, j][:, None] * y[j][None] for j in range(x.shape[1])]
        return functools.reduce(jnp.add, terms)

    @staticmethod
    def norm(x: Array) -> Array:
        """Frobenius norms `[J]`."""
        return jnp.sqrt(jnp.sum(x * x, axis=(0, 1)))

    @staticmethod
    def trace(x: Array) -> Array:
        """Traces `[J]`."""
        return functools.reduce(jnp.add, [x[i, i] for i in range(x.shape[0])])

    @staticmethod
    def diagonal(x: Array) -> Array:
        """Diagonals, as matrices of one column."""
        return jnp.stack([x[i, i] for i in range(x.shape[0])])[:, None]

    @staticmethod
    def largest(x: Array) -> Array:
        """The largest entry of each row, as matrices of one column."""
        return jnp.max(x, axis=1, keepdims=True)

    @staticmethod
    def most(x: Array) -> Array:
        """The largest entry of each matrix, `[J]`."""
        return jnp.max(x, axis=(0, 1))


class Stack:
    """Arrays `[J, rows, columns]`; per-lane scalars `[J]`."""

    @staticmethod
    def load(x: Array) -> Array:
        """From `[J, rows, columns]`, unchanged."""
        return x

    @staticmethod
    def store(x: Array) -> Array:
        """Back to `[J, rows, columns]`, unchanged."""
        return x

    @staticmethod
    def spread(s: Array) -> Array:
        """Per-lane scalars, shaped to broadcast against matrices."""
        return s[:, None, None]

    @staticmethod
    def rows(x: Array) -> int:
        """The number of rows."""
        return x.shape[1]

    @staticmethod
    def eye(like: Array) -> Array:
        """The identity, shaped to broadcast against square `like`."""
        return jnp.eye(like.shape[-1], dtype=like.dtype)[None]

    @staticmethod
    def transpose(x: Array) -> Array:
        """Each matrix transposed."""
        # The barrier keeps the transpose out of the product: XLA's CPU product of a transposed
        # operand takes twice the time of transposing first.
        return lax.optimization_barrier(jnp.swapaxes(x, 1, 2))

    @staticmethod
    def matmul(x: Array, y: Array) -> Array:
        """Each pair of matrices multiplied, at full precision on every device."""
        return jnp.matmul(x, y, precision=lax.Precision.HIGHEST)

    @staticmethod
    def norm(x: Array) -> Array:
        """Frobenius norms `[J]`."""
        return jnp.sqrt(jnp.sum(x * x, axis=(1, 2)))

    @staticmethod
    def trace(x: Array) -> Array:
        """Traces `[J]`."""
        return jnp.trace(x, axis1=1, axis2=2)

    @staticmethod
    def diagonal(x: Array) -> Array:
        """Diagonals, as matrices of one column."""
        return jnp.diagonal(x, axis1=1, axis2=2)[:, :, None]

    @staticmethod
    def largest(x: Array) -> Array:
        """The largest entry of each row, as matrices of one column."""
        return jnp.max(x, axis=2, keepdims=True)

    @staticmethod
    def most(x: Array) -> Array:
        """The largest entry of each matrix, `[J]`."""
        return jnp.max(x, axis=(1, 2))


Layout = type[Lanes] | type[Stack]


def layout(size: int) -> Layout:
    """The faster layout for matrices with at most `size` rows and columns."""
    return Lanes if size <= LARGEST_LANES else Stack


def inverse(ops: Layout, x: Array, pivoting: Array) -> Array:
    """Inverses; elimination exchanges rows where the scalar `pivoting` says so."""
    lanes = Lanes.load(ops.store(x))
    out = lax.cond(pivoting, _eliminate_pivoting, lambda w: eliminate(w)[0], lanes)
    return ops.load(Lanes.store(out))


def solve_positive(ops: Layout, S: Array, Y: Array, least: float = 0.0) -> Array:
    """S^{-1} Y for positive definite S, NaN where S is not: no pivot above `least`."""
    out, smallest_pivot = eliminate(Lanes.load(ops.store(S)))
    solution = ops.matmul(ops.load(Lanes.store(out)), Y)
    return jnp.where(ops.spread(smallest_pivot > least), solution, jnp.nan)


# No LAPACK in this file, so that nothing here waits (`fineq.fast.lapack`).


def eliminate(x: Array) -> tuple[Array, Array]:
    """Inverses and smallest pivots `[J]` of `[n, n, J]` by Gauss-Jordan without row exchanges.

    Safe for positive definite matrices; for others the caller must check what comes out.
    """
    n = x.shape[0]
    block = 4 if n in BLOCKED else 1

    def step(_: Array, carry: tuple[Array, Array]) -> tuple[Array, Array]:
        w, smallest = carry
        lead = w[:block, :block]
        P, pivot = (1 / lead, lead[0, 0]) if block == 1 else eliminate(lead)
        return _pivot(w, P), jnp.minimum(smallest, pivot)

    start = (x, jnp.full_like(x[0, 0], jnp.inf))
    return lax.fori_loop(0, n // block, step, start)


def _eliminate_pivoting(x: Array) -> Array:
    n = x.shape[0]
    place = jnp.zeros_like(x[:, 0], dtype=int) + jnp.arange(n)[:, None]

    def step(k: Array, carry: tuple[Array, Array]) -> tuple[Array, Array]:
        w, order = carry
        candidates = jnp.where(place < n - k, jnp.abs(w[:, 0]), -1.0)
        best = jnp.argmax(candidates, axis=0)[None]
        row = jnp.take_along_axis(w, best[None], axis=0)
        first = jnp.take_along_axis(order, best, axis=0)
        rest = jnp.where((place == best)[1:, None], w[:1], w[1:])
        order = jnp.where(place == best, order[:1], order)
        w = _pivot(jnp.concatenate([row, rest]), 1 / row[:, :1])
        return w, jnp.concatenate([order[1:], first])

    out, order = lax.fori_loop(0, n, step, (x, place))
    # The inverse of the matrix with exchanged rows has exchanged columns.
    return jnp.take_along_axis(out, jnp.argsort(order, axis=0)[None], axis=1)


def _pivot(w: Array, P: Array) -> Array:
    """One step in place, P the inverse of the leading block, which leaves for the bottom right.

    Every step is then the same static slice: masks or dynamic updates cost three times as much.
    """
    b = P.shape[0]
    row, column = Lanes.matmul(P, w[:b, b:]), w[b:, :b]
    kept = w[b:, b:] - Lanes.matmul(column, row)
    top = jnp.concatenate([kept, -Lanes.matmul(column, P)], axis=1)
    return jnp.concatenate([top, jnp.concatenate([row, P], axis=1)])


def over_lanes(core: Callable[..., Any]) -> Callable[..., Any]:
    """`core` on flat batches `[J, rows, columns]`, lifted to any equal leading axes.

    Leading axes and axes added by `vmap` are flattened into one before `core` runs, so that
    `vmap` of a single problem is as fast as one batched call. On CPU the batch is run in
    cache-sized blocks, each of which stops when its own lanes are done; so results depend on the
    neighbours of a lane, but only in rounding.
    """
    core = jax.jit(core)  # traced once for both platforms

    @custom_vmap
    def call(*arrays: Array) -> Any:
        lead = arrays[0].shape[:-2]
        flat = [x.reshape(math.prod(lead), *x.shape[-2:]) for x in arrays]
        most = max(FEWEST_LANES, BLOCK_ENTRIES // max(max(x.shape[1:]) for x in flat) ** 2)
        blocks = functools.partial(in_blocks, core, most)
        whole = lax.platform_dependent(*flat, cpu=blocks, default=core)
        return jax.tree.map(lambda x: x.reshape(*lead, *x.shape[1:]), whole)

    def batch(axis_size: int, in_batched: list[bool], *arrays: Array) -> tuple[Any, Any]:
        lifted = [
            x if batched else jnp.broadcast_to(x[None], (axis_size, *x.shape))
            for x, batched in zip(arrays, in_batched, strict=True)
        ]
        out = call(*lifted)
        return out, jax.tree.map(lambda _: True, out)

    call.def_vmap(batch)
    return call
