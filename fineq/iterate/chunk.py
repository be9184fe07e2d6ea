"""One chunk as one compiled program: the only place where a run is compiled.

Its loops have dynamic lengths, so that where chunks begin and end changes neither the program nor
one bit of its results.
"""

import time
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import NamedSharding

from fineq.iterate.core import Carry, Diverged, Until, advance, choose, is_inexact, non_finite
from fineq.iterate.record import Plan, make_plan
from fineq.iterate.steps import Step

Metrics = Callable[[Any, Any, Any], dict[str, jax.Array]]
Recorded = dict[str, jax.Array]

SLOTS = 1024
BUFFER_BYTES = 16 * 2**20


class Rules(NamedTuple):
    """The static part of a run: functions, compared by identity unless they define equality."""

    step: Step
    metrics: Metrics | None = None
    until: Until | None = None
    diverged: Diverged = non_finite


class Layout(NamedTuple):
    """How a block of members lies in memory; a single member has none.

    mapped: for each leaf of the problem 0 if it differs between members (leading axis), else None.
    sharding: of every leading axis of members, or None on one device.
    """

    mapped: tuple[int | None, ...]
    sharding: NamedSharding | None = None


def measure(rules: Rules, carry: Carry, problem: Any) -> Recorded:
    """The metrics of the last good state; NaN once the member has diverged."""
    if rules.metrics is None:
        return {}
    values = {k: jnp.asarray(v) for k, v in rules.metrics(carry.state, carry.info, problem).items()}
    missing = {k: jnp.full_like(v, jnp.nan) if is_inexact(v) else v for k, v in values.items()}
    return choose(carry.diverged, missing, values)


def buffers(rules: Rules, carry: Carry, problem: Any, slots: int) -> Recorded:
    """Room for the metrics of one chunk of one member: {name: [slots, ...]}."""
    shapes = jax.eval_shape(partial(measure, rules), carry, problem)
    return {k: jnp.asarray(np.zeros((slots, *v.shape), v.dtype)) for k, v in shapes.items()}


def num_slots(rules: Rules, carry: Carry, problem: Any, num_records: int, members: int = 1) -> int:
    """Slots of a chunk: as many as there are records, within bounds on number and memory."""
    shapes = jax.eval_shape(partial(measure, rules), carry, problem)
    size = members * sum(v.size * v.dtype.itemsize for v in shapes.values())
    return max(1, min(num_records, SLOTS, BUFFER_BYTES // max(size, 1)))


def _chunk(
    rules: Rules,
    carry: Carry,
    recorded: Recorded,
    problem: Any,
    key: jax.Array | None,
    tolerance: jax.Array | float,
    plan: Plan,
) -> tuple[Carry, Recorded]:
    blanks = jax.tree.map(lambda buffer: jnp.zeros(buffer.shape[1:], buffer.dtype), recorded)

    def slot(loop: tuple[jax.Array, jax.Array, Carry, Recorded]) -> Any:
        i, begin, carry, recorded = loop
        stop = plan.stops[i]
        carry = advance(
            rules.step,
            carry,
            problem,
            key,
            stop,
            until=rules.until,
            tolerance=tolerance,
            diverged=rules.diverged,
            begin=begin,
        )
        # The condition is the same number for all members, so that under vmap it stays a branch
        # and costly metrics are computed only where they are recorded.
        values = lax.cond(
            i < plan.num_records, lambda: measure(rules, carry, problem), lambda: blanks
        )
        recorded = jax.tree.map(lambda buffer, x: buffer.at[i].set(x), recorded, values)
        return i + 1, stop, carry, recorded

    loop = (jnp.int32(0), jnp.asarray(plan.begin), carry, recorded)
    _, _, carry, recorded = lax.while_loop(lambda loop: loop[0] < plan.num_slots, slot, loop)
    return carry, recorded


@partial(jax.jit, static_argnames=("rules", "layout"), donate_argnames=("carry", "recorded"))
def run_chunk(
    rules: Rules,
    layout: Layout | None,
    carry: Carry,
    recorded: Recorded,
    problem: Any,
    key: jax.Array | None,
    tolerance: jax.Array | float,
    plan: Plan,
) -> tuple[Carry, Recorded]:
    """Run a plan for one member (layout None), or for a block with the members as leading axis."""
    if layout is None:
        return _chunk(rules, carry, recorded, problem, key, tolerance, plan)
    leaves, tree = jax.tree.flatten(problem)

    def member(carry: Carry, recorded: Recorded, leaves: list[Any], key: jax.Array | None) -> Any:
        return _chunk(rules, carry, recorded, tree.unflatten(leaves), key, tolerance, plan)

    block = jax.vmap(member, in_axes=(0, 0, list(layout.mapped), 0))
    result = block(carry, recorded, leaves, key)
    if layout.sharding is None:
        return result
    return lax.with_sharding_constraint(result, layout.sharding)


class Compiled(NamedTuple):
    """A program compiled ahead: how long that took and the device memory one call needs."""

    call: Any
    seconds: float
    peak_bytes: int


def compile_ahead(function: Any, static: tuple[Any, ...], args: tuple[Any, ...]) -> Compiled:
    """Compile a jitted function for its leading static arguments and these (abstract) arrays.

    Where jit is switched off, the function is returned as it is.
    """
    if jax.config.jax_disable_jit:  # pyright: ignore[reportAttributeAccessIssue]
        return Compiled(partial(function, *static), 0.0, 0)
    begin = time.perf_counter()
    compiled = function.lower(*static, *args).compile()
    seconds = time.perf_counter() - begin
    return Compiled(compiled, seconds, _peak_bytes(compiled.memory_analysis()))


def _peak_bytes(stats: Any) -> int:
    if stats is None:
        return 0
    needed = stats.argument_size_in_bytes + stats.output_size_in_bytes + stats.temp_size_in_bytes
    return int(needed - stats.alias_size_in_bytes)


def compile_chunk(
    rules: Rules,
    layout: Layout | None,
    carry: Carry,
    recorded: Recorded,
    problem: Any,
    key: jax.Array | None,
    tolerance: float,
    slots: int,
) -> Compiled:
    """Compile `run_chunk` for these arrays; the call takes them again, and a plan as last."""
    plan = make_plan(0, [], 0, slots)
    return compile_ahead(
        run_chunk, (rules, layout), (carry, recorded, problem, key, tolerance, plan)
    )
