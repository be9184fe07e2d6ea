"""What a kernel is: one step of one member, with or without a key.

A kernel is a plain function `kernel(key, state, problem) -> (state, info)`, or
`kernel(state, problem) -> (state, info)` when it draws nothing. `state` is what the next step
needs, `info` what a plot needs; both are pytrees of arrays, as a rule documented NamedTuples. A
kernel knows one member only: seeds and swept values are added outside with `vmap`.
"""

import inspect
from collections.abc import Callable
from typing import Any

import jax

Kernel = Callable[..., tuple[Any, Any]]
Step = Callable[[Any, Any], tuple[Any, Any]]

STOCHASTIC = ("key", "state", "problem")
DETERMINISTIC = ("state", "problem")


def kernel_name(kernel: Kernel) -> str:
    """The name by which messages speak of a kernel."""
    return getattr(kernel, "__name__", None) or type(kernel).__name__


def takes_key(kernel: Kernel) -> bool:
    """Whether the kernel is stochastic, read from its parameter names.

    Raises `ValueError` when they are neither `(key, state, problem)` nor `(state, problem)`.
    """
    names = tuple(inspect.signature(kernel).parameters)
    if names not in (STOCHASTIC, DETERMINISTIC):
        raise ValueError(
            f"kernel {kernel_name(kernel)} must take (key, state, problem) or (state, problem), "
            f"got ({', '.join(names)})"
        )
    return names == STOCHASTIC


def bind(kernel: Kernel, problem: Any, key: jax.Array | None) -> Step:
    """Make `step(t, state) -> (state, info)`; step t of a stochastic kernel uses `fold_in(key, t)`.

    A deterministic kernel ignores the key. Raises `ValueError` when a needed key is missing.
    """
    if not takes_key(kernel):
        return lambda t, state: kernel(state, problem)
    if key is None:
        raise ValueError(f"kernel {kernel_name(kernel)} takes a key, but none was given")
    return lambda t, state: kernel(jax.random.fold_in(key, t), state, problem)


def _describe(leaf: Any) -> str:
    return f"{leaf.dtype}[{','.join(map(str, leaf.shape))}]"


def check_kernel(kernel: Kernel, state: Any, problem: Any, key: jax.Array | None = None) -> Any:
    """Check that a step keeps the state's structure, shapes and dtypes; return info's shapes.

    Nothing is computed. Returns info as a pytree of `jax.ShapeDtypeStruct`. Raises `ValueError`
    that names the leaf which changes, the wrong parameter names, or a missing key.
    """
    result = jax.eval_shape(bind(kernel, problem, key), 0, state)
    if not (isinstance(result, tuple) and len(result) == 2):
        raise ValueError(f"kernel {kernel_name(kernel)} must return the pair (state, info)")
    before, tree = jax.tree.flatten_with_path(jax.eval_shape(lambda x: x, state))
    after, new_tree = jax.tree.flatten(result[0])
    if tree != new_tree:
        raise ValueError(
            f"kernel {kernel_name(kernel)} changes the structure of the state from {tree} "
            f"to {new_tree}"
        )
    for (path, old), new in zip(before, after, strict=True):
        if (old.shape, old.dtype) != (new.shape, new.dtype):
            raise ValueError(
                f"kernel {kernel_name(kernel)} changes state{jax.tree_util.keystr(path)} from "
                f"{_describe(old)} to {_describe(new)}"
            )
    return result[1]
