"""A user's function is traced once, on no numbers: what JAX cannot take is refused in a sentence.

JAX compiles and differentiates what a function does to an array that has a shape and no numbers
yet. A function that asks for the numbers (NumPy, `math`, `float()`, Python's `if`), calls back into
Python or answers otherwise when it is asked again cannot be used, and is told here.
"""

from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.core import Tracer

from fineq.errors import InputError, in_a_line

Function = Callable[[Array], Array]

SAID = 8  # coordinates of a point that a sentence names
ADVICE = "write it with jax.numpy"
_NUMBERS_ASKED_FOR = (
    jax.errors.TracerArrayConversionError,
    jax.errors.ConcretizationTypeError,  # of float(), int() and if
    jax.errors.NonConcreteBooleanIndexError,
    jax.errors.TracerIntegerConversionError,
)


def traced(
    name: str, function: Function, point: jax.ShapeDtypeStruct, kind: str = "point", order: int = 1
) -> jax.ShapeDtypeStruct:
    """Shape and type of what a function of one array returns, once it has been found fit for JAX.

    Args:
        name: of the function, for the message.
        function: of one array.
        point: shape and type of that array.
        kind: what the array is.
        order: how often the function must be differentiable, 1 or 2.

    Raises:
        InputError: for a function that fails, calls back into Python, returns anything but one
            array of the point's type, is not pure, or cannot be batched and differentiated.
    """
    where = f"{name} failed on a {kind} of shape {point.shape}"
    program, result = _trace(where, _checked(name, function), point)
    callbacks = [e.primitive.name for e in _equations(program) if _calls_back(e.primitive.name)]
    if callbacks:
        raise InputError(
            f"{name} calls back into Python ({callbacks[0]}), which JAX can neither differentiate "
            f"nor run on a device: {ADVICE} alone"
        )
    again, _ = _trace(where, _checked(name, function), point)
    kept = [value for value in _constants(again) if isinstance(value, Tracer)]
    if kept or not _same(_constants(program), _constants(again)):
        raise InputError(
            f"{name} gives another result when it is called again: it must be a pure function of "
            "its argument (no counters, no random numbers of NumPy, nothing kept between calls)"
        )
    alike = result.dtype == point.dtype or result.weak_type
    if not alike or not jnp.issubdtype(result.dtype, jnp.floating):
        raise InputError(
            f"{name} must return numbers of its argument's type, {point.dtype}, got {result.dtype}"
        )
    _differentiate(name, function, point, order)
    return result


def _trace(where: str, function: Function, point: jax.ShapeDtypeStruct) -> tuple[Any, Any]:
    try:
        return jax.make_jaxpr(function, return_shape=True)(point)
    except (InputError, KeyboardInterrupt):
        raise
    except BaseException as error:  # it is the user's code: sys.exit, too, ends here
        asked = isinstance(error, _NUMBERS_ASKED_FOR) or "Python scalars" in str(error)
        reason = (
            f"it asks for numbers, as NumPy, math, float() and if do ({type(error).__name__}), "
            f"which are not there while it is compiled: {ADVICE}, jnp.where for if"
        )
        raise InputError(f"{where}: {reason if asked else in_a_line(error)}") from error


def _checked(name: str, function: Function) -> Function:
    """The function, refusing results that are no array; JAX would take lists of them, too."""

    def one_array(x: Array) -> Array:
        result = function(x)
        if not isinstance(result, Array | np.ndarray | np.generic | float | int | complex):
            raise InputError(
                f"{name} must return one array, got {type(result).__name__}"
                + (": jnp.stack makes one of several" if isinstance(result, list | tuple) else "")
            )
        return jnp.asarray(result)

    return one_array


def _differentiate(name: str, function: Function, point: jax.ShapeDtypeStruct, order: int) -> None:
    def backward(x: Array) -> Array:
        value, pull_back = jax.vjp(lambda z: jnp.asarray(function(z)), x)
        return pull_back(jnp.ones_like(value))[0]

    def forward(x: Array) -> Array:
        return jax.jvp(backward, (x,), (jnp.ones_like(x),))[1]

    batch = jax.ShapeDtypeStruct((2, *point.shape), point.dtype)
    try:
        jax.make_jaxpr(jax.vmap(backward if order == 1 else forward))(batch)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        often = "" if order == 1 else " twice"
        raise InputError(
            f"{name} cannot be differentiated{often} by JAX ({in_a_line(error)}): {ADVICE}"
        ) from error


def _calls_back(primitive: str) -> bool:
    return "callback" in primitive or primitive in ("debug_print", "outside_call")


def _equations(program: Any) -> Iterator[Any]:
    """Every equation of a traced program and of the programs inside it."""
    for equation in getattr(program, "jaxpr", program).eqns:
        yield equation
        for inner in _inner(equation):
            yield from _equations(inner)


def _inner(equation: Any) -> Iterator[Any]:
    for value in equation.params.values():
        for part in value if isinstance(value, tuple | list) else (value,):
            if hasattr(part, "eqns") or hasattr(part, "jaxpr"):
                yield part


def _constants(program: Any) -> list[Any]:
    """What a program does, and the numbers it does it with, in order."""
    found: list[Any] = list(getattr(program, "consts", ()))
    for equation in _equations(program):
        found += [equation.primitive.name]
        found += [v.val for v in equation.invars if hasattr(v, "val")]
        for inner in _inner(equation):
            found += list(getattr(inner, "consts", ()))
    return found


def _plain(value: Any) -> np.ndarray:
    if isinstance(value, Array) and jnp.issubdtype(value.dtype, jax.dtypes.prng_key):
        return np.asarray(jax.random.key_data(value))
    return np.asarray(value)


def _same(a: list[Any], b: list[Any]) -> bool:
    return len(a) == len(b) and all(
        x.shape == y.shape and x.dtype == y.dtype and x.tobytes() == y.tobytes()
        for x, y in zip(map(_plain, a), map(_plain, b), strict=True)
    )


def check_values(name: str, function: Function, points: Array) -> None:
    """Raise `InputError` unless a function and its gradient are finite at all points.

    Args:
        name: of the function.
        function: of one point; of several outputs the sum is looked at, where NaN and ∞ stay.
        points: `[S, d]`.
    """
    total = jax.value_and_grad(lambda x: jnp.sum(function(x)))
    check_finite(name, points, *jax.vmap(total)(points))


def check_finite(name: str, points: Array, values: Array, gradients: Array) -> None:
    """Raise `InputError` unless values `[S]` and gradients `[S, d]` at points are finite."""
    for what, found in (("value", values[:, None]), ("gradient", gradients)):
        numbers = np.asarray(found)
        bad = np.flatnonzero(~np.isfinite(numbers).all(axis=1))
        if bad.size:
            point = np.asarray(points)[bad[0]]
            where = ", ".join(f"{x:g}" for x in point[:SAID]) + ", ..." * (point.size > SAID)
            shown = "a NaN" if np.isnan(numbers[bad[0]]).any() else "an infinite"
            raise InputError(f"{name} has {shown} {what} at ({where})")
