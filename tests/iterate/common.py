"""Kernels whose iterates are known: a contraction, and a random walk."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np


class State(NamedTuple):
    x: Any


class Info(NamedTuple):
    step: Any


def contraction(state: State, problem: Any) -> tuple[State, Info]:
    """x <- q x, so that x_t = q^t x_0; with q a power of two without any rounding."""
    x = problem * state.x
    return State(x), Info(jnp.max(jnp.abs(x - state.x)))


def walk(key: jax.Array, state: State, problem: Any) -> tuple[State, Info]:
    noise = jax.random.normal(key, jnp.shape(state.x))
    return State(problem * state.x + noise), Info(jnp.max(jnp.abs(noise)))


def measured(state: State, info: Info, problem: Any) -> dict[str, jax.Array]:
    return {"x": state.x, "step": info.step, "twice": jnp.full(2, 2 * problem)}


def step_length(info: Info) -> jax.Array:
    return info.step


HALF = jnp.asarray(0.5)


ONE = State(jnp.asarray(1.0))


KEY = jax.random.key(5)


def same(a: Any, b: Any) -> bool:
    """Whether two results agree bit for bit, times aside."""
    first, second = (jax.tree.leaves(x._replace(compile_seconds=0, run_seconds=0)) for x in (a, b))
    return [np.asarray(x).tobytes() for x in first] == [np.asarray(x).tobytes() for x in second]
