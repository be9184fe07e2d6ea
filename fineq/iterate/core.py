"""The loop itself: a pure function that repeats a step, usable inside `jit`, `vmap` and steps.

A member runs until its stop iteration, until it has converged, or until it diverges. A state that
is refused (non-finite, or declared so by the caller) is never stored: the member keeps its last
good state and stays there, and under `vmap` the other members do not notice.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from fineq.iterate.steps import Step, bind, check_step

Until = Callable[[Any], jax.Array]
Diverged = Callable[[Any, Any], jax.Array]


class Carry(NamedTuple):
    """A member in the middle of its run.

    state: the last accepted state x_t.
    info: what the last accepted step reported; before the first step NaN (integers and booleans 0).
    iteration: t, the number of accepted steps, int32 [].
    converged: the tolerance was reached at step t, bool [].
    diverged: the state of step t + 1 was refused, bool [].
    """

    state: Any
    info: Any
    iteration: jax.Array
    converged: jax.Array
    diverged: jax.Array

    @property
    def done(self) -> jax.Array:
        """Whether the member has stopped for good."""
        return self.converged | self.diverged


def is_inexact(leaf: Any) -> bool:
    """Whether the leaf's dtype knows NaN."""
    return jnp.issubdtype(leaf.dtype, jnp.inexact)


def non_finite(state: Any, info: Any = None) -> jax.Array:
    """Whether any floating-point leaf of the state holds a NaN or an infinity, bool []."""
    del info
    leaves = [x for x in jax.tree.leaves(state) if is_inexact(x)]
    finite = jnp.bool_(True)
    for leaf in leaves:
        finite &= jnp.all(jnp.isfinite(leaf))
    return ~finite


def blank(leaf: Any) -> jax.Array:
    """An array of the leaf's shape and dtype full of NaN, or of 0 where NaN does not exist."""
    return jnp.full(leaf.shape, jnp.nan if is_inexact(leaf) else 0, leaf.dtype)


def choose(condition: jax.Array, new: Any, old: Any) -> Any:
    """The pytree `new` where the scalar condition holds, else `old`."""
    return jax.tree.map(lambda a, b: jnp.where(condition, a, b), new, old)


def start(step: Step, state: Any, problem: Any, key: jax.Array | None = None) -> Carry:
    """A run before its first step. Raises `ValueError` as `check_step` does."""
    # A weakly typed leaf (a Python number) would change its type in the loop.
    state = jax.tree.map(lambda x: lax.convert_element_type(x, jnp.asarray(x).dtype), state)
    info = jax.tree.map(blank, check_step(step, state, problem, key))
    return Carry(state, info, jnp.int32(0), jnp.bool_(False), jnp.bool_(False))


def advance(
    step: Step,
    carry: Carry,
    problem: Any,
    key: jax.Array | None,
    stop: jax.Array | int,
    *,
    until: Until | None = None,
    tolerance: jax.Array | float = 0.0,
    diverged: Diverged = non_finite,
    begin: jax.Array | int | None = None,
) -> Carry:
    """Repeat the step to iteration `stop`, or until the member converges or diverges.

    `stop` may be traced, so that every length is one compilation. `until(info) <= tolerance` ends
    the member as converged; `diverged(state, info)` refuses a new state. `begin` is the iteration
    at which running members stand (default `carry.iteration`): a caller under `vmap` who knows it
    as one number for all members gives it, and a fixed budget then loops on an unbatched condition.
    """
    bound = bind(step, problem, key)
    first = carry.iteration if begin is None else jnp.asarray(begin, jnp.int32)

    def running(loop: tuple[jax.Array, Carry]) -> jax.Array:
        t, carry = loop
        return t < stop if until is None else (t < stop) & ~carry.done

    def body(loop: tuple[jax.Array, Carry]) -> tuple[jax.Array, Carry]:
        t, carry = loop
        state, info = bound(t, carry.state)
        refused = diverged(state, info)
        accepted = ~(refused | carry.done)
        reached = jnp.bool_(False) if until is None else until(info) <= tolerance
        state, info = choose(accepted, (state, info), (carry.state, carry.info))
        return t + 1, Carry(
            state,
            info,
            carry.iteration + accepted.astype(jnp.int32),
            carry.converged | (accepted & reached),
            carry.diverged | (refused & ~carry.done),
        )

    return lax.while_loop(running, body, (first, carry))[1]
