"""What surrounds the loop of one run or sweep: its store, its display, and Ctrl-C."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any, Literal

import jax
import numpy as np

from fineq.errors import InputError, ResourceError
from fineq.iterate.chunk import Recorded
from fineq.iterate.core import Carry
from fineq.iterate.driver import Call, Snapshot, drive, fresh, to_host
from fineq.iterate.events import Event, Progress, Store
from fineq.iterate.interrupt import Interruption, interruptible

WORTH_KEEPING = 2.0


class Keeper:
    """Saves snapshots to a store when enough time has passed, finished ones before running ones."""

    def __init__(self, store: Store | None, seconds: float) -> None:
        if not (store is None or hasattr(store, "load")):
            raise InputError(
                "store must be a fineq.iterate.Store, such as "
                f"fineq.runs.checkpoint.Checkpoints(folder), got {store!r}"
            )
        self._store = store
        self._seconds = seconds
        self._last = time.monotonic()
        self._pending: dict[str, Any] = {}

    def kept(self, name: str, like: Any) -> Any | None:
        """What was kept under the name, on the host."""
        return None if self._store is None else self._store.load(name, like)

    def snapshot(self, name: str, like: Snapshot) -> Snapshot | None:
        """The snapshot kept under the name, its carry placed on the devices as that of `like`."""
        kept = self.kept(name, like)
        if kept is None:
            return None
        carry = jax.tree.map(
            lambda new, old: jax.device_put(new, old.sharding), kept.carry, like.carry
        )
        return kept._replace(carry=carry)

    def finished(self, name: str, tree: Any) -> None:
        """Take what will not change any more."""
        if self._store is not None:
            # On the device it would take the room of the next block.
            self._pending[name] = jax.tree.map(
                lambda x: to_host(x) if isinstance(x, jax.Array) else x, tree
            )
            self._flush_if(self._seconds)

    def running(self, name: str, snapshot: Snapshot, now: bool = False) -> None:
        """Save a run in the middle if it is due, or `now`."""
        if self._store is not None and self._flush_if(0.0 if now else self._seconds):
            self._store.save(name, snapshot)

    def close(self, now: bool = False) -> None:
        """Save what is pending, unless so little that computing it again is as quick."""
        self._flush_if(0.0 if now else min(self._seconds, WORTH_KEEPING))

    def _flush_if(self, seconds: float) -> bool:
        if time.monotonic() - self._last < seconds:
            return False
        for name, tree in self._pending.items():
            assert self._store is not None
            self._store.save(name, tree)
        self._pending = {}
        self._last = time.monotonic()
        return True


class Session:
    """One stage of work under one name; made by `session`."""

    def __init__(
        self,
        stage: str,
        members: int,
        progress: Progress | None,
        keeper: Keeper,
        interruption: Interruption,
        chunk_seconds: float,
    ) -> None:
        self._stage = stage
        self._members = members
        self._progress = progress
        self._keeper = keeper
        self._interruption = interruption
        self._chunk_seconds = chunk_seconds
        self._began = time.perf_counter()
        self._done = 0

    def execute(
        self,
        entry: str,
        begin: Callable[[], tuple[Call, Carry, Recorded]],
        like: Snapshot,
        iterations: np.ndarray,
        slots: int,
        members: int = 1,
        swept: Mapping[str, np.ndarray] = MappingProxyType({}),
    ) -> Snapshot:
        """Run one member, or a block of `members`, from its start or from what was kept.

        `begin()` gives the compiled chunk and what it starts from; it is not called for a run that
        was kept at its end. `like` has the shapes and shardings of a snapshot, `swept` the values
        of the axes at the members.
        """

        def after(snapshot: Snapshot) -> None:
            self.report("running", int(iterations[-1]), snapshot, iterations, swept)
            # Read once: what arrives while the store saves is obeyed behind the next chunk.
            stop = self._interruption.signal is not None
            self._keeper.running(entry, snapshot, now=stop)
            if stop:
                self._interruption.check(f" at iteration {snapshot.position} of {self._stage}")

        snapshot = self._keeper.snapshot(entry, like)
        if snapshot is None or int(snapshot.num_recorded) < len(iterations):
            call, carry, recorded = begin()
            snapshot = snapshot or fresh(carry, recorded, len(iterations))
            seconds = self._chunk_seconds
            snapshot = drive(call, snapshot, recorded, iterations, slots, seconds, after)
            self._keeper.finished(entry, snapshot)
        self._count(members, int(iterations[-1]), snapshot, iterations, swept)
        return snapshot

    def evaluate(self, entry: str, compute: Callable[[], Any], like: Any, members: int) -> Any:
        """Host arrays of a block of `members` that makes no steps, computed or as they were kept.

        `like` has their shapes.
        """
        values = self._keeper.kept(entry, like)
        if values is None:
            values = to_host(compute())
            self._keeper.finished(entry, values)
        self._count(members, 0)
        if self._interruption.signal is not None:
            self._keeper.close(now=True)
            done = f"{self._done} of {self._members} members"
            self._interruption.check(f" after {done} of {self._stage}")
        return values

    def _count(
        self,
        members: int,
        num_steps: int,
        snapshot: Snapshot | None = None,
        iterations: np.ndarray | None = None,
        swept: Mapping[str, np.ndarray] = MappingProxyType({}),
    ) -> None:
        """Tell the display that so many more members are done."""
        self._done += members
        phase = "finished" if self._done == self._members else "running"
        self.report(phase, num_steps, snapshot, iterations, swept)

    @property
    def name(self) -> str:
        """The name of the stage."""
        return self._stage

    def obey(self) -> None:
        """Raise `Interrupted` when somebody asked to stop while the stage compiled."""
        self._interruption.check(f" when {self._stage} was compiled")

    def report(
        self,
        phase: Literal["compiling", "running", "finished"],
        num_steps: int,
        snapshot: Snapshot | None = None,
        iterations: np.ndarray | None = None,
        swept: Mapping[str, np.ndarray] = MappingProxyType({}),
    ) -> None:
        """Tell the display where the stage stands."""
        if self._progress is None:
            return
        k, position, metrics = 0, 0, {}
        if snapshot is not None:
            k, position = int(snapshot.num_recorded), int(snapshot.position)
            members = (slice(None),) * np.ndim(snapshot.carry.iteration)
            metrics = {n: v[(*members, slice(0, k))] for n, v in snapshot.metrics.items()}
        self._progress(
            Event(
                self._stage,
                phase,
                self._done,
                self._members,
                position,
                num_steps,
                np.zeros(0, np.int64) if iterations is None else iterations[:k],
                metrics,
                time.perf_counter() - self._began,
                swept,
            )
        )


@contextmanager
def memory_errors(what: str) -> Iterator[None]:
    """Turn what NumPy and JAX raise when memory runs out into `ResourceError`, naming `what`."""
    try:
        yield
    except (MemoryError, jax.errors.JaxRuntimeError) as error:
        if not isinstance(error, MemoryError) and "RESOURCE_EXHAUSTED" not in str(error):
            raise
        raise ResourceError(
            f"{what} ran out of memory; lower seeds, block_size or the size of the problem"
        ) from error


@contextmanager
def session(
    stage: str,
    members: int,
    store: Store | None,
    progress: Progress | None,
    save_seconds: float,
    chunk_seconds: float = 0.5,
) -> Iterator[Session]:
    """Open a stage: signals become a flag, and what is finished is kept when the stage ends.

    Raises `ResourceError` when the device runs out of memory.
    """
    keeper = Keeper(store, save_seconds)
    with interruptible() as interruption:
        interruption.check(f" before {stage}")
        with memory_errors(stage):
            yield Session(stage, members, progress, keeper, interruption, chunk_seconds)
        keeper.close(now=interruption.signal is not None)
        interruption.check(f" at the end of {stage}")
