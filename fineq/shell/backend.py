"""JAX as every study uses it: switched on before its first use, emptied between studies."""

import logging
import os
import sys
import warnings
from pathlib import Path

from fineq.errors import InputError
from fineq.settings import switches
from fineq.settings.values import shortened
from fineq.shell.places import program_cache
from fineq.shell.xla import refuse_flags

CACHE = "JAX_COMPILATION_CACHE_DIR"
LEAST_THREADS = 4
MAPS = Path("/proc/self/maps")


def forget_programs(beyond: int = 0) -> None:
    """Drop compiled programs, between studies of one process.

    Each takes a few of the 65,530 memory maps that Linux allows a process, and all of them more.

    Args:
        beyond: only where the process has more maps than that.
    """
    jax = sys.modules.get("jax")
    if jax is not None and (not MAPS.exists() or MAPS.read_bytes().count(b"\n") > beyond):
        jax.clear_caches()


def prepare_jax() -> None:
    """Give JAX's global switches their values and keep compiled programs between runs.

    Compiled programs go to `fineq.shell.places.program_cache()`, unless JAX_COMPILATION_CACHE_DIR
    says otherwise. JAX's notes about backends that are absent are silenced.

    Raises:
        InputError: for XLA_FLAGS that the installed jaxlib does not take, a JAX_* variable that JAX
            cannot read, a cache that is no folder, and for JAX_PLATFORMS of which this machine has
            none.
    """
    refuse_flags()
    # Threads enough for LAPACK calls that wait inside the threads they need: see fineq.fast.lapack.
    os.environ.setdefault("NPROC", str(max(LEAST_THREADS, os.cpu_count() or 1)))
    _choose_cache()
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.1")
    logging.getLogger("jax._src.xla_bridge").setLevel(logging.ERROR)
    # Of an entry that another run is just writing: JAX compiles the program itself.
    warnings.filterwarnings("ignore", "Error reading persistent compilation cache entry")
    _import_jax()
    switches.pin()
    _find_platform(os.environ.get("JAX_PLATFORMS", "").strip())


def _choose_cache() -> None:
    """Where the user names no cache and ours cannot be written, there is none."""
    named, own = os.environ.get(CACHE, ""), program_cache()
    if "://" in named:  # of a remote store, which JAX asks itself
        return
    if named and not _takes_files(Path(named)):
        raise InputError(f"{CACHE}={shortened(named)} is no folder that can be written: unset it")
    if not named and _takes_files(own):
        os.environ[CACHE] = str(own)


def _takes_files(folder: Path) -> bool:
    """Whether files can be written to the folder, which may have to be made."""
    there = next(path for path in (folder, *folder.absolute().parents) if os.path.lexists(path))
    return os.path.isdir(there) and os.access(there, os.W_OK | os.X_OK)


def _import_jax() -> None:
    try:
        import jax  # noqa: F401
    except ValueError as error:
        said = str(error)
        unread = [
            f"{name}={shortened(value)}"
            for name, value in os.environ.items()
            if name.startswith("JAX_") and (name.lower() in said.lower() or repr(value) in said)
        ]
        if not unread:
            raise
        raise InputError(
            f"{unread[0]} is not what JAX reads there ({shortened(said)}): unset it"
        ) from error


def _find_platform(named: str) -> None:
    import jax

    if not named:
        return
    try:
        jax.devices()
    except (RuntimeError, AssertionError) as error:
        raise InputError(
            f"JAX_PLATFORMS={named} names no platform that JAX finds here: unset it, or take cpu"
        ) from error
