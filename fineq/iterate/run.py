"""`iterate`: repeat one step of one member, for a budget or to a tolerance, and keep its trace."""

import time
from contextlib import nullcontext
from functools import partial
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from fineq.iterate.chunk import Metrics, Recorded, Rules, buffers, run_chunk
from fineq.iterate.chunk import num_slots as count_slots
from fineq.iterate.core import Carry, Diverged, Until, non_finite, start
from fineq.iterate.driver import Snapshot, fresh
from fineq.iterate.events import Progress, Store
from fineq.iterate.record import Plan, make_plan, record_points
from fineq.iterate.session import session
from fineq.iterate.steps import Step

StopReason = Literal["budget", "tolerance", "diverged"]


class Trace(NamedTuple):
    """What a run leaves.

    iterations: record points, ints [R]; the first is 0, the last the budget.
    metrics: {name: [R, ...]}. Beyond the last accepted step a converged run repeats its final
        value and a diverged one has NaN (integers and booleans repeat): see `valid`.
    valid: iterations <= num_steps, bool [R]: the record belongs to a step that was made.
    state, info: of the last accepted step.
    num_steps: number of accepted steps.
    stop_reason: "budget", "tolerance" or "diverged".
    diverged_at: the iteration whose state was refused; 0 when none was.
    compile_seconds, run_seconds: wall time in this process, without what it resumed from.
    """

    iterations: np.ndarray
    metrics: dict[str, np.ndarray]
    valid: np.ndarray
    state: Any
    info: Any
    num_steps: int
    stop_reason: StopReason
    diverged_at: int
    compile_seconds: float
    run_seconds: float


def _stop_reason(carry: Carry) -> StopReason:
    if carry.diverged:
        return "diverged"
    return "tolerance" if carry.converged else "budget"


def _trace(
    snapshot: Snapshot, iterations: np.ndarray, compile_seconds: float, run_seconds: float
) -> Trace:
    carry = snapshot.carry
    num_steps = int(carry.iteration)
    return Trace(
        iterations,
        snapshot.metrics,
        iterations <= num_steps,
        carry.state,
        carry.info,
        num_steps,
        _stop_reason(carry),
        num_steps + 1 if carry.diverged else 0,
        compile_seconds,
        run_seconds,
    )


def iterate(
    step: Step,
    state: Any,
    problem: Any,
    *,
    num_steps: int,
    key: jax.Array | None = None,
    metrics: Metrics | None = None,
    record: np.ndarray | list[int] | None = None,
    until: Until | None = None,
    tolerance: float = 0.0,
    diverged: Diverged = non_finite,
    store: Store | None = None,
    progress: Progress | None = None,
    name: str = "iterate",
    save_seconds: float = 30.0,
    chunk_seconds: float = 0.5,
    jit: bool = True,
) -> Trace:
    """Repeat a step `num_steps` times, or until it converges or diverges.

    step: `step(key, state, problem) -> (state, info)` or `step(state, problem)`; step t of
        the former uses `fold_in(key, t)`.
    metrics: `metrics(state, info, problem) -> {name: array}`, evaluated only at the iterations in
        `record` (default geometric; 0 and num_steps are always recorded). At iteration 0 no step
        has been made and info is NaN.
    until: stop when `until(info) <= tolerance`.
    diverged: `diverged(state, info) -> bool`: refuse the new state and stop (default: non-finite).
    store: keeps the run every `save_seconds`; a second call with the same store and name resumes
        and ends with the same arrays, bit for bit on the same machine.
    chunk_seconds: how long the device works between progress, checkpoints and Ctrl-C; results do
        not depend on it.
    jit: False runs step by step in Python, for debugging.

    Raises `ValueError` for a step that does not keep its state's shapes, `InputError` for a bad
    budget or record, `Interrupted` (`Terminated`) after SIGINT (SIGTERM), with the run kept.
    """
    iterations = record_points(num_steps, record)
    rules = Rules(step, metrics, until, diverged)
    with (
        nullcontext() if jit else jax.disable_jit(),
        session(name, 1, store, progress, save_seconds, chunk_seconds) as stage,
    ):
        stage.report("compiling", num_steps)
        # Copies: the chunks overwrite what they are given, and the caller's arrays are not ours.
        carry = jax.tree.map(partial(jnp.array, copy=True), start(step, state, problem, key))
        slots = count_slots(rules, carry, problem, len(iterations))
        recorded = buffers(rules, carry, problem, slots)

        def call(carry: Carry, recorded: Recorded, plan: Plan) -> tuple[Carry, Recorded]:
            return run_chunk(rules, None, carry, recorded, problem, key, tolerance, plan)

        began = time.perf_counter()
        # A plan of nothing compiles, or finds the program that an earlier call has compiled.
        nothing = make_plan(0, [], 0, slots)
        if jit:
            carry, recorded = jax.block_until_ready(call(carry, recorded, nothing))
        compile_seconds = time.perf_counter() - began if jit else 0.0
        stage.obey()
        began = time.perf_counter()
        like = fresh(carry, recorded, len(iterations))
        snapshot = stage.execute(name, lambda: (call, carry, recorded), like, iterations, slots)
    return _trace(snapshot, iterations, compile_seconds, time.perf_counter() - began)
