"""Tensors under the names and in the layout that PyTorch gives them, and back.

`params/down_blocks.0/resnets.1/conv1/kernel` is `down_blocks.0.resnets.1.conv1.weight`; a dense
kernel is [out, in] there, that of a convolution [out, in, h, w], a norm's scale its weight.
Adapters are a layer's `lora_A.weight` and `lora_B.weight`, of the same kind as the layer, as the
library PEFT lays them out; they count in full (its alpha is the rank).
"""

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict
from jax import Array

from fineq.finetune import Adapters
from fineq.interop.tensors import check_tensors

ROOT = "params/"
# Of attention, before diffusers 0.16.
OLD = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}
Shape = tuple[int, ...]


def name_of(path: str) -> str:
    """The name in a file of the variable at a path, its names joined by `/`."""
    module, _, leaf = path.removeprefix(ROOT).replace("/", ".").rpartition(".")
    return f"{module}.{'bias' if leaf == 'bias' else 'weight'}"


def to_tensors(variables: Any) -> dict[str, np.ndarray]:
    """Variables as tensors of a file."""
    flat: dict[str, Any] = flatten_dict(variables, sep="/")
    return {name_of(path): np.ascontiguousarray(_out(np.asarray(x))) for path, x in flat.items()}


def from_tensors(template: Any, tensors: Mapping[str, Array], dtype: Any, sentence: str) -> Any:
    """The variables that the tensors of a file are.

    Args:
        template: variables of the network, or their shapes.
        tensors: as read.
        dtype: that they are converted to.
        sentence: what is said of other tensors than these begins so.

    Raises:
        InputError: as `check_tensors`.
    """
    given = {_present(name): x for name, x in tensors.items()}
    flat: dict[str, Any] = flatten_dict(template, sep="/")
    check_tensors({name_of(path): _shape_out(x.shape) for path, x in flat.items()}, given, sentence)
    found = {path: _in(given[name_of(path)], dtype) for path in flat}
    return unflatten_dict(found, sep="/")


def adapters_to_tensors(adapters: Adapters, variables: Any) -> dict[str, np.ndarray]:
    """Adapters of these variables as tensors of a file."""
    flat: dict[str, Any] = flatten_dict(variables, sep="/")
    found = {}
    for path, adapter in adapters.items():
        for side, x in adapter.items():
            # Both sides hold their outputs first: [rank, h w in] and [out, rank].
            kernel = np.asarray(x).T.reshape(_side_shape(side, flat[path].shape, x.shape))
            found[_side_name(path, side)] = np.ascontiguousarray(_out(kernel))
    return found


def adapters_from_tensors(
    template: Adapters, variables: Any, tensors: Mapping[str, Array], dtype: Any, sentence: str
) -> Adapters:
    """The adapters that the tensors of a file are; arguments and errors as for `from_tensors`."""
    flat: dict[str, Any] = flatten_dict(variables, sep="/")
    wanted = {}
    for path, adapter in template.items():
        for side, x in adapter.items():
            shape = _side_shape(side, flat[path].shape, x.shape)
            wanted[_side_name(path, side)] = _shape_out(shape)
    check_tensors(wanted, tensors, sentence)

    def one(path: str, side: str, shape: Shape) -> Array:
        kernel = _in(tensors[_side_name(path, side)], dtype)
        return jnp.asarray(np.asarray(kernel).reshape(shape[::-1]).T)

    return {
        path: {side: one(path, side, x.shape) for side, x in adapter.items()}
        for path, adapter in template.items()
    }


def _present(name: str) -> str:
    """The name that a tensor has today."""
    module, _, leaf = name.rpartition(".")
    parent, _, last = module.rpartition(".")
    return f"{parent}.{OLD[last]}.{leaf}" if last in OLD and "attentions" in parent else name


def _side_name(path: str, side: str) -> str:
    return f"{name_of(path).removesuffix('.weight')}.lora_{side}.weight"


def _side_shape(side: str, kernel: Shape, own: Shape) -> Shape:
    """The shape of one side of an adapter as a kernel: A to the rank, B from it, of one pixel."""
    if side == "A":
        return (*kernel[:-1], own[0])
    return (*(1 for _ in kernel[:-2]), own[1], own[0])


def _out(x: np.ndarray) -> np.ndarray:
    """From [h, w, in, out] to [out, in, h, w], and a matrix turned."""
    return x.transpose(_order_out(x.ndim))


def _in(x: Array, dtype: Any) -> Array:
    # By NumPy: of operations of JAX each shape would compile by itself.
    turned = np.asarray(x, dtype).transpose((2, 3, 1, 0) if x.ndim == 4 else None)
    return jnp.asarray(turned)


def _shape_out(shape: Shape) -> Shape:
    return tuple(shape[i] for i in _order_out(len(shape)))


def _order_out(ndim: int) -> tuple[int, ...]:
    return (3, 2, 0, 1) if ndim == 4 else tuple(range(ndim))[::-1]
