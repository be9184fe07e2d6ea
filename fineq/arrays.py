"""The door of public functions: arrays of real numbers, or one sentence.

Types and shapes are known under `jit` and `vmap` too and are checked there; values never are.
"""

import sys
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fineq.errors import InputError, PrecisionWarning

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


def finite_array(name: str, given: Any, ndim: int) -> np.ndarray:
    """Return `given` as `host_array`, where all its numbers are finite.

    Raises:
        InputError: as `host_array`, and naming the first entry that is not finite.
    """
    array = host_array(name, given, ndim)
    bad = np.argwhere(~np.isfinite(array))
    if len(bad):
        where = tuple(int(i) for i in bad[0])
        more = f" ({len(bad)} such entries)" if len(bad) > 1 else ""
        raise InputError(
            f"{name} must be finite, but its entry {list(where)} is {array[where]}{more}"
        )
    return array


def finite_rows(name: str, given: Any) -> np.ndarray:
    """Return points `[S, d]`, at least one, as a NumPy array of float64 or float32.

    Raises:
        InputError: as `host_array`, for another shape, and for numbers that are not finite.
    """
    x = host_array(name, given)
    if x.ndim != 2 or not x.size:
        line = f": points on a line have shape [{x.size}, 1]" if x.ndim == 1 and x.size else ""
        raise InputError(f"{name} must hold points of shape [S, d], got shape {x.shape}{line}")
    return finite_array(name, x, 2)


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


def shaped(name: str, given: Any, shape: Sequence[int], dtype: Any = None) -> "Array":
    """Return `given` as an array of real numbers of exactly this shape.

    Args:
        name: what the sentence calls it.
        given: as for `real_array`.
        shape: what is asked for.
        dtype: to convert to; None leaves what `real_array` returns.

    Raises:
        InputError: as `real_array`, and for another shape.
    """
    array = real_array(name, given)
    if array.shape != tuple(shape):
        raise InputError(f"{name} must have shape {tuple(shape)}, got {tuple(array.shape)}")
    return array if dtype is None else array.astype(dtype)


def check_positive(**given: Any) -> None:
    """Raise `InputError`, naming the argument, for a number of Python's or NumPy's that is not > 0.

    Arrays of JAX pass, traced or not: methods are rebuilt at each call, and looking would wait.
    """
    for name, value in given.items():
        if isinstance(value, bool) or not isinstance(value, int | float | np.number):
            continue
        if not value > 0:
            raise InputError(f"{name} must be above 0, got {value:g}")


def prefer_float64(reference: str) -> None:
    """Warn where JAX has no float64, which is its default, and exact truth is asked for.

    Arrays of float32 while JAX has float64 are meant, and pass. The warning names the line outside
    fineq and JAX that asks, and Python shows it once for each such line. Within `jit` it is given
    when the program is traced.

    Args:
        reference: who computes, as the sentence names it, for example `nlqr.dare`.
    """
    import jax

    if jax.dtypes.canonicalize_dtype(float) == np.float32:
        warnings.warn(
            f"{reference} is meant to be exact and computes in float32: say "
            'jax.config.update("jax_enable_x64", True) before any array is made',
            PrecisionWarning,
            stacklevel=_outside(),
        )


def _outside() -> int:
    """The level, seen from who calls, of the nearest frame of neither fineq nor JAX."""
    # From 3.12 on `warnings` takes skip_file_prefixes; the oldest Python here is 3.11.
    level, frame = 1, sys._getframe(1)
    while frame.f_back is not None and _own(frame.f_globals.get("__name__", "")):
        level, frame = level + 1, frame.f_back
    return level


def _own(module: str) -> bool:
    return module.partition(".")[0] in ("fineq", "jax", "contextlib", "functools")


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
