"""Units of states and inputs that a control problem itself suggests, as powers of two.

What an algorithm judges against rounding (has it converged, is that zero, is this stable) is judged
in some norm, and a norm adds coordinates as if they had one unit. So plants are first brought to
units of their own: `x = t x̂`, `u = s û` with exponents that shift by k where the user's units are
2^k times as large. Powers of two round nothing. Everything here works in the layouts of
`fineq.fast.lanes`; units are columns `[n, 1]` of binary exponents.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jax import Array, lax

from fineq.fast.lanes import Layout

NOTHING = 1e6  # minus this stands for the logarithm of 0: sums with it stay numbers
FREE = 1e12  # the logarithm of the unit of an input without a price: beyond all paths through 0
# Exponents are cut at numbers that entries of a plant do not like to be, unlike 1/2.
CUT = 0.4142


class Units(NamedTuple):
    """Binary exponents of the units of states `[n, 1]` and of inputs `[p, 1]`."""

    states: Array
    inputs: Array


def guess(ops: Layout, A: Array, B: Array, Q: Array, R: Array) -> Units:
    """Units in which neither states nor inputs are likely to be worth much more than others.

    A unit of input costs 1, by its entry of R + B'QB. States have the smaller of two units: what
    such inputs reach, and what costs 1. Both follow the strongest path through A, measured in the
    strongest loop of one or two states. Inputs without a price, by their largest effect.
    """
    a = _logarithm(A)
    loop = ops.spread(ops.most((a + ops.transpose(a)) / 2))
    a = a - jnp.where(loop > -NOTHING / 4, loop, 0.0)
    effects = _logarithm(B)
    priced = ops.diagonal(R + ops.matmul(ops.transpose(B), ops.matmul(Q, B)))
    inputs = jnp.where(priced > 0, -_logarithm(priced) / 2, FREE)
    reached = _along(ops, a, ops.largest(effects + ops.transpose(inputs)))
    reached = jnp.where(jnp.abs(reached) < NOTHING / 4, reached, NOTHING)
    worth = _along(ops, ops.transpose(a), _logarithm(ops.diagonal(Q)) / 2)
    # Where inputs reach next to nothing, costs in units so small would be lost.
    least = -worth - jnp.finfo(A.dtype).maxexp // 6
    least = jnp.where(jnp.abs(worth) < NOTHING / 4, least, -FREE)
    states = jnp.minimum(-worth, jnp.maximum(reached, least))
    states = _whole(jnp.where(jnp.abs(states) < NOTHING / 4, states, 0.0))
    largest = ops.largest(ops.transpose(effects - states))
    own = jnp.where(largest > -NOTHING / 4, -largest, 0.0)
    return Units(states, _whole(jnp.where(priced > 0, inputs, own)))


def of_value(ops: Layout, P: Array, S: Array) -> Units:
    """The units in which the diagonals of P, a value, and of S = R + B'PB are about 1."""

    def units(x: Array) -> Array:
        diagonal = jnp.abs(ops.diagonal(x))
        useful = (diagonal > 0) & jnp.isfinite(diagonal)
        return _whole(-jnp.log2(jnp.where(useful, diagonal, 1.0)) / 2)

    return Units(units(P), units(S))


def scale(ops: Layout, x: Array, rows: Array, columns: Array) -> Array:
    """`x` with row i times 2^rows_i and column j times 2^columns_j, exactly."""
    # Two factors: one alone might be no number where the result is.
    return x * _power(rows) * ops.transpose(_power(columns))


def _logarithm(x: Array) -> Array:
    size = jnp.abs(x)
    return jnp.where(size > 0, jnp.log2(jnp.where(size > 0, size, 1.0)), -NOTHING)


def _along(ops: Layout, a: Array, start: Array) -> Array:
    """The strongest path to each state, logarithms: n steps through `a` from `start`."""

    def step(_: int, v: Array) -> Array:
        return jnp.maximum(v, ops.largest(a + ops.transpose(v)))

    return lax.fori_loop(0, ops.rows(a) - 1, step, start)


def _whole(exponents: Array) -> Array:
    return jnp.floor(exponents + CUT)


def _power(exponents: Array) -> Array:
    """2^k for whole k, exactly: XLA's exponentials round. Cut where a number would end."""
    info = jnp.finfo(exponents.dtype)
    integer = jnp.int64 if info.bits == 64 else jnp.int32
    largest = info.maxexp - 2
    bits = jnp.clip(exponents, -largest, largest).astype(integer) + (info.maxexp - 1)
    return lax.bitcast_convert_type(bits << info.nmant, exponents.dtype)
