"""`sweep`: named axes laid over a step, in blocks of bounded memory, over all local devices."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from fineq.errors import InputError
from fineq.iterate.chunk import Recorded
from fineq.iterate.core import Carry
from fineq.iterate.driver import Call, fresh, to_host
from fineq.iterate.events import Progress, Store
from fineq.iterate.record import Plan, record_points
from fineq.iterate.session import Session, session
from fineq.keys import is_key
from fineq.sweep.axes import Axis, Members, assemble, check_axes, parts_of
from fineq.sweep.blocks import Entry, Fitted, Resources, join, pick, resources
from fineq.sweep.build import Built, build
from fineq.sweep.memory import Device, check_kept
from fineq.sweep.program import Program
from fineq.sweep.result import SweepResult

MakeProgram = Callable[[dict[str, Any]], Program]


class Part(NamedTuple):
    """What the members of one combination of static values leave, on the host.

    carry: leaves [M, ...]; metrics: {name: [M, R, ...]}.
    """

    iterations: np.ndarray
    carry: Carry
    metrics: dict[str, np.ndarray]
    built: Fitted[Built]
    run_seconds: float


def _on_host(tree: Any) -> Any:
    """Host arrays, random keys as their data."""
    return to_host(jax.tree.map(lambda x: jax.random.key_data(x) if is_key(x) else x, tree))


def _run_block(
    stage: Session,
    entry: Entry,
    program: Program,
    built: Fitted[Built],
    members: Members,
    iterations: np.ndarray,
) -> tuple[Carry, dict[str, np.ndarray]]:
    """Run one block, or read it back."""
    programs, block = built.programs, built.programs.block

    def begin() -> tuple[Call, Carry, Recorded]:
        ready = programs.prepare.call(pick(members, entry.number, built.size, built.use))

        def call(carry: Carry, recorded: Recorded, plan: Plan) -> tuple[Carry, Recorded]:
            given = (ready.problem, ready.key, program.tolerance)
            return programs.chunk.call(carry, recorded, *given, plan)

        return call, ready.carry, ready.recorded

    like = fresh(block.carry, block.recorded, len(iterations))
    first = entry.number * built.size
    swept = members.swept(np.arange(first, first + entry.actual))
    snapshot = stage.execute(
        entry.name, begin, like, iterations, programs.slots, entry.actual, swept
    )
    return _on_host((snapshot.carry, snapshot.metrics))


def _run_part(
    stage: Session,
    name: str,
    program: Program,
    members: Members,
    use: Resources,
    first: Part | None,
) -> Part:
    """Run all members of one combination of static values; `first` is that of the first one."""
    iterations = record_points(program.num_steps, program.record)
    if first is not None and not np.array_equal(first.iterations, iterations):
        raise InputError("all static values of a sweep must record at the same iterations")
    stage.report("compiling", program.num_steps)
    built = build(stage.name, program, members, len(iterations), use)
    stage.obey()
    if first is not None:
        _check_metrics(first, built)
    began = time.perf_counter()
    entries = built.entries(name, members)
    blocks = [_run_block(stage, entry, program, built, members, iterations) for entry in entries]
    carry, metrics = join(entries, blocks)
    return Part(iterations, carry, metrics, built, time.perf_counter() - began)


def _check_metrics(first: Part, built: Fitted[Built]) -> None:
    """Metrics must fit in one array over the static axes; said before they are computed."""
    before = {name: x.shape[2:] for name, x in first.metrics.items()}
    now = {name: x.shape[2:] for name, x in built.programs.block.recorded.items()}
    if before != now:
        raise InputError(f"metrics must not change between static values: {before}, then {now}")


def _result(axes: list[Axis], parts: list[Part]) -> SweepResult:
    def whole(get: Callable[[Part], Any]) -> np.ndarray:
        return assemble(axes, [get(part) for part in parts])

    iterations = parts[0].iterations
    traced = [len(axis) for axis in axes if not axis.static]
    num_steps = whole(lambda part: part.carry.iteration)
    diverged = whole(lambda part: part.carry.diverged)
    return SweepResult(
        axes=tuple(axes),
        dims=tuple(axis.name for axis in axes),
        coords={axis.name: axis.coords for axis in axes},
        iterations=iterations,
        metrics={k: whole(lambda part, k=k: part.metrics[k]) for k in parts[0].metrics},
        valid=iterations <= num_steps[..., None],
        converged=whole(lambda part: part.carry.converged),
        diverged=diverged,
        diverged_at=np.where(diverged, num_steps + 1, 0),
        num_steps=num_steps,
        finals=tuple(
            jax.tree.map(lambda x: x.reshape(*traced, *x.shape[1:]), part.carry.state)
            for part in parts
        ),
        block_size=max(part.built.size for part in parts),
        compile_seconds=sum(part.built.compile_seconds for part in parts),
        run_seconds=sum(part.run_seconds for part in parts),
        peak_bytes=max(part.built.peak_bytes for part in parts),
    )


def sweep(
    make_program: MakeProgram,
    axes: Sequence[Axis],
    *,
    inputs: Mapping[str, Any] | None = None,
    block_size: int | None = None,
    memory: int | None = None,
    devices: Sequence[Device] | None = None,
    store: Store | None = None,
    progress: Progress | None = None,
    name: str = "sweep",
    save_seconds: float = 30.0,
    chunk_seconds: float = 0.5,
) -> SweepResult:
    """Run a program for every combination of the axes' values.

    make_program: `make_program(static) -> Program` for the values of the static axes; called, and
        compiled, once for each of their combinations. Traced axes share one compilation.
    axes: their product in the order given; for a step that draws, a traced one is called "seed".
        A member's random numbers depend on its seed alone: members of equal seed see the same
        noise, and results do not depend on blocks or devices but for rounding (bit for bit with the
        same layout).
    inputs: named pytrees with leaves [*axes, ...], such as results of an earlier sweep, or, over
        other axes, a `Table`; a member's part is in its `member` under the name.
    block_size: most members at once, by default computed: all of them, unless that takes more
        than a quarter of the device's memory (or more than `memory`, in bytes).
    devices: over which a block is spread (default: all local ones).
    store, progress, save_seconds, chunk_seconds: as in `fineq.iterate.iterate`; finished blocks are
        kept, and a block stopped in the middle resumes there. `name` tells sweeps apart.

    A member that diverges keeps its last good state and touches no other. To debug one member, call
    the program's `init` and `fineq.iterate.iterate(..., jit=False)`.

    Raises `InputError` for bad axes, inputs or sizes, `ResourceError` when a block does not fit,
    `Interrupted` (`Terminated`) after SIGINT (SIGTERM), with the work kept.
    """
    axes = check_axes(axes, inputs or {})
    total = math.prod(len(axis) for axis in axes)
    check_kept(name, total)
    parts: list[Part] = []
    with session(name, total, store, progress, save_seconds, chunk_seconds) as stage:
        for i, (static, members) in enumerate(parts_of(axes, inputs or {})):
            use = resources(members.num, block_size, memory, devices)
            first = parts[0] if parts else None
            program = make_program(static)
            parts.append(_run_part(stage, f"{name}-{i}", program, members, use, first))
    return _result(axes, parts)
