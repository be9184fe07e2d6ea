"""Tangent kernels of finite networks, none of which stores a Jacobian.

For outputs i, j the kernel is `K_ij(z, z') = Σ_p ∂f_i(z)/∂p ∂f_j(z')/∂p` over the trained
parameters p. Both functions return it as `[d, d, N1, N2]`: `K[i, j]` is the matrix of a pair of
outputs.

The two-layer network `f_i(z) = m^{-1/2} Σ_r A_ri relu(w_r·z)`, of which only the w_r are trained,
has

    K_ij(z, z') = z·z' (1/m) Σ_r A_ri A_rj 1{w_r·z > 0} 1{w_r·z' > 0}

(arXiv 2401.15604): products of indicator matrices. It is within order m^{-1/2} of `δ_ij κ(z, z')`
when w_r is standard normal and A_ri = ±1 independent (`ntk/kernel-limit`).
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.typing import ArrayLike

from fineq.arrays import real_array
from fineq.errors import InputError
from fineq.fast.blocks import split
from fineq.ntk.pairs import products
from fineq.ntk.tangent import as_points

Apply = Callable[[Any, Array], Array]
UNITS = 1024


def two_layer_kernel(
    W: ArrayLike, A: ArrayLike, z1: ArrayLike, z2: ArrayLike, units: int = UNITS
) -> Array:
    """Return the kernel `[d, d, N1, N2]` of the two-layer network in closed form.

    Args:
        W: input weights `[m, D]`. A unit with w·z = 0 counts as inactive.
        A: output weights `[m, d]`, of any values.
        z1: points `[N1, D]`.
        z2: points `[N2, D]`.
        units: units whose indicators are held at a time, `units (2 N1 + N2)` numbers; with the
            d(d + 1)/2 distinct pairs of outputs and the result that is all, whatever m is.

    For A = ±1 the counts are exact integers. Raises `InputError` for shapes that disagree and
    `units` below 1.
    """
    z1, z2 = as_points(z1, z2)
    W, A = (real_array(name, x).astype(z1.dtype) for name, x in (("W", W), ("A", A)))
    if W.ndim != 2 or A.ndim != 2 or len(W) != len(A) or W.shape[1] != z1.shape[1]:
        raise InputError(
            f"weights must be [m, {z1.shape[1]}] and [m, d], got {W.shape} and {A.shape}"
        )
    if units < 1:
        raise InputError(f"units must be at least 1, got {units}")
    return _two_layer(W, A, z1, z2, min(units, len(W)))


@partial(jax.jit, static_argnums=4)
def _two_layer(W: Array, A: Array, z1: Array, z2: Array, units: int) -> Array:
    m, d = A.shape
    # A unit of weight zero is never active.
    groups = [split(x, units, fill="constant") for x in (W, A)]
    first, second = np.triu_indices(d)

    def add(total: Array, group: list[Array]) -> tuple[Array, None]:
        w, a = group
        active1, active2 = (products(w, z) > 0 for z in (z1, z2))
        signs = (a[:, first] * a[:, second]).T

        def pair(given: tuple[Array, Array]) -> Array:
            so_far, sign = given
            return so_far + products(
                jnp.where(active1, sign[:, None], 0).T, active2.T.astype(w.dtype)
            )

        return lax.map(pair, (total, signs)), None

    start = jnp.zeros((len(first), len(z1), len(z2)), z1.dtype)
    total = lax.scan(add, start, groups)[0] * (products(z1, z2) / m)[None]
    place = np.zeros((d, d), int)
    place[first, second] = place[second, first] = np.arange(len(first))
    return total[place]


def module_kernel(
    apply: Apply,
    params: Any,
    z1: ArrayLike,
    z2: ArrayLike,
    trained: Callable[[str], bool] | None = None,
    block: int = 1,
) -> Array:
    """Return the kernel `[d, d, N1, N2]` of any differentiable network.

    One reverse pass for each point of z2 and output gives a change of the parameters, one forward
    pass the answer of all points of z1 to it.

    Args:
        apply: `(params, points [N, D]) -> [N, d]`, such as `module.apply` of a Flax module. Points
            must not see each other (no batch statistics). Hashed: pass the same function again
            and nothing is compiled anew.
        params: its parameters, any pytree.
        z1: points `[N1, D]`.
        z2: points `[N2, D]`.
        trained: which leaves count, by their path such as `params/Dense_0/kernel`; default all.
        block: points of z2 at a time: `block d` copies of the trained parameters are held, and the
            activations of z1.

    Raises `InputError` if no leaf is trained, the output is not `[N, d]`, or `block` is below 1.
    """
    z1, z2 = as_points(z1, z2)
    paths, structure = jax.tree.flatten_with_path(params)
    chosen = tuple(trained is None or bool(trained(_name(path))) for path, _ in paths)
    if not any(chosen):
        names = ", ".join(_name(path) for path, _ in paths)
        raise InputError(f"trained must choose at least one of the parameters: {names}")
    if block < 1:
        raise InputError(f"block must be at least 1, got {block}")
    shape = jax.eval_shape(apply, params, z1).shape
    if len(shape) != 2 or shape[0] != len(z1):
        raise InputError(f"the network must return [{len(z1)}, d], got {shape}")
    leaves = [leaf for _, leaf in paths]
    return _module(apply, structure, chosen, block, leaves, z1, z2)


def _name(path: Any) -> str:
    return jax.tree_util.keystr(path, simple=True, separator="/")


@partial(jax.jit, static_argnums=(0, 1, 2, 3))
def _module(
    apply: Apply,
    structure: Any,
    chosen: tuple[bool, ...],
    block: int,
    leaves: list[Array],
    z1: Array,
    z2: Array,
) -> Array:
    def outputs(part: list[Array], z: Array) -> Array:
        rest = iter(part)
        merged = [next(rest) if use else leaf for use, leaf in zip(chosen, leaves)]
        return apply(jax.tree.unflatten(structure, merged), z)

    part = [leaf for use, leaf in zip(chosen, leaves) if use]
    at1, forward = jax.linearize(lambda part: outputs(part, z1), part)

    def column(z: Array) -> Array:
        _, backward = jax.vjp(lambda part: outputs(part, z[None])[0], part)
        return jax.vmap(lambda e: forward(*backward(e)))(jnp.eye(at1.shape[1], dtype=at1.dtype))

    return lax.map(column, z2, batch_size=block).transpose(3, 1, 2, 0)
