"""JAX's global switches that change numbers: each has one value in a run, whoever set it before.

The environment (JAX_DEFAULT_PRNG_IMPL and the like) and any module, while it is imported or called,
can flip them. They are set when all that a user brings has been imported, checked when it has been
tried and again when everything is computed, and written into the run's summary.
"""

import contextlib
import os
import re
import sys
from collections.abc import Iterator
from typing import Any

from fineq.errors import InputError

PINNED: dict[str, Any] = {
    "jax_enable_x64": True,
    "jax_numpy_dtype_promotion": "standard",
    # Matrix products that need all their digits ask for them; others run as the platform has them.
    "jax_default_matmul_precision": None,
    "jax_allow_f16_reductions": True,
    "jax_default_prng_impl": "threefry2x32",
    "jax_threefry_partitionable": True,
    "jax_threefry_gpu_kernel_lowering": False,
    "jax_high_dynamic_range_gumbel": False,
    "jax_random_seed_offset": 0,
    "jax_enable_custom_prng": False,
    "jax_softmax_custom_jvp": False,
    "jax_disable_jit": False,
    # A NaN is how a member diverges, not an error.
    "jax_debug_nans": False,
    "jax_debug_infs": False,
    # How hard a compiler tries changes the last digits; so does what it computes beforehand.
    "jax_disable_most_optimizations": False,
    "jax_optimization_level": "UNKNOWN",
    "jax_exec_time_optimization_effort": 0.0,
    "jax_memory_fitting_effort": 0.0,
    "jax_memory_fitting_level": "O2",
    "eager_constant_folding": False,
}
# Nearly every flag of a compiler changes at least last digits, so only those that cannot are named:
# what they write, where they look for libraries, and how many devices a processor stands for, over
# which results agree as they do over blocks.
_WITHOUT_EFFECT = re.compile(
    r"--?xla_(\w*dump|hlo_profile|gpu_cuda_data_dir|force_host_platform_device_count)"
)
# Likewise of JAX's variables: caches, logs, checks, and devices, whose kind counts by itself.
_VARIABLE_WITHOUT_EFFECT = re.compile(
    r"JAX_\w*(CACHE|DUMP|DEBUG|LOG|TRACE|PLATFORM|DEVICES|CHECK|GUARD|TIMEOUT|PROFIL|COORDINATOR"
    r"|PROCESS|WARN|REPORT)"
)
_OTHER_VARIABLES = ("NVIDIA_TF32_OVERRIDE",)


def state() -> dict[str, Any]:
    """Return the present values of the switches that the installed JAX has."""
    import jax

    values = jax.config.values
    return {name: values[name] for name in PINNED if name in values}


def moved() -> dict[str, Any]:
    """Return the switches that do not have their value, with the value they have."""
    return {name: value for name, value in state().items() if value != PINNED[name]}


_borrowed: list[dict[str, Any] | None] = []  # of each `lent` block, what it found


@contextlib.contextmanager
def lent() -> Iterator[None]:
    """Put the switches back, at the end of the block, as `pin` first found them in it."""
    _borrowed.append(None)
    try:
        yield
    finally:
        for name, value in (_borrowed.pop() or {}).items():
            sys.modules["jax"].config.update(name, value)


def pin() -> dict[str, Any]:
    """Give every switch its value; return those that had another one, with that."""
    import jax

    found = moved()
    if _borrowed and _borrowed[-1] is None:
        _borrowed[-1] = found
    for name in found:
        jax.config.update(name, PINNED[name])
    return found


def check(who: str) -> None:
    """Raise `InputError` when `who`, which has just been called, has flipped a switch."""
    found = pin()
    if found:
        listed = ", ".join(f"{name} to {value}" for name, value in found.items())
        raise InputError(
            f"{who} sets {listed} while it is called; fineq computes with its own settings: take "
            "it out, or set it for a block only, for example `with jax.default_matmul_precision`"
        )


def flags() -> list[str]:
    """Return what the environment holds beside the pinned switches that may change numbers.

    XLA_FLAGS holds flags here, not the name of a file of them (`fineq.shell.xla.unfold`).
    """
    given = os.environ.get("XLA_FLAGS", "").split()
    last = {word.partition("=")[0]: word for word in given}  # of a flag given twice it counts
    xla = [word for word in last.values() if not _WITHOUT_EFFECT.match(word)]
    names = [name for name, value in os.environ.items() if value and _may_count(name)]
    return sorted(xla) + sorted(f"{name}={os.environ[name]}" for name in names)


def _may_count(name: str) -> bool:
    if name in _OTHER_VARIABLES:
        return True
    of_jax = name.startswith("JAX_") and name.lower() not in PINNED
    return of_jax and not _VARIABLE_WITHOUT_EFFECT.match(name)
