"""The door of public functions: arrays of real numbers, or one sentence.

Types and shapes are known under `jit` and `vmap` too and are checked there; values never are.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fineq.errors import InputError

if TYPE_CHECKING:
    from jax import Array


def host_array(name: str, given: Any, ndim: int | Sequence[int] | None = None) -> np.ndarray:
    """Return `given`, nested lists or any array, as a NumPy array of float64 or float32.

    Arguments and errors as for `real_array`.
    """
    try:
        array = np.asarray(given)
    except ValueError as error:
        raise InputError(f"{name} must be an array, but its rows differ in length") from error
    _check(name, array, ndim)
    # Also turns other byte orders, and rounds numbers beyond double precision.
    return array.astype(np.float32 if array.dtype == np.float32 else np.float64, copy=False)


def real_array(
    name: str, given: Any, ndim: int | Sequence[int] | None = None, *, floating: bool = True
) -> "Array":
    """Return `given` as an array of real numbers.

    Args:
        name: what the sentence calls it.
        given: array, traced or not, nested lists or number.
        ndim: the number of axes, or those allowed; None for any.
        floating: turn whole numbers of JAX into its default float; those of others are anyway.

    Raises:
        InputError: for complex numbers, objects, text, dates, rows that differ in length, or
            another number of axes.
    """
    # The rates use this module: reading a result must not load JAX.
    import jax
    import jax.numpy as jnp

    # Lists may hold traced numbers: those are JAX's to join.
    listed = isinstance(given, list | tuple)
    if isinstance(given, jax.Array) or (
        listed and any(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(given))
    ):
        array = jnp.asarray(given)
        _check(name, array, ndim)
    else:
        array = jnp.asarray(host_array(name, given, ndim))
    whole = not jnp.issubdtype(array.dtype, jnp.floating)
    return array.astype(float) if floating and whole else array


def _check(name: str, array: Any, ndim: int | Sequence[int] | None) -> None:
    kind = getattr(array.dtype, "kind", "")
    # Kind V are the short floats of ml_dtypes, and structures, which have fields.
    short = kind == "V" and array.dtype.fields is None and "float" in array.dtype.name
    if kind not in ("b", "f", "i", "u") and not short:
        raise InputError(f"{name} must hold real numbers, got an array of type {array.dtype}")
    allowed = (ndim,) if isinstance(ndim, int) else ndim
    if allowed is not None and array.ndim not in allowed:
        axes = " or ".join(str(k) for k in allowed)
        raise InputError(f"{name} must have {axes} axes, got shape {tuple(array.shape)}")
