"""What the driver's chunks, records and checks cost over one single `lax.scan`."""

import time
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from benchmarks.timing import Row
from fineq.iterate import every, iterate, non_finite
from fineq.sweep import Axis, Program, sweep

TITLE = "The driver against one single scan, 10,000 steps"
STEPS = 10_000
GUARDED = "one scan of the step with the same check for divergence"


class Info(NamedTuple):
    """gradient_norm: of the quadratic before the step."""

    gradient_norm: jax.Array


def descend(state: jax.Array, problem: jax.Array) -> tuple[jax.Array, Info]:
    """A gradient step on x'Hx/2 - sum(x)."""
    gradient = problem @ state - 1.0
    return state - 0.5 * gradient, Info(jnp.linalg.norm(gradient))


def norm(state: jax.Array, info: Info, problem: jax.Array) -> dict[str, jax.Array]:
    """The gradient norm, which the step has at hand."""
    del state, problem
    return {"gradient_norm": info.gradient_norm}


def quadratic(n: int) -> jax.Array:
    """A positive definite H of largest eigenvalue 1, [n, n]."""
    root = np.random.default_rng(0).normal(size=(n, n))
    return jnp.asarray(root @ root.T / np.linalg.norm(root, 2) ** 2)


def guarded(state: jax.Array, problem: jax.Array) -> tuple[jax.Array, Info]:
    """The same step that refuses a non-finite state, as the driver does."""
    new, info = descend(state, problem)
    return jnp.where(non_finite(new), state, new), info


@partial(jax.jit, static_argnames=("step", "dense"))
def scan(step: Callable[..., Any], dense: bool, state: jax.Array, problem: jax.Array) -> Any:
    """All steps in one scan; dense keeps the gradient norm of every one."""

    def body(carry: tuple[jax.Array, Info], _: None) -> Any:
        carry = step(carry[0], problem)
        return carry, carry[1].gradient_norm if dense else None

    return lax.scan(body, (state, Info(jnp.zeros(()))), None, length=STEPS)


def _timed(run: Callable[[], Any]) -> Callable[[], float]:
    def seconds() -> float:
        begin = time.perf_counter()
        jax.block_until_ready(run())
        return time.perf_counter() - begin

    return seconds


def _least(runs: dict[str, Callable[[], float]], repeats: int) -> dict[str, float]:
    """Least microseconds a step of each; they take turns, the first round is to warm up."""
    rounds = [{name: run() for name, run in runs.items()} for _ in range(repeats + 1)][1:]
    return {name: min(r[name] for r in rounds) / STEPS * 1e6 for name in runs}


def _single(n: int, repeats: int) -> dict[str, float]:
    H, x = quadratic(n), jnp.zeros(n)

    def driven(record: Any) -> float:
        return iterate(
            descend, x, H, num_steps=STEPS, metrics=norm, record=record
        ).run_seconds  # fmt: skip

    runs = {
        "scan": _timed(lambda: scan(descend, False, x, H)),
        "guarded": _timed(lambda: scan(guarded, False, x, H)),
        "dense": _timed(lambda: scan(guarded, True, x, H)),
        "driver": lambda: driven(None),
        "driver dense": lambda: driven(every(STEPS)),
    }
    return _least(runs, repeats)


def _block(n: int, members: int, repeats: int) -> dict[str, float]:
    H = quadratic(n)

    def init(key: jax.Array, member: dict[str, jax.Array]) -> tuple[jax.Array, jax.Array]:
        del member
        return jax.random.normal(key, (n,)), H

    def program(static: dict[str, Any]) -> Program:
        del static
        return Program(init, descend, STEPS, norm)

    states = jax.random.normal(jax.random.key(0), (members, n))
    together = jax.jit(jax.vmap(partial(scan, guarded, False), in_axes=(0, None)))
    axes = [Axis("seed", range(members))]
    runs = {
        "scan": _timed(lambda: together(states, H)),
        "driver": lambda: sweep(program, axes).run_seconds,
    }
    return _least(runs, repeats)


def run(quick: bool) -> list[Row]:
    """The rows of the table; quick takes half a minute."""
    repeats = 5 if quick else 15
    rows = []
    for n in (512, 64):
        us = _single(n, repeats)
        step = f"x - (Hx - 1)/2, n={n}"
        rows += [
            _row(
                f"{step}, geometric records", us["driver"], us["scan"], "one scan of the bare step"
            ),
            _row(f"{step}, geometric records", us["driver"], us["guarded"], GUARDED),
            _row(f"{step}, every step recorded", us["driver dense"], us["dense"], GUARDED),
        ]
    us = _block(64, 64, repeats)
    return [
        *rows,
        _row("64 members, n=64, as a sweep", us["driver"], us["scan"], f"vmap of {GUARDED}"),
    ]


def _row(name: str, measured: float, other: float, against: str) -> Row:
    return Row(name, measured, "us a step", measured / other, against)
