"""Where a run was computed: versions, commit, devices, precision; no paths, no host names."""

import functools
import importlib.metadata
import platform
import resource
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

_LIBRARIES = ("fineq", "jax", "jaxlib", "numpy", "scipy", "optax", "flax", "orbax-checkpoint")
_LIBRARIES += ("xarray", "h5netcdf", "h5py", "matplotlib")


def environment(precision: str) -> dict[str, Any]:
    """Return what a reader needs to judge or repeat the numbers.

    Args:
        precision: for example `float64`.

    Returns:
        `versions`, `commit` (None outside a repository; `-dirty` when files differ), `devices`
        (kind to count), `machine`, `precision`, `peak_memory_mib` of this process so far.

    """
    import jax

    return {
        "versions": versions(),
        "commit": commit(),
        "devices": dict(Counter(device.device_kind for device in jax.devices())),
        "machine": f"{platform.system()} {platform.machine()}",
        "precision": precision,
        "peak_memory_mib": peak_memory_mib(),
    }


@functools.cache
def versions() -> dict[str, str]:
    """Return the versions of Python and of the libraries that touch the numbers."""
    found = {"python": platform.python_version()}
    for name in _LIBRARIES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


@functools.cache
def commit() -> str | None:
    """Return the commit of the checkout that is running, None when there is no checkout."""
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return None
    command = [
        "git",
        "--no-optional-locks",
        "describe",
        "--always",
        "--dirty",
        "--exclude=*",
        "--abbrev=40",
    ]
    try:
        done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None


def peak_memory_mib() -> float:
    """Return the largest resident memory of this process so far, in MiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    per_mib = 2**20 if sys.platform == "darwin" else 2**10
    return round(peak / per_mib, 1)
