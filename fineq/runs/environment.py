"""Where a run was computed: versions, commit, devices, precision; no paths, no host names."""

import functools
import importlib.metadata
import importlib.util
import os
import platform
import resource
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fineq.runs.digest import Identity
from fineq.settings import switches

_LIBRARIES = ("fineq", "jax", "jaxlib", "numpy", "scipy", "optax", "flax")
_LIBRARIES += ("xarray", "h5netcdf", "h5py", "matplotlib")


def environment(
    precision: str,
    identity: Identity,
    blocks: Mapping[str, int] | None = None,
    seconds: Mapping[str, float] | None = None,
) -> dict[str, Any]:
    """Return what a reader needs to judge or repeat the numbers.

    Args:
        precision: for example `float64`.
        identity: of the run.
        blocks: members computed at once, by stage.
        seconds: that each stage took, in order.

    Returns:
        `versions`, `commit` (None outside a repository; `-dirty` when files differ), `platform`,
        `devices` (kind to count), `blocks`, `stages` (name to seconds), `machine`, `precision`,
        `switches` (of JAX, by name),
        `flags` of the environment that change numbers, `peak_memory_mib` of this process so far.

    """
    import jax

    return {
        "versions": versions(),
        "commit": commit(),
        "platform": identity.platform,
        "devices": dict(Counter(device.device_kind for device in jax.devices())),
        "blocks": dict(blocks or {}),
        "stages": dict(seconds or {}),
        "machine": f"{platform.system()} {platform.machine()}",
        "precision": precision,
        "switches": switches.state(),
        "flags": list(identity.flags),
        "peak_memory_mib": peak_memory_mib(),
    }


@functools.cache
def versions() -> dict[str, str]:
    """Return the versions of Python and of the libraries that touch the numbers."""
    found = {"python": platform.python_version()}
    for name in _LIBRARIES:
        if known := version(name):
            found[name] = known
    return found


def version(name: str) -> str | None:
    """Return the version of an installed package, None where there is none of this name."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def present_platform() -> str:
    """Return `cpu`, `gpu` or `tpu`, what JAX computes on."""
    import jax

    return jax.default_backend()


def foreseen_platform() -> str | None:
    """Return what `present_platform` will, without JAX; None where only JAX can tell.

    It is known where JAX has nothing but the processor to choose: it was told so, or there is no
    plugin and no library of another kind of device.
    """
    told = os.environ.get("JAX_PLATFORMS") or os.environ.get("JAX_PLATFORM_NAME")
    if told == "cpu":
        return "cpu"
    elsewhere = ("TPU_LIBRARY_PATH", "PJRT_NAMES_AND_LIBRARY_PATHS")
    if told or any(os.environ.get(name) for name in elsewhere):
        return None
    plugins = ("jax_plugins", "libtpu")
    if any(importlib.util.find_spec(name) for name in plugins):
        return None
    return None if importlib.metadata.entry_points(group="jax_plugins") else "cpu"


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
