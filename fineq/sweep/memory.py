"""How much memory there is, and whether what a run keeps would fit: said before it is computed."""

import math
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import jax
import numpy as np

from fineq.errors import ResourceError
from fineq.keys import is_key

Device = Any  # what `jax.devices()` lists; jax gives it no static type

SHARE = 4
COPIES = 2  # of what is kept: the blocks, and the whole that they are joined to
KEY = 8  # bytes of a random key
LEAST = 32  # bytes that every member keeps: a number, how far it came, whether it diverged
CGROUPS = Path("/sys/fs/cgroup")
MEMBERSHIP = Path("/proc/self/cgroup")


def host_bytes(cgroups: Path = CGROUPS, membership: Path = MEMBERSHIP) -> int:
    """Memory of this machine, or of the narrowest control group around this process.

    Args:
        cgroups: where control groups are mounted, version 1, version 2 or both.
        membership: names this process's group in each hierarchy.
    """
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min([total, *_limits(cgroups, membership)])


def _limits(cgroups: Path, membership: Path) -> Iterator[int]:
    try:
        lines = membership.read_text().splitlines()
    except OSError:
        lines = []
    for line in [*lines, "0::/"]:
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if "memory" in controllers.split(","):
            yield from _upwards(cgroups / "memory", path, "memory.limit_in_bytes")
        elif not controllers:
            for mount in (cgroups, cgroups / "unified"):
                yield from _upwards(mount, path, "memory.max")


def _upwards(mount: Path, path: str, name: str) -> Iterator[int]:
    """The limits of a group and of all that hold it; inside a container some are not to be seen."""
    group = PurePosixPath("/") / path
    for folder in (group, *group.parents):
        try:
            limit = (mount / folder.relative_to("/") / name).read_text().strip()
        except OSError:
            continue
        if limit.isdigit():  # or `max`
            yield int(limit)


def device_bytes(devices: Sequence[Device]) -> int:
    """Memory of one of the devices; the devices of a CPU share the host's."""
    stats = devices[0].memory_stats()
    if stats and "bytes_limit" in stats:
        return int(stats["bytes_limit"])
    return host_bytes() // len(devices)


def tree_bytes(tree: Any) -> int:
    """Bytes of the arrays of a pytree, or of arrays of these shapes."""
    return sum(
        math.prod(x.shape) * (KEY if is_key(x) else np.dtype(x.dtype).itemsize)
        for x in jax.tree.leaves(tree)
    )


def check_kept(name: str, members: int, each: int = LEAST, available: int | None = None) -> None:
    """Raise `ResourceError` when what all members keep on the host does not fit.

    Args:
        name: of the stage.
        members: how many there are.
        each: bytes that one keeps.
        available: bytes there are; None: those of the host.
    """
    available = host_bytes() if available is None else available
    needed = COPIES * members * each
    if needed > available:
        fitting = available // (COPIES * each)
        what = f"at most {fitting} fit: lower seeds or sweep fewer values"
        if fitting < 1:
            what = "not even one fits: lower the size of the problem"
        raise ResourceError(
            f"{name}: {members} members need about {gibibytes(needed)}, but there are "
            f"{gibibytes(available)}; {what}"
        )


def check_shapes(name: str, function: Callable[..., Any], *args: Any) -> None:
    """Raise `ResourceError` when what a pure function returns would not fit; nothing is computed.

    Args:
        name: of what it returns.
        function: as it will be called.
        args: arrays or their shapes.
    """
    needed, available = tree_bytes(jax.eval_shape(function, *args)), host_bytes()
    if needed > available:
        raise ResourceError(
            f"{name} needs at least {gibibytes(needed)}, but there are {gibibytes(available)}; "
            "lower its size"
        )


def gibibytes(size: int) -> str:
    """A size in words."""
    return f"{size / 2**30:.3g} GiB"
