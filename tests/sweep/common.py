"""A random walk towards zero, swept over its speed and seeds."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from fineq.sweep import Axis, Program, SweepResult


class State(NamedTuple):
    x: Any


class Info(NamedTuple):
    step: Any


class Walk(NamedTuple):
    """x <- q x + scale noise, with a table that all members share."""

    q: Any
    scale: Any
    table: Any


def walk(key: jax.Array, state: State, problem: Walk) -> tuple[State, Info]:
    noise = jax.random.normal(key, jnp.shape(state.x))
    x = problem.q * state.x + problem.scale * noise + problem.table[0]
    return State(x), Info(jnp.max(jnp.abs(x - state.x)))


def init(key: jax.Array, member: dict[str, jax.Array]) -> tuple[State, Walk]:
    x = jax.random.normal(key, (3,))
    return State(x), Walk(member["q"], member.get("scale", 0.1), jnp.zeros(4))


def measured(state: State, info: Info, problem: Walk) -> dict[str, jax.Array]:
    del problem
    return {"x": state.x, "step": info.step}


def program(static: dict[str, Any]) -> Program:
    del static
    return Program(init, walk, 30, measured)


Q = Axis("q", [0.5, 0.75, 0.25])


SEEDS = Axis("seed", [3, 0, 11, 4])


ARRAYS = ("metrics", "valid", "converged", "diverged", "diverged_at", "num_steps", "finals")


def bits(result: SweepResult) -> list[bytes]:
    return [
        np.asarray(x).tobytes() for name in ARRAYS for x in jax.tree.leaves(getattr(result, name))
    ]
