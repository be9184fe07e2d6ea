"""How much memory there is for a block of members."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

Device = Any  # what `jax.devices()` lists; jax gives it no static type

SHARE = 4
CGROUP = Path("/sys/fs/cgroup/memory.max")


def host_bytes() -> int:
    """Memory of this machine, or of the container where that is less."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limit = CGROUP.read_text().strip() if CGROUP.exists() else "max"
    return min(total, int(limit)) if limit.isdigit() else total


def device_bytes(devices: Sequence[Device]) -> int:
    """Memory of one of the devices; the devices of a CPU share the host's."""
    stats = devices[0].memory_stats()
    if stats and "bytes_limit" in stats:
        return int(stats["bytes_limit"])
    return host_bytes() // len(devices)
