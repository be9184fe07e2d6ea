"""`solve`: any problem by any method; `unroll`: the same as one pure function."""

import enum
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from fineq.errors import InputError
from fineq.iterate.core import blank, choose
from fineq.iterate.events import Progress, Store
from fineq.iterate.methods import Method
from fineq.iterate.run import Trace, iterate
from fineq.iterate.stepping import (
    Given,
    Seen,
    given,
    keyless_step,
    measured,
    not_done,
    refused,
    step_and_judge,
    stochastic_step,
)
from fineq.keys import one_key
from fineq.rates import Rate, linear_rate


class Status(enum.IntEnum):
    """How a run ended."""

    BUDGET = 0
    """All steps were made."""
    CONVERGED = 1
    """The method said that it was done."""
    DIVERGED = 2
    """A state was refused; the value is the last good one."""


STATUSES = {"budget": Status.BUDGET, "tolerance": Status.CONVERGED, "diverged": Status.DIVERGED}


class Stats(NamedTuple):
    """What a run cost.

    Attributes:
        num_steps: accepted steps.
        diverged_at: the step that was refused; 0 where none was.
        compile_seconds: wall time; of a program that was there, next to nothing.
        run_seconds: wall time, without what the run resumed from.
    """

    num_steps: int
    diverged_at: int
    compile_seconds: float
    run_seconds: float


@dataclass(frozen=True, repr=False)
class Solution:
    """What `solve` returns; `repr` says in a few lines what it holds.

    Attributes:
        value: what the method solves for, at the last accepted state.
        status: how the run ended.
        trace: `iterations` `[R]`, `metrics` by name `[R, ...]`, `valid` `[R]`, the last state and
            info: see `fineq.iterate.Trace`.
        stats: what it cost.
    """

    value: Any
    status: Status
    trace: Trace
    stats: Stats

    def __repr__(self) -> str:
        leaves = [jnp.asarray(leaf) for leaf in jax.tree.leaves(self.value)]
        shapes = [f"{leaf.dtype}{list(leaf.shape)}" for leaf in leaves]
        value = shapes[0] if len(shapes) == 1 else f"{len(shapes)} arrays"
        return "\n".join(
            (
                f"<solution, {self.status.name} at step {self.stats.num_steps}",
                f" value     {value}",
                f" measured  {', '.join(sorted(self.trace.metrics)) or 'nothing'}",
                f" at        {len(self.trace.iterations)} recorded iterations>",
            )
        )

    def __getitem__(self, quantity: str) -> np.ndarray:
        """What was measured under a name, `[R, ...]`; `KeyError` where nothing was."""
        if quantity not in self.trace.metrics:
            raise KeyError(_not_measured(repr(quantity), sorted(self.trace.metrics)))
        return self.trace.metrics[quantity]

    def rate(self, quantity: str, **options: Any) -> Rate:
        """The linear rate of a measured scalar, from burn-in to floor.

        Args:
            quantity: name of what was measured.
            options: of `fineq.rates.linear_rate`.

        Raises:
            InputError: for a quantity that was not measured, or is no scalar.
        """
        measured = self.trace.metrics
        if quantity not in measured or measured[quantity].ndim != 1:
            scalars = sorted(name for name, values in measured.items() if values.ndim == 1)
            raise InputError(_not_measured(f"scalar {quantity!r}", scalars))
        kept = self.trace.valid
        steps, errors = self.trace.iterations[kept], measured[quantity][None, kept]
        return linear_rate(steps, errors, quantity=quantity, **options)


def _not_measured(quantity: str, known: list[str]) -> str:
    there = ", ".join(known) or "none"
    return f"no {quantity} was measured; there are: {there}; distances are those from a reference="


@jax.jit
def _begin(key: Array | None, task: Given, start: Any) -> Any:
    return task.method.init(key, task.problem, start)


def _keys(method: Method, key: Array | None) -> tuple[Array | None, Array | None]:
    if not isinstance(method, Method):
        got = method.__name__ if isinstance(method, type) else repr(method)
        raise InputError(f"method must be a Method, such as PolicyGradient(...), got {got}")
    if key is None:
        if method.draws:
            raise InputError(
                f"{type(method).__name__} draws random numbers: give key=jax.random.key(...)"
            )
        return None, None
    key_init, key_steps = jax.random.split(one_key(key))
    return key_init, key_steps


def solve(
    problem: Any,
    method: Method,
    *,
    start: Any = None,
    key: Array | None = None,
    num_steps: int,
    record: np.ndarray | list[int] | None = None,
    reference: Any = None,
    store: Store | None = None,
    progress: Progress | None = None,
    name: str = "solve",
    jit: bool = True,
) -> Solution:
    """Solve a problem by a method, step by step, and keep what was measured on the way.

    A second call with other numbers, of the problem, the method, the start or the reference,
    compiles nothing.

    Args:
        problem: a pytree of arrays, of a type that the method works on.
        method: a `Method`.
        start: where to start, in the form of the method's value; None for its usual place.
        key: of what the method draws. Step t uses `fold_in(k, t)` with a key k of its own.
        num_steps: the budget; a method that says when it is done may need less.
        record: iterations at which `method.measure` is evaluated; default geometric. 0 and
            `num_steps` are always among them.
        reference: what is known of the solution, where distances from it are to be measured.
        store: keeps the run as it goes on; a second call with the same store and name resumes, and
            ends with the same arrays, bit for bit on the same machine.
        progress: receives events.
        name: of the run in the store.
        jit: False runs step by step in Python, for debugging.

    Returns:
        Value, status, trace and cost. A run that diverges says so in its status and raises nothing.

    Raises:
        InputError: for a method that draws and has no key, a reference of another kind than the
            method reads, and a bad budget or record.
        ValueError: for a step that changes the shapes of its state.
    """
    key_init, key_steps = _keys(method, key)
    task = given(method, problem, reference)
    state = _begin(key_init, task, start) if jit else method.init(key_init, problem, start)
    trace = iterate(
        keyless_step if key_steps is None else stochastic_step,
        state,
        task,
        num_steps=num_steps,
        key=key_steps,
        metrics=measured,
        record=record,
        until=not_done if method.stops else None,
        tolerance=0.5,
        diverged=refused,
        store=store,
        progress=progress,
        name=name,
        jit=jit,
    )
    stats = Stats(trace.num_steps, trace.diverged_at, trace.compile_seconds, trace.run_seconds)
    trace = trace._replace(info=trace.info.info)
    value = method.value(trace.state, problem)
    return Solution(value, STATUSES[trace.stop_reason], trace, stats)


def unroll(
    problem: Any,
    method: Method,
    *,
    start: Any = None,
    key: Array | None = None,
    num_steps: int,
    reference: Any = None,
) -> tuple[Any, dict[str, Array]]:
    """`solve` as one pure function: `jit`, `vmap` and `grad` go through it.

    Args:
        problem: as for `solve`.
        method: likewise.
        start: likewise.
        key: likewise.
        num_steps: number of steps, static.
        reference: likewise.

    Returns:
        The value after the last accepted step, and what was measured of every state, the first
        among them, `[num_steps + 1, ...]` each. A member that has diverged or is done stays where
        it is.

    Raises:
        InputError: for a method that draws and has no key, or a reference of another kind.
    """
    key_init, key_steps = _keys(method, key)
    task = given(method, problem, reference)

    def step(t: Array, state: Any) -> tuple[Any, Seen]:
        return step_and_judge(
            None if key_steps is None else jax.random.fold_in(key_steps, t), state, task
        )

    def body(carry: tuple[Any, Seen], t: Array) -> tuple[tuple[Any, Seen], dict[str, Array]]:
        state, seen = carry
        following, found = step(t, state)
        over = seen.done | seen.refused
        accepted = ~(over | found.refused)
        info = choose(accepted, found.info, seen.info)
        # What has ended stays so: the verdicts of steps that are not taken do not count.
        done = seen.done | (accepted & found.done)
        now = Seen(info, done, seen.refused | (~over & found.refused))
        state = choose(accepted, following, state)
        return (state, now), measured(state, now, task)

    state = method.init(key_init, problem, start)
    shapes = jax.eval_shape(partial(step, jnp.int32(0)), state)[1]
    empty = jax.tree.map(blank, shapes.info)
    first = Seen(empty, jnp.bool_(False), jnp.bool_(False))
    (last, _), rest = lax.scan(body, (state, first), jnp.arange(num_steps))
    before = measured(state, first, task)
    whole = jax.tree.map(lambda a, b: jnp.concatenate([jnp.asarray(a)[None], b]), before, rest)
    return method.value(last, problem), whole
