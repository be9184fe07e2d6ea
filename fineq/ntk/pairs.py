"""κ between all pairs of rows without an arccosine, to rounding error at every angle.

With directions u, u', `c = u·u'` and `s = sign c`, the number `q = |u - s u'|² / 4` is the squared
sine of half the angle to the nearer of u' and -u'. It is at most 1/2, so `asin √q = √q P(q)` with a
short polynomial P, and

    κ / (|z| |z'|) = (1 - 2q) (1/2 - y)  for s = 1,  (2q - 1) y  for s = -1,  y = asin(√q) / π.

An arccosine of c cannot do this: it loses half of the digits where z and z' nearly coincide or
oppose each other, because c has lost them already. The differences have not.

In few coordinates the differences are summed for every pair, which costs little more than c. In
many, `q = (1 - |c|) / 2` from one matrix product is as good unless |c| is close to 1; groups of
rows with such a pair (other than a point with itself) are done again by differences.

P is the minimax polynomial for the relative error on [0, 1/2], by a Remez exchange in 60 digits,
then rounded: error 6.2e-16 with the 17 coefficients of float64, 1.1e-7 with the 7 of float32.
"""

import functools
from typing import NamedTuple

import jax.numpy as jnp
from jax import Array, lax
from jax.custom_batching import sequential_vmap

COEFFICIENTS = {
    "float64": (
        0.31830988618379086,
        0.053051647697075675,
        0.023873241505387874,
        0.014210259704380423,
        0.009670992431502108,
        0.007118481975455773,
        0.005566725891986709,
        0.003983986968062546,
        0.007202212566253933,
        -0.01656808714822583,
        0.08364963212730968,
        -0.24351010718664767,
        0.5468056149854601,
        -0.8574318496363664,
        0.9198255547909486,
        -0.5992558092661746,
        0.186582261841837,
    ),
    "float32": (
        0.31830991893804284,
        0.053045589275139846,
        0.024054797255411924,
        0.012198799312171873,
        0.019996050316367878,
        -0.01858383192724538,
        0.032837312762430196,
    ),
}
MOST_DIRECT = 8  # coordinates up to which differences for every pair cost as little as a product
NEAR = 2.0**-12  # 1 - |c| below which an error of c would reach κ multiplied by more than 7
GROUP = 64  # rows that are done again together
CHUNK = 8  # coordinates of one pass over a group


class Polar(NamedTuple):
    """Points: directions `u [N, D]` (zero for a zero vector) and lengths `r [N]`."""

    u: Array
    r: Array


def polar(z: Array) -> Polar:
    """Directions and lengths of rows, without overflow or underflow in between."""
    scale = jnp.max(jnp.abs(z), axis=1)
    w = z / jnp.where(scale > 0, scale, 1)[:, None]
    length = jnp.sqrt(jnp.where(scale > 0, jnp.sum(w * w, axis=1), 1))
    return Polar(w / length[:, None], scale * length)


def products(x: Array, y: Array) -> Array:
    """Inner products `[N1, N2]` of all rows, with all the digits of their type."""
    return jnp.matmul(x, y.T, precision=lax.Precision.HIGHEST)


@sequential_vmap
def entries(a: Polar, b: Polar) -> Array:
    """κ `[N1, N2]` between two sets of points; not differentiable."""
    if a.u.shape[1] <= MOST_DIRECT:
        return _all_by_sums(a, b)
    return _by_products(a, b, own=False)


@sequential_vmap
def own_entries(a: Polar) -> Array:
    """κ `[N, N]` of one set of points; not differentiable."""
    if a.u.shape[1] <= MOST_DIRECT:
        return _all_by_sums(a, a)
    return _by_products(a, a, own=True)


def half_angles(u1: Array, u2: Array) -> tuple[Array, Array]:
    """Products c and squared sines q `[N1, N2]`, q by differences in any number of coordinates."""
    if u1.shape[1] <= MOST_DIRECT:
        return _by_sums(u1.T, u2.T)
    c = products(u1, u2)
    return c, _difference(c, u1, u2)


def turn(q: Array, root: Array) -> Array:
    """asin(√q) / π for q in [0, 1/2], given √q."""
    *rest, last = COEFFICIENTS[q.dtype.name]
    series = jnp.full_like(q, last)
    for coefficient in reversed(rest):
        series = series * q + coefficient
    return root * series


def _value(c: Array, q: Array, r1: Array, r2: Array) -> Array:
    y, size = turn(q, jnp.sqrt(q)), 1 - 2 * q
    share = jnp.where(c < 0, -size * y, size * (0.5 - y))
    return (r1[:, None] * r2[None, :]) * share


def _all_by_sums(a: Polar, b: Polar) -> Array:
    """κ in few coordinates; nothing is computed for zero vectors only, such as padding."""

    def whole(*given: Array) -> Array:
        columns1, r1, columns2, r2 = given
        return _value(*_by_sums(columns1, columns2), r1, r2)

    # Operands of a branch are arrays in memory. XLA's CPU compiler would else repeat slices,
    # transposes and divisions for every pair, in code that is not vectorised.
    return lax.cond(
        jnp.any(a.r != 0),
        whole,
        lambda *_: jnp.zeros((a.r.size, b.r.size), a.r.dtype),
        *(a.u.T, a.r, b.u.T, b.r),
    )


def _by_sums(columns1: Array, columns2: Array) -> tuple[Array, Array]:
    c = functools.reduce(jnp.add, (x[:, None] * y[None, :] for x, y in zip(columns1, columns2)))
    return c, jnp.minimum(0.25 * _squares(c, columns1, columns2), 0.5)


def _squares(c: Array, columns1: Array, columns2: Array) -> Array:
    """Squared distances from u to the nearer of u' and -u', c their products."""
    sign = jnp.where(c < 0, -1.0, 1.0).astype(c.dtype)
    terms = (jnp.square(x[:, None] - sign * y[None, :]) for x, y in zip(columns1, columns2))
    return functools.reduce(jnp.add, terms)


def _difference(c: Array, u1: Array, u2: Array) -> Array:
    """Return q by differences, a few coordinates at a time."""
    chunks = -(-u1.shape[1] // CHUNK)
    padding = ((0, 0), (0, chunks * CHUNK - u1.shape[1]))
    given1, given2 = (jnp.pad(u, padding).T.reshape(chunks, CHUNK, -1) for u in (u1, u2))

    def add(total: Array, columns: tuple[Array, Array]) -> tuple[Array, None]:
        return total + _squares(c, *columns), None

    total, _ = lax.scan(add, jnp.zeros_like(c), (given1, given2))
    return jnp.minimum(0.25 * total, 0.5)


def _by_products(a: Polar, b: Polar, own: bool) -> Array:
    c = products(a.u, b.u)
    here = jnp.arange(a.r.size)
    if own:
        c = c.at[here, here].set(0)
    # Extremes of c itself: those of |c| would make XLA's CPU compiler store |c|.
    largest = jnp.maximum(jnp.max(c, axis=1), -jnp.min(c, axis=1))
    close = largest > 1 - NEAR
    # Never true, but a result that waits for the extremes can take the place of c in memory.
    r = jnp.where(largest > 2, jnp.nan, a.r)
    out = _value(c, jnp.maximum(0.5 - 0.5 * jnp.abs(c), 0), r, b.r)
    if own:
        out = out.at[here, here].set(0.5 * a.r**2)
    return lax.cond(jnp.any(close), lambda out: _again(out, close, a, b), lambda out: out, out)


def _again(out: Array, close: Array, a: Polar, b: Polar) -> Array:
    """`out` with those groups of rows replaced that hold a row marked `close`."""
    group = min(GROUP, a.r.size)

    def replace(k: Array, out: Array) -> Array:
        start = jnp.minimum(k * group, a.r.size - group)  # the last group may overlap

        def part(x: Array) -> Array:
            return lax.dynamic_slice_in_dim(x, start, group)

        def done(out: Array) -> Array:
            rows = _value(*half_angles(part(a.u), b.u), part(a.r), b.r)
            return lax.dynamic_update_slice_in_dim(out, rows, start, 0)

        return lax.cond(jnp.any(part(close)), done, lambda out: out, out)

    return lax.fori_loop(0, -(-a.r.size // group), replace, out)
