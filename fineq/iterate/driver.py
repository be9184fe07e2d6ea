"""The host's loop: chunk after chunk, with records, checkpoints, progress and Ctrl-C in between."""

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

from fineq.iterate.chunk import Recorded
from fineq.iterate.core import Carry
from fineq.iterate.record import Pace, Plan, make_plan, next_plan
from fineq.keys import is_key

Call = Callable[[Carry, Recorded, Plan], tuple[Carry, Recorded]]


class Snapshot(NamedTuple):
    """All that a run needs to go on: what a checkpoint holds.

    carry: on the device, or as read back from a store; in a block with a leading axis of members.
    position: the iteration at which running members stand, int64 [].
    num_recorded: how many record points have passed, int64 []; R when the run is over.
    metrics: {name: [R, ...]}, in a block {name: [members, R, ...]}; host arrays, filled in place.
    """

    carry: Carry
    position: np.ndarray
    num_recorded: np.ndarray
    metrics: dict[str, np.ndarray]


def fresh(carry: Carry, recorded: Recorded, num_records: int) -> Snapshot:
    """A run before its first chunk; arrays or their shapes will do."""
    axis = np.ndim(carry.iteration)
    metrics = {
        name: np.zeros((*x.shape[:axis], num_records, *x.shape[axis + 1 :]), x.dtype)
        for name, x in recorded.items()
    }
    return Snapshot(carry, np.asarray(0), np.asarray(0), metrics)


def to_host(tree: Any) -> Any:
    """The arrays in host memory; random keys, which have no host form, stay where they are."""
    return jax.tree.map(lambda x: x if is_key(x) else np.array(x), tree)


def halted(carry: Carry) -> bool:
    """Whether every member has converged or diverged; waits for the device."""
    return bool(np.all(np.asarray(carry.converged) | np.asarray(carry.diverged)))


def _absorb(
    snapshot: Snapshot, carry: Carry, recorded: Recorded, plan: Plan, repeat: int
) -> Snapshot:
    """Copy the chunk's records to the host; the last one stands for `repeat` record points."""
    axis = np.ndim(carry.iteration)
    count, first = int(plan.num_records), int(snapshot.num_recorded)
    last = first + count - 1 + repeat if count else first
    members = (slice(None),) * axis
    for name, buffer in recorded.items():
        rows = np.asarray(buffer)[(*members, slice(0, count))]
        snapshot.metrics[name][(*members, slice(first, last))] = rows
    return Snapshot(carry, np.asarray(plan.end), np.asarray(last), snapshot.metrics)


def drive(
    call: Call,
    snapshot: Snapshot,
    recorded: Recorded,
    iterations: np.ndarray,
    slots: int,
    chunk_seconds: float,
    after: Callable[[Snapshot], None],
) -> Snapshot:
    """Run chunks until the last record point; `after(snapshot)` is called behind each.

    `after` must not keep the snapshot's carry, which the next chunk overwrites. Once all members
    have stopped, one record of where they stand fills the remaining record points.
    """
    pace = Pace(chunk_seconds)
    while left := len(iterations) - int(snapshot.num_recorded):
        position = int(snapshot.position)
        over = halted(snapshot.carry)
        plan = (
            make_plan(position, [position], 1, slots)
            if over
            else next_plan(iterations, int(snapshot.num_recorded), position, pace.steps, slots)
        )
        begin = time.perf_counter()
        carry, recorded = jax.block_until_ready(call(snapshot.carry, recorded, plan))
        pace.update(plan.end - position, time.perf_counter() - begin)
        snapshot = _absorb(snapshot, carry, recorded, plan, repeat=left if over else 1)
        after(snapshot)
    return snapshot
