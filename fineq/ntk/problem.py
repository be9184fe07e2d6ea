"""What is learned from: inputs z and labels y, and fresh inputs at which predictions are looked at.

Every method of this area descends on the loss (1/2N) Σ_j |f(z_j) - y_j|² of a `Regression`
(arXiv 2401.15604), and measures the same of it: `measures`.
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.core import Tracer
from jax.typing import ArrayLike

from fineq.arrays import real_array
from fineq.errors import InputError
from fineq.ntk.tangent import as_points


class Regression(NamedTuple):
    """A regression; make it with `make_regression`.

    Attributes:
        z: inputs `[N, D]`.
        labels: y, `[N, d]`.
        fresh: other inputs at which predictions are recorded, `[M, D]`; M = 0 for none.
    """

    z: Array
    labels: Array
    fresh: Array


def make_regression(z: ArrayLike, labels: ArrayLike, fresh: ArrayLike | None = None) -> Regression:
    """A regression in the precision of z and `fresh`: float64 if one of them is, else float32.

    Args:
        z: inputs `[N, D]`, such as `fineq.ntk.forward.inputs` makes of times and states.
        labels: `[N, d]`, or `[N]` for one output.
        fresh: `[M, D]`; None for none.

    Raises:
        InputError: for arrays that are no real numbers or disagree in shape, and, outside `jit` and
            `vmap`, for numbers that are not finite.
    """
    z, other = as_points(z, z if fresh is None else fresh)
    other = other[:0] if fresh is None else other
    y = real_array("labels", labels, (1, 2)).astype(z.dtype)
    y = y[:, None] if y.ndim == 1 else y
    if y.shape[0] != z.shape[0] or not y.size:
        raise InputError(f"labels must be [N, d] for the {len(z)} inputs, got {y.shape}")
    for name, value in (("inputs", z), ("labels", y), ("fresh inputs", other)):
        if not isinstance(value, Tracer) and not np.all(np.isfinite(value)):
            raise InputError(f"{name} must be finite")
    return Regression(z, y, other)


def loss_of(fitted: Array, problem: Regression) -> Array:
    """(1/2N) Σ_j |f(z_j) - y_j|² of predictions `[N, d]` at the inputs."""
    return jnp.sum(jnp.square(fitted - problem.labels)) / (2 * problem.z.shape[0])


def measures(
    problem: Regression, train: Array, fresh: Array, reference: ArrayLike | None
) -> dict[str, Array]:
    """What the methods of this area record.

    Args:
        problem: what is learned.
        train: predictions at its inputs, `[N, d]`.
        fresh: predictions at its fresh inputs, `[M, d]`.
        reference: what is known of the predictions at the fresh inputs, `[M, d]`: f*, or those of
            another method. None for nothing.

    Returns:
        `train`, `fresh`, the `loss`, and with a reference the `distance` from it, a root mean
        square over fresh inputs of the Euclidean one.

    Raises:
        InputError: for a reference of another shape.
    """
    found = {"train": train, "fresh": fresh, "loss": loss_of(train, problem)}
    if reference is None:
        return found
    known = real_array("reference", reference, 2)
    if known.shape != fresh.shape or not fresh.size:
        raise InputError(
            f"reference must hold predictions at the fresh inputs, {fresh.shape}, got {known.shape}"
        )
    apart = jnp.sum(jnp.square(fresh - known.astype(fresh.dtype)), axis=1)
    return {**found, "distance": jnp.sqrt(jnp.mean(apart))}
