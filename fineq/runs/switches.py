"""JAX's global switches that change numbers: each has one value in a run, whoever set it before.

The environment (JAX_DEFAULT_PRNG_IMPL and the like) and any module, while it is imported or called,
can flip them. They are set when all that a user brings has been imported, checked when it has been
tried and again when everything is computed, and written into the run's summary.
"""

import os
import re
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
}
# Flags of XLA that change numbers: the last two only in their last digits, and in a part of the
# runs (`experiments.xla.hurry`), which are not to be taken for the others.
_NUMERIC_FLAG = re.compile(
    r"fast_math|fast_min_max|excess_precision|denormal|tf32|precision"
    r"|backend_optimization_level|fusion_emitters",
    re.I,
)
_NUMERIC_VARIABLES = ("NVIDIA_TF32_OVERRIDE",)


def state() -> dict[str, Any]:
    """Return the present values of the switches that the installed JAX has."""
    import jax

    values = jax.config.values
    return {name: values[name] for name in PINNED if name in values}


def moved() -> dict[str, Any]:
    """Return the switches that do not have their value, with the value they have."""
    return {name: value for name, value in state().items() if value != PINNED[name]}


def pin() -> dict[str, Any]:
    """Give every switch its value; return those that had another one, with that."""
    import jax

    found = moved()
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
    """Return what the environment holds beside JAX's switches that changes numbers."""
    xla = [word for word in os.environ.get("XLA_FLAGS", "").split() if _NUMERIC_FLAG.search(word)]
    return sorted(xla) + [
        f"{name}={os.environ[name]}" for name in _NUMERIC_VARIABLES if name in os.environ
    ]
