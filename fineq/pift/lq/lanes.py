"""Many policy iterations on many small linear-quadratic problems: the fast form.

`policy_iterations` equals `policy_iteration` repeated, to rounding. Under `vmap` plain ones run
over all problems side by side, the batch as last axis of every array, so that vector registers are
full whatever the dimension is.
"""

from collections.abc import Callable
from functools import cache, partial
from typing import Any

import chex
import jax
import jax.numpy as jnp
from jax import Array, custom_batching, lax

from fineq.fast.blocks import in_blocks
from fineq.fast.lanes import LARGEST_LANES, Lanes
from fineq.pift.lq.iterations import policy_iteration
from fineq.pift.lq.problem import LinearQuadratic, Policy
from fineq.pift.rewards import Quadratic
from fineq.pift.rule import Rule

# XLA hands sums of this many terms to a library, which takes many times as long for small matrices.
LARGEST_SUM = 4096
LANES = 8  # problems side by side come in multiples of it: they fill a vector register


@partial(jax.jit, static_argnames=("num", "rule"))
def policy_iterations(
    lq: LinearQuadratic, policy: Policy, num: int, rule: Rule = "plain"
) -> tuple[Policy, Quadratic]:
    """`num` of them; under `vmap`, plain ones of small problems run over all of them in lanes.

    Returns:
        The policy after them, and the value of the last but one.
    """
    if rule == "plain" and lq.b.shape[-1] <= LARGEST_LANES:
        return _plain(num)(lq, policy)
    return _repeated(partial(policy_iteration, rule=rule), num, lq, policy)


def _repeated(one: Callable, num: int, lq: LinearQuadratic, policy: Policy) -> Any:
    policy, value = one(lq, policy)
    if num == 1:
        return policy, value
    return lax.fori_loop(1, num, lambda _, now: one(lq, now[0]), (policy, value))


@cache
def _plain(num: int) -> Callable[[LinearQuadratic, Policy], tuple[Policy, Quadratic]]:
    """`num` plain iterations of one problem, or under `vmap` of many."""

    @custom_batching.custom_vmap
    def run(lq: LinearQuadratic, policy: Policy) -> tuple[Policy, Quadratic]:
        return _repeated(policy_iteration, num, lq, policy)

    @run.def_vmap
    def run_many(size: int, batched: list[Any], *given: Any) -> tuple[Any, Any]:
        def last(x: Array, is_batched: bool) -> Array:
            whole = x if is_batched else jnp.broadcast_to(x[None], (size, *x.shape))
            return jnp.moveaxis(whole, 0, -1)

        lanes = jax.tree.map(last, given, tuple(batched))
        whole = partial(_in_lanes, num)
        most = max(1, (LARGEST_SUM - 1) // (given[0].b.shape[-1] + 1) ** 3)
        multiple = LANES if most > LANES else 1
        blocks = partial(in_blocks, whole, most - most % multiple, axis=-1, multiple=multiple)
        out = lax.platform_dependent(*lanes, cpu=blocks, default=whole)
        out = jax.tree.map(lambda x: jnp.moveaxis(x, -1, 0), out)
        return out, jax.tree.map(lambda _: True, out)

    @jax.custom_jvp
    def differentiable(lq: LinearQuadratic, policy: Policy) -> tuple[Policy, Quadratic]:
        return run(lq, policy)

    @differentiable.defjvp
    def derivative(primals: Any, tangents: Any) -> Any:
        # Not through `run`: JAX batches arguments whose tangents are not batched twice there.
        return jax.jvp(partial(_repeated, policy_iteration, num), primals, tangents)

    return differentiable


def _in_lanes(num: int, lq: LinearQuadratic, policy: Policy) -> tuple[Policy, Quadratic]:
    """`num` plain iterations with the batch as last axis of every array.

    In coordinates (y, 1) a value is ½ (y, 1)'H(y, 1), H = [[P, p], [p', 2c]], and a mean [F f].
    Let D be what [F f] adds to [A b], and G = βS^{-1}D. The first rows of X = H [F f; 0 1] are the
    G of the improved policy, and H_t = [F f; 0 1]'X - D'G: three products a step, no S^{-1}.
    """
    (T, d, J), t = lq.b.shape, Lanes.transpose
    chex.assert_shape([lq.A, policy.F, lq.betas], [(T, d, d, J), (T, d, d, J), (T, J)])

    def prepare(now: tuple) -> tuple[Array, ...]:
        A, b, F, f, L, L_inverse, beta, running = now
        start = jnp.concatenate([A, b[:, None]], axis=1)
        D = jnp.concatenate([F, f[:, None]], axis=1) - start
        S, scale = _inner(t(L), t(L)), beta[None, None]
        G = scale * _inner(L_inverse, _inner(t(L_inverse), D))
        return start, S, S / scale, _homogeneous(running), D, G

    given = (lq.A, lq.b, *policy, lq.L, lq.L_inverse, lq.betas, lq.running)
    start, S, share, running, D, G = lax.map(prepare, given)
    terminal = _homogeneous(lq.terminal)
    bottom = jnp.zeros_like(start[0, :1]).at[:, -1].set(1)

    def step(H: Array, now: tuple) -> tuple[Array, tuple[Array, Array, Array]]:
        start, share, running, D, G = now
        F = jnp.concatenate([start + D, bottom])
        X = _inner(H, F)  # H and S are symmetric
        H = _inner(F, X) - _inner(D, G) + running
        return H, (_inner(share, X[:d]), X[:d], H)

    def one(_: int, now: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        return lax.scan(step, terminal, (start, share, running, *now[:2]), reverse=True)[1]

    D, _, H = lax.fori_loop(0, num, one, (D, G, jnp.zeros_like(running)))
    H = jnp.concatenate([H, terminal[None]])
    H = (H + jnp.swapaxes(H, 1, 2)) / 2
    # Noise adds tr(SP)/2 to the constants, on which nothing else depends.
    added = lax.map(lambda now: 0.5 * jnp.sum(now[0] * now[1], axis=(0, 1)), (S, H[1:, :d, :d]))
    total = jnp.concatenate([lax.cumsum(added, reverse=True), jnp.zeros_like(added[:1])])
    mean = start + D
    value = Quadratic(H[:, :d, :d], H[:, :d, d], H[:, d, d] / 2 + total)
    return Policy(mean[:, :, :d], mean[:, :, d]), value


def _homogeneous(q: Any) -> Array:
    """[[P, p], [p', 2c]], lanes last."""
    top = jnp.concatenate([q.P, q.p[:, None]], axis=1)
    return jnp.concatenate([top, jnp.concatenate([q.p, 2 * q.c[None]])[None]])


def _inner(x: Array, y: Array) -> Array:
    """X'y in each lane."""
    # As one sum: XLA writes what is broadcast to memory once, where terms written out one by one
    # are computed anew for each of their uses.
    return jnp.sum(x[:, :, None] * y[:, None], axis=0)
