"""Blocks of members: on which devices, how many at once, and within which memory."""

from collections.abc import Callable, Sequence
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, NamedSharding, PartitionSpec, SingleDeviceSharding

from fineq.errors import InputError, ResourceError
from fineq.sweep.axes import Members, block_layout
from fineq.sweep.memory import (
    SHARE,
    Device,
    check_kept,
    device_bytes,
    gibibytes,
    host_bytes,
)

MANY = 10**6  # members of which even a part takes a while


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

    @property
    def spread(self) -> NamedSharding | None:
        """The sharding over several devices; None on one."""
        return self.sharding if isinstance(self.sharding, NamedSharding) else None


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


class Programs(Protocol):
    """What computes a block, compiled."""

    @property
    def seconds(self) -> float:
        """How long compiling took."""
        ...

    @property
    def peak_bytes(self) -> int:
        """Device memory that the largest program needs."""
        ...


P = TypeVar("P", bound=Programs)


class Fitted(NamedTuple, Generic[P]):
    """Programs for blocks of `size` members.

    num_blocks: blocks in all. compile_seconds: of all sizes tried.
    """

    size: int
    num_blocks: int
    programs: P
    compile_seconds: float
    use: Resources

    @property
    def peak_bytes(self) -> int:
        """Device memory that the largest program needs."""
        return self.programs.peak_bytes

    def entries(self, name: str, members: Members) -> list["Entry"]:
        """The blocks, in order."""
        # The layout is part of the name, for results of another one may differ in rounding.
        prefix = f"{name}-{self.size}x{len(self.use.devices)}"
        return [
            Entry(f"{prefix}-{i}", i, min(self.size, members.num - i * self.size))
            for i in range(self.num_blocks)
        ]


class Entry(NamedTuple):
    """A block by the name under which it is kept, its number, and its members that count."""

    name: str
    number: int
    actual: int


def example_of(members: Members) -> dict[str, Any]:
    """Shapes and dtypes of one member."""
    one = members.take(np.zeros(1, int))
    return jax.eval_shape(lambda: jax.tree.map(lambda values: jnp.asarray(values)[0], one))


def with_members(shapes: Any, size: int, sharding: Any = None) -> Any:
    """Shapes of one member as those of a block."""
    return jax.tree.map(
        lambda x: jax.ShapeDtypeStruct((size, *x.shape), x.dtype, sharding=sharding), shapes
    )


def check_host(name: str, members: Members, each: int, use: Resources) -> None:
    """Raise `ResourceError` when members that keep `each` bytes on the host do not fit there.

    Where there are many, those of other static values are thought to keep as much.
    """
    num = members.total if members.total > MANY else members.num
    check_kept(name, num, each, use.host_bytes)


def pick(members: Members, block: int, size: int, use: Resources) -> dict[str, Any]:
    """The members of a block; the last block is filled up by repeating the last member."""
    index = np.minimum(np.arange(block * size, (block + 1) * size), members.num - 1)
    return jax.device_put(jax.tree.map(jnp.asarray, members.take(index)), use.sharding)


def join(entries: Sequence[Entry], blocks: Sequence[Any]) -> Any:
    """Host arrays [size, ...] of the blocks as [members, ...], without those that only fill up."""
    kept = [
        jax.tree.map(lambda x, n=entry.actual: x[:n], block)
        for entry, block in zip(entries, blocks, strict=True)
    ]
    return jax.tree.map(lambda *parts: np.concatenate(parts), *kept)


def fit(
    name: str, num_members: int, each: int, use: Resources, compile_for: Callable[[int], P]
) -> Fitted[P]:
    """Compile for all members at once or, if that takes too much memory, for the most that fit.

    Args:
        name: of the stage.
        num_members: how many there are.
        each: device bytes of the arrays that one member holds, without any for work.
        use: what a block may use.
        compile_for: compiles for blocks of a size.

    Raises `ResourceError` when not even the smallest block fits, before anything is run, and where
    its arrays alone do not, before anything is compiled.
    """

    def fitted(largest: int) -> Fitted[P]:
        size, count = block_layout(num_members, largest, len(use.devices))
        programs = compile_for(size)
        return Fitted(size, count, programs, programs.seconds, use)

    found = fitted(_first_size(name, num_members, each, use))
    while (
        use.largest is None
        and found.peak_bytes > use.wanted_bytes
        and found.size > len(use.devices)
    ):
        fitting = min(int(found.size * use.wanted_bytes / found.peak_bytes), found.size - 1)
        smaller = fitted(max(fitting, 1))
        found = smaller._replace(compile_seconds=found.compile_seconds + smaller.compile_seconds)
    if found.peak_bytes > use.limit_bytes:
        lower = "block_size" if found.size > len(use.devices) else "the size of the problem"
        raise ResourceError(
            f"{name}: a block of {found.size} members needs {gibibytes(found.peak_bytes)}, but "
            f"there are {gibibytes(use.limit_bytes)}; lower {lower}"
        )
    return found


def _first_size(name: str, num_members: int, each: int, use: Resources) -> int:
    """All members, as many as are wanted, or as many as the arrays that they hold leave room for.

    Raises `ResourceError` when these arrays are too large.
    """
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
