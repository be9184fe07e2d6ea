"""JAX as every study uses it: switched on before its first use, emptied between studies."""

import logging
import os
import sys

from experiments.sentences import CONFIGS
from experiments.xla import refusal
from fineq.errors import InputError
from fineq.runs import switches

LEAST_THREADS = 4


def forget_programs() -> None:
    """Drop compiled programs, between studies of one process.

    Each takes a few of the 65,530 memory maps that Linux allows a process, and all of them more.
    """
    jax = sys.modules.get("jax")
    if jax is not None:
        jax.clear_caches()


def prepare_jax() -> None:
    """Give JAX's global switches their values and keep compiled programs between runs.

    Compiled programs go to `.cache/jax` beside `configs/`, unless JAX_COMPILATION_CACHE_DIR says
    otherwise. JAX's notes about backends that are absent are silenced.

    Raises:
        InputError: for XLA_FLAGS that the installed jaxlib does not take, and for JAX_PLATFORMS of
            which this machine has none.
    """
    flags = os.environ.get("XLA_FLAGS", "").strip()
    if flags and (why := refusal(flags)):
        raise InputError(f"XLA_FLAGS={flags} is not taken by the installed jaxlib: {why}")
    # Batched LAPACK calls of XLA's CPU client wait inside the threads they need: with two threads,
    # two calls at once wait forever (jaxlib 0.10.2).
    os.environ.setdefault("NPROC", str(max(LEAST_THREADS, os.cpu_count() or 1)))
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(CONFIGS.parent / ".cache" / "jax"))
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.1")
    logging.getLogger("jax._src.xla_bridge").setLevel(logging.ERROR)
    switches.pin()
    _find_platform(os.environ.get("JAX_PLATFORMS", "").strip())


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
