"""The two compiled programs of a block, and how many members a block holds."""

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, NamedSharding, PartitionSpec, SingleDeviceSharding

from fineq.errors import InputError, ResourceError
from fineq.iterate.chunk import Compiled, Layout, compile_ahead, compile_chunk, measure, num_slots
from fineq.sweep.axes import SEED, block_layout
from fineq.sweep.memory import (
    SHARE,
    Device,
    check_kept,
    device_bytes,
    gibibytes,
    host_bytes,
    tree_bytes,
)
from fineq.sweep.program import Block, Member, Program, Shapes, prepare, shapes_of

Grid = dict[str, Any]


class Resources(NamedTuple):
    """What a block may use.

    largest: most members in a block, or None to compute it.
    wanted_bytes, limit_bytes: memory of one device that a computed block, and any block, may take.
    host_bytes: what all members together may leave on the host.
    """

    devices: tuple[Device, ...]
    largest: int | None
    wanted_bytes: int
    limit_bytes: int
    host_bytes: int

    @property
    def sharding(self) -> NamedSharding | SingleDeviceSharding:
        """How the axis of members lies on the devices."""
        if len(self.devices) == 1:
            return SingleDeviceSharding(self.devices[0])
        shape, auto = (len(self.devices),), (AxisType.Auto,)
        mesh = jax.make_mesh(shape, ("members",), axis_types=auto, devices=self.devices)
        return NamedSharding(mesh, PartitionSpec("members"))


def resources(
    num_members: int,
    block_size: int | None,
    memory: int | None,
    devices: Sequence[Device] | None,
) -> Resources:
    """The devices that can be of use, and the bounds; `memory` (bytes) replaces the computed ones.

    Raises `InputError` for a block size or memory below 1.
    """
    for name, value in (("block_size", block_size), ("memory", memory)):
        if value is not None and value < 1:
            raise InputError(f"{name} must be at least 1, got {value}")
    useful = tuple(devices or jax.local_devices())[:num_members]
    limit = memory or device_bytes(useful)
    return Resources(useful, block_size, memory or limit // SHARE, limit, host_bytes())


class Built(NamedTuple):
    """The programs of a block of `size` members, and the shapes they exchange.

    num_blocks: blocks in all. slots: records per chunk. compile_seconds: of all sizes tried.
    """

    size: int
    num_blocks: int
    slots: int
    prepare: Compiled
    chunk: Compiled
    block: Block
    compile_seconds: float
    use: Resources

    @property
    def peak_bytes(self) -> int:
        """Device memory that the larger program needs."""
        return max(self.prepare.peak_bytes, self.chunk.peak_bytes)


def pick(grid: Grid, block: int, size: int, use: Resources) -> Member:
    """The members of a block; the last block is filled up by repeating the last member."""
    index = np.minimum(np.arange(block * size, (block + 1) * size), len(grid[SEED]) - 1)
    members = jax.tree.map(lambda values: jnp.asarray(np.asarray(values)[index]), grid)
    return jax.device_put(members, use.sharding)


def _build_for(
    program: Program, shapes: Shapes, grid: Grid, num_records: int, largest: int, use: Resources
) -> Built:
    size, count = block_layout(len(grid[SEED]), largest, len(use.devices))
    members = pick(grid, 0, size, use)
    slots = num_slots(program.rules, shapes.carry, shapes.problem, num_records, size)
    sharding = use.sharding if isinstance(use.sharding, NamedSharding) else None
    layout = Layout(shapes.mapped, sharding)
    static = (program.init, program.rules, slots, layout, shapes.tree)
    prepared = compile_ahead(prepare, static, (members,))
    block = prepared.call.out_info
    chunk = compile_chunk(
        program.rules,
        layout,
        block.carry,
        block.recorded,
        block.problem,
        block.key,
        program.tolerance,
        slots,
    )
    seconds = prepared.seconds + chunk.seconds
    return Built(size, count, slots, prepared, chunk, block, seconds, use)


def kept_bytes(program: Program, shapes: Shapes, num_records: int) -> int:
    """Bytes that one member leaves on the host: its end, and what is recorded on the way."""
    recorded = jax.eval_shape(partial(measure, program.rules), shapes.carry, shapes.problem)
    return tree_bytes(shapes.carry) + num_records * tree_bytes(recorded)


def _first_size(name: str, shapes: Shapes, num_members: int, use: Resources) -> int:
    """All members, as many as are wanted, or as many as the arrays that they hold leave room for.

    Raises `ResourceError` when these arrays, without any for work, are too large.
    """
    leaves = zip(jax.tree.leaves(shapes.problem), shapes.mapped, strict=True)
    each = tree_bytes((shapes.carry, [leaf for leaf, axis in leaves if axis == 0]))
    num_devices = len(use.devices)
    wanted = use.largest or num_devices * use.wanted_bytes // max(each, 1)
    size = max(min(num_members, wanted), 1)
    if size * each > num_devices * use.limit_bytes:
        raise ResourceError(
            f"{name}: a block of {size} members needs at least {gibibytes(size * each)}, but there "
            f"are {gibibytes(num_devices * use.limit_bytes)}; lower "
            + ("block_size" if size > num_devices else "the size of the problem")
        )
    return size


def build(name: str, program: Program, grid: Grid, num_records: int, use: Resources) -> Built:
    """Compile for all members at once or, if that takes too much memory, for the most that fit.

    Raises `ResourceError` when not even the smallest block fits, before anything is run, and where
    its arrays alone do not, before anything is compiled.
    """
    shapes = shapes_of(program, grid)
    num_members = len(grid[SEED])
    check_kept(name, num_members, kept_bytes(program, shapes, num_records), use.host_bytes)
    first = _first_size(name, shapes, num_members, use)
    built = _build_for(program, shapes, grid, num_records, first, use)
    while (
        use.largest is None
        and built.peak_bytes > use.wanted_bytes
        and built.size > len(use.devices)
    ):
        fitting = min(int(built.size * use.wanted_bytes / built.peak_bytes), built.size - 1)
        smaller = _build_for(program, shapes, grid, num_records, max(fitting, 1), use)
        built = smaller._replace(compile_seconds=built.compile_seconds + smaller.compile_seconds)
    if built.peak_bytes > use.limit_bytes:
        lower = "block_size" if built.size > len(use.devices) else "the size of the problem"
        raise ResourceError(
            f"{name}: a block of {built.size} members needs {gibibytes(built.peak_bytes)}, but "
            f"there are {gibibytes(use.limit_bytes)}; lower {lower}"
        )
    return built
