"""Gradients of low-rank adapters without the gradient of the weight that they change.

A policy computes with merged weights W + A'B'. Differentiated like that, each layer's gradient is
made in the size of W, which for a convolution costs more than the layer itself, and then drawn
together by A and B. Here it is made of what comes in, x, and of the gradient g of what goes out:

    ∂B = g'(x A'),  ∂A = (g B)'x,

with x A' and g B of as many channels as the rank has, and for a convolution the sums over its
shifts taken on that side. Values, and gradients by the state, are those of the merged network.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax import traverse_util
from jax import Array, lax

from fineq.ddpm import Denoiser
from fineq.ddpm.networks.conv import Conv, Padding
from fineq.finetune.adapters import Adapters, merge


class Shifts(NamedTuple):
    """How a convolution goes over an image; a dense layer is one of a single pixel."""

    size: int = 1
    stride: int = 1
    padding: Padding = ((0, 0), (0, 0))


@dataclass(frozen=True)
class Factored:
    """A network called with the variables of its base and adapters, apart.

    Attributes:
        module: the network.
        d: dimension of its states.
    """

    module: nn.Module
    d: int

    @property
    def num_classes(self) -> int:
        """Of the network."""
        return int(getattr(self.module, "num_classes", 0))

    @property
    def one_time(self) -> bool:
        """Of the network."""
        return bool(getattr(self.module, "one_time", False))

    def apply(self, variables: Any, s: Array, x: Array, label: Array | None) -> Array:
        """What the merged network says, `[B, d]`."""
        adapters: Adapters = variables["adapters"]
        dtype = jnp.dtype(jax.tree.leaves(variables["base"])[0].dtype)
        layers = _layers(self.module, self.d, label is not None, dtype)
        fixed = {k: lax.stop_gradient(a) if k in layers else a for k, a in adapters.items()}

        def call(
            function: Any, args: Any, kwargs: Any, context: nn.module.InterceptorContext
        ) -> Any:
            out = function(*args, **kwargs)
            path = _path(context)
            if path not in adapters or path not in layers:
                return out
            A, B = adapters[path]["A"], adapters[path]["B"]
            x = lax.stop_gradient(args[0]).astype(out.dtype)  # as the layer itself does
            return credited(out, x, A, B, layers[path])

        with nn.intercept_methods(call):
            return jnp.asarray(self.module.apply(merge(variables["base"], fixed), s, x, label))


def factored(base: Denoiser, adapters: Adapters) -> Denoiser:
    """The policy of adapters, for reverse derivatives by them."""
    module: Any = Factored(base.module, base.d)
    return replace(base, module=module, variables={"base": base.variables, "adapters": adapters})


@partial(jax.custom_vjp, nondiff_argnums=(4,))
def credited(out: Array, x: Array, A: Array, B: Array, shifts: Shifts) -> Array:
    """What a layer says, whose gradient goes to its adapter as well.

    Args:
        out: `[..., O]`, of merged weights whose own gradient is stopped.
        x: what came in, `[..., C]`.
        A: `[rank, h w C]`.
        B: `[O, rank]`.
        shifts: of the layer; images are `[B, H, W, C]` unless it is dense.
    """
    del x, A, B, shifts
    return out


def _forward(out: Array, x: Array, A: Array, B: Array, shifts: Shifts) -> tuple[Array, tuple]:
    del shifts
    return out, (x, A, B)


def _backward(shifts: Shifts, kept: tuple[Array, Array, Array], g: Array) -> tuple[Array, ...]:
    given, A, B = kept
    # Of a network that rounds, gradients of adapters are in the precision of the adapters.
    x, out = given.astype(A.dtype), g.astype(B.dtype)
    back = out @ B
    if shifts.size == 1 and shifts.stride == 1:
        dA = jnp.einsum("...r,...c->rc", back, x)
        inner = jnp.einsum("...c,rc->...r", x, A)
    else:
        # Both of k² rank channels; x itself is read twice and never copied.
        spread = _spread(back, x.shape[1:3], shifts)
        k, rank = shifts.size, A.shape[0]
        dA = jnp.einsum("bhwsr,bhwc->rsc", spread, x).reshape(A.shape)
        seen = jnp.einsum("bhwc,rsc->bhwsr", x, A.reshape(rank, k * k, -1))
        inner = _gather(seen, shifts)
    dB = jnp.einsum("...o,...r->or", out, inner)
    return g, jnp.zeros_like(given), dA, dB


credited.defvjp(_forward, _backward)


def _gather(seen: Array, shifts: Shifts) -> Array:
    """What a convolution sums of each pixel's part in its shifts, `[B, H', W', rank]`."""
    k, s = shifts.size, shifts.stride
    seen = jnp.pad(seen, ((0, 0), *shifts.padding, (0, 0), (0, 0)))
    ends = [s * ((n - k) // s) + 1 for n in seen.shape[1:3]]
    parts = [
        seen[:, i : i + ends[0] : s, j : j + ends[1] : s, k * i + j]
        for i in range(k)
        for j in range(k)
    ]
    return sum(parts[1:], parts[0])


def _spread(g: Array, size: tuple[int, ...], shifts: Shifts) -> Array:
    """At each pixel of the image, g where each shift of it went, `[B, H, W, k², rank]`."""
    k, s = shifts.size, shifts.stride
    # Pixel m of the image meets output h at shift i where s h + i - before = m.
    wide = [(0, 0, 0)]
    for n, m, (before, _) in zip(size, g.shape[1:3], shifts.padding):
        low = k - 1 - before
        wide.append((low, n + k - 1 - low - (s * (m - 1) + 1), s - 1))
    padded = lax.pad(g, jnp.zeros((), g.dtype), [*wide, (0, 0, 0)])
    height, width = size
    parts = [
        padded[:, k - 1 - i : k - 1 - i + height, k - 1 - j : k - 1 - j + width]
        for i in range(k)
        for j in range(k)
    ]
    return jnp.stack(parts, axis=-2)


def _path(context: nn.module.InterceptorContext) -> str | None:
    """The path of the kernel of a layer that is called."""
    if context.method_name != "__call__" or type(context.module) not in SHIFTS:
        return None
    return "/".join(("params", *context.module.path, "kernel"))


@lru_cache(maxsize=64)
def _layers(module: nn.Module, d: int, labelled: bool, dtype: Any) -> dict[str, Shifts]:
    """The layers of a network that are known, by the paths of their kernels.

    Others, kernels under a lifted loop among them, are differentiated as they are.
    """
    found: dict[str, Shifts] = {}

    def call(function: Any, args: Any, kwargs: Any, context: nn.module.InterceptorContext) -> Any:
        path = _path(context)
        if path is not None:
            found[path] = SHIFTS[type(context.module)](context.module)
        return function(*args, **kwargs)

    label = jax.ShapeDtypeStruct((1,), jnp.int32) if labelled else None
    given = (jax.ShapeDtypeStruct((1,), dtype), jax.ShapeDtypeStruct((1, d), dtype), label)
    with nn.intercept_methods(call):
        shapes = jax.eval_shape(module.init, jax.random.key(0), *given)
    flat: dict[str, Any] = traverse_util.flatten_dict(shapes, sep="/")
    return {k: s for k, s in found.items() if flat[k].ndim == (2 if s == Shifts() else 4)}


def _of_conv(module: Any) -> Shifts:
    half = module.size // 2
    return Shifts(module.size, module.stride, module.padding or ((half, half), (half, half)))


SHIFTS: dict[type, Callable[[Any], Shifts]] = {nn.Dense: lambda _: Shifts(), Conv: _of_conv}
