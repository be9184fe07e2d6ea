"""Low-rank adapters: what is trained of a network whose own weights stay as they are.

A weight W with its last axis the outputs is seen as a matrix [in, out], a convolution's kernel
[h, w, in, out] as [h w in, out], and becomes W + A'B' with A `[rank, in]`, B `[out, rank]`. A is
normal with variance 1/in and B is zero, so that training starts from the network itself, exactly
(Hu et al. 2022).
"""

import math
from typing import Any

import jax
import jax.numpy as jnp
from flax import traverse_util
from jax import Array

from fineq.ddpm import Denoiser
from fineq.errors import InputError
from fineq.fast.draws import normal
from fineq.keys import key_for, purpose_number

Adapters = dict[str, dict[str, Array]]
"""By the path of the weight, its names joined by `/`: `A` `[rank, in]` and `B` `[out, rank]`."""


def make_adapters(key: Array, variables: Any, rank: int) -> Adapters:
    """Adapters of all dense and convolution kernels of a Flax network.

    A layer whose smaller side is below `rank` gets that side as its rank: more adds nothing.

    Args:
        key: of A; each layer draws by its own name.
        variables: of the network.
        rank: static.

    Raises:
        InputError: for a rank below 1, or above the smaller side of every layer, or a network
            without kernels.
    """
    kernels = _kernels(variables)
    if not kernels:
        raise InputError("the network has no dense or convolution kernel to adapt")
    sides = {path: min(_matrix(kernel)) for path, kernel in kernels.items()}
    largest = max(sides, key=lambda path: sides[path])
    if not 1 <= rank <= sides[largest]:
        raise InputError(
            f"rank must lie between 1 and {sides[largest]}, the smaller side of the largest layer, "
            f"{largest}, got {rank}"
        )
    root = key_for(key, "adapters")

    def one(path: str, kernel: Array) -> dict[str, Array]:
        own = jax.random.fold_in(root, purpose_number(path))
        return _adapter(own, kernel, min(rank, sides[path]))

    return {path: one(path, kernel) for path, kernel in kernels.items()}


def merge(variables: Any, adapters: Adapters) -> Any:
    """The variables with each adapted W replaced by W + A'B'.

    Raises:
        InputError: for an adapter of a weight that there is not, or of another shape.
    """
    flat: dict[str, Any] = traverse_util.flatten_dict(variables, sep="/")
    for path, adapter in adapters.items():
        if path not in flat:
            raise InputError(f"the network has no weight {path}, which an adapter is for")
        change = adapter["A"].T @ adapter["B"].T
        if change.shape != _matrix(flat[path]):
            raise InputError(
                f"{path} is a matrix of shape {_matrix(flat[path])}, but its adapter has shape "
                f"{change.shape}"
            )
        flat[path] = flat[path] + change.reshape(flat[path].shape)
    return traverse_util.unflatten_dict(flat, sep="/")


def adapted(base: Denoiser, adapters: Adapters) -> Denoiser:
    """The policy of adapters: the pre-trained model with them merged in."""
    return base.holding(merge(base.variables, adapters))


def _kernels(variables: Any) -> dict[str, Array]:
    flat: dict[str, Any] = traverse_util.flatten_dict(variables, sep="/")
    found = {path: leaf for path, leaf in flat.items() if path.rpartition("/")[2] == "kernel"}
    return {path: found[path] for path in sorted(found) if found[path].ndim >= 2}


def _matrix(kernel: Array) -> tuple[int, int]:
    return math.prod(kernel.shape[:-1]), kernel.shape[-1]


def _adapter(key: Array, kernel: Array, rank: int) -> dict[str, Array]:
    into, out = _matrix(kernel)
    A = normal(key, (rank, into), kernel.dtype) / math.sqrt(into)
    return {"A": A, "B": jnp.zeros((out, rank), kernel.dtype)}
