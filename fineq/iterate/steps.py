"""What a step is: a function for one member, with or without a key.

A step is a plain function `step(key, state, problem) -> (state, info)`, or
`step(state, problem) -> (state, info)` when it draws nothing. `state` is what the next step
needs, `info` what a plot needs; both are pytrees of arrays, as a rule documented NamedTuples. A
step knows one member only: seeds and swept values are added outside with `vmap`.
"""

import inspect
from collections.abc import Callable
from typing import Any

import jax

Step = Callable[..., tuple[Any, Any]]
Bound = Callable[[Any, Any], tuple[Any, Any]]

STOCHASTIC = ("key", "state", "problem")
DETERMINISTIC = ("state", "problem")


def step_name(step: Step) -> str:
    """The name by which messages speak of a step."""
    return getattr(step, "__name__", None) or type(step).__name__


def takes_key(step: Step) -> bool:
    """Whether the step is stochastic, read from its parameter names.

    Raises `ValueError` when they are neither `(key, state, problem)` nor `(state, problem)`.
    """
    names = tuple(inspect.signature(step).parameters)
    if names not in (STOCHASTIC, DETERMINISTIC):
        raise ValueError(
            f"step {step_name(step)} must take (key, state, problem) or (state, problem), "
            f"got ({', '.join(names)})"
        )
    return names == STOCHASTIC


def bind(step: Step, problem: Any, key: jax.Array | None) -> Bound:
    """Make `bound(t, state) -> (state, info)`, which draws by `fold_in(key, t)` at iteration t.

    A deterministic step ignores the key. Raises `ValueError` when a needed key is missing.
    """
    if not takes_key(step):
        return lambda t, state: step(state, problem)
    if key is None:
        raise ValueError(f"step {step_name(step)} takes a key, but none was given")
    return lambda t, state: step(jax.random.fold_in(key, t), state, problem)


def _describe(leaf: Any) -> str:
    return f"{leaf.dtype}[{','.join(map(str, leaf.shape))}]"


def check_step(step: Step, state: Any, problem: Any, key: jax.Array | None = None) -> Any:
    """Check that it keeps the state's structure, shapes and dtypes; return info's shapes.

    Nothing is computed. Returns info as a pytree of `jax.ShapeDtypeStruct`. Raises `ValueError`
    that names the leaf which changes, the wrong parameter names, or a missing key.
    """
    result = jax.eval_shape(bind(step, problem, key), 0, state)
    if not (isinstance(result, tuple) and len(result) == 2):
        raise ValueError(f"step {step_name(step)} must return the pair (state, info)")
    before, tree = jax.tree.flatten_with_path(jax.eval_shape(lambda x: x, state))
    after, new_tree = jax.tree.flatten(result[0])
    if tree != new_tree:
        raise ValueError(
            f"step {step_name(step)} changes the structure of the state from {tree} to {new_tree}"
        )
    for (path, old), new in zip(before, after, strict=True):
        if (old.shape, old.dtype) != (new.shape, new.dtype):
            raise ValueError(
                f"step {step_name(step)} changes state{jax.tree_util.keystr(path)} from "
                f"{_describe(old)} to {_describe(new)}"
            )
    return result[1]
