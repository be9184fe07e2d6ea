"""LAPACK calls of one program, one after the other.

jaxlib's batched LAPACK routines wait for work that they put into the thread pool they run on: on a
machine with two cores, two of them side by side can wait for each other forever (seen in jaxlib
0.10.2). XLA runs side by side what does not depend on each other, and of an order made by
`lax.optimization_barrier` nothing is left in the compiled program.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax


def after(done: Any, x: Any) -> Any:
    """The arrays `x` with the same numbers, known only when those of `done` are.

    What LAPACK makes of `x` waits for what it has made of `done`. Under `vmap` `x` has the members
    of `done`, too. Derivatives are those of `x`.

    Args:
        done: a pytree.
        x: likewise; whole numbers and booleans pass as they are.
    """
    seen = sum(jnp.sum(jnp.abs(leaf)) for leaf in jax.tree.leaves(done) if _inexact(leaf))
    # Always 0, which the compiler does not know.
    zero = lax.stop_gradient(jnp.minimum(jnp.nan_to_num(jnp.asarray(seen)), 0))
    return jax.tree.map(lambda leaf: leaf - zero.astype(leaf.dtype) if _inexact(leaf) else leaf, x)


def _inexact(leaf: Any) -> bool:
    return jnp.issubdtype(jnp.result_type(leaf), jnp.inexact)
