"""How far the Krylov path of kernel descent can be trusted, and its degrees of freedom.

The path of `fineq.ntk.lanczos` leaves its space only through the block after the last: what that
adds up to over training bounds the error, without any eigenvalue of the Gram matrix.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from fineq.errors import InputError
from fineq.ntk.lanczos import Krylov, length
from fineq.ntk.spectral import Freedom, Kind, filters

NODES = 200  # training times at which the defect of the Krylov path is looked at


class Accuracy(NamedTuple):
    """Upper bounds on the error of the Krylov path at S training times, per column of labels.

    Attributes:
        fitted: root mean square over the N points, `[S, labels]`.
        norm: in the norm of the RKHS, `[S, labels]`; √κ(z, z) times it is the error at any z.
        converged: whether `fitted` is at most the tolerance times the labels' root mean square.
        until: the last of the times that is converged for all columns; NaN if none is.
    """

    fitted: Array
    norm: Array
    converged: Array
    until: Array


@partial(jax.jit, static_argnames="kind")
def error_bounds(
    space: Krylov,
    eta: ArrayLike,
    times: ArrayLike,
    kind: Kind = "steps",
    tolerance: ArrayLike = 1e-6,
) -> Accuracy:
    """What to think of `descend(space.spectrum, labels, eta, times, kind)`, for η ≤ 2/λ_max.

    The Krylov path obeys the recursion of gradient descent up to a defect η F e_τ, e_τ the last
    coordinates of its residual. A stable descent never magnifies a defect, so their sum over steps
    bounds the error (their integral for the flow; here an upper sum over `NODES` times). Ridge
    regression has one defect, over μ. The rounding of K is added to first order in it.
    """
    values, count = space.spectrum.values, space.spectrum.vectors.shape[0]
    times = jnp.atleast_1d(jnp.asarray(times, values.dtype))
    scale = jnp.linalg.norm(space.loads, axis=0) / jnp.sqrt(count)

    def defects(at: Array) -> tuple[Array, Array]:
        taken = filters(values, eta, at, kind)
        left, slope = (
            jnp.einsum("cp,sp,pl->scl", space.ends, factor, space.loads) / jnp.sqrt(count)
            for factor in (taken.left, taken.slope)
        )
        # Of the predictions on the points, and of the coefficients in the norm of the RKHS.
        predicted = slope if kind == "ridge" else left
        return length(space.beyond[0], predicted), length(space.beyond[1], slope)

    if kind == "ridge":
        fitted, norm = defects(times)
        norm = eta * times[:, None] * norm
    else:
        horizon = jnp.max(jnp.where(jnp.isinf(times), 1, times), initial=2.0)
        later = jnp.geomspace(1, horizon, NODES, dtype=times.dtype)
        nodes = jnp.concatenate([jnp.zeros(1, times.dtype), later])
        fitted, norm = (_upper_sum(times, nodes, jnp.multiply(eta, x)) for x in defects(nodes))
    rounding = space.rounding * eta * times[:, None] * scale[None, :]
    fitted, norm = fitted + rounding, norm + rounding * jnp.sqrt(eta * times)[:, None]
    converged = fitted <= tolerance * scale[None, :]
    every = jnp.all(converged, axis=1)
    until = jnp.max(jnp.where(every, times, -1))
    return Accuracy(fitted, norm, converged, jnp.where(until < 0, jnp.nan, until))


def _upper_sum(times: Array, nodes: Array, x: Array) -> Array:
    """∫_0^τ x from above for x `[nodes, L]` monotone between nodes: `[times, L]`; ∞ at ∞."""
    highest = jnp.maximum(x[:-1], x[1:])
    inside = jnp.clip(times[:, None] - nodes[None, :-1], 0, jnp.diff(nodes)[None, :])
    return jnp.where(jnp.isinf(times)[:, None], jnp.inf, inside @ highest)


@partial(jax.jit, static_argnames="kind")
def estimated_freedom(
    space: Krylov, eta: ArrayLike, times: ArrayLike, kind: Kind = "steps"
) -> tuple[Freedom, Freedom]:
    """Degrees of freedom at times `[S]`, and their standard errors over the probes (two or more).

    Means of p' H_τ p and p' (I - H_τ)² p over the probes p (Hutchinson's estimate of a trace).
    """
    if space.probe_loads.shape[1] < 2:
        raise InputError("degrees of freedom need a Krylov space with two probes or more")
    taken = filters(space.spectrum.values, eta, times, kind)
    squares = jnp.square(space.probe_loads)
    each = Freedom(taken.fitted @ squares, jnp.square(taken.left) @ squares)
    count = squares.shape[1] ** 0.5
    mean = Freedom(*(jnp.mean(x, axis=1) for x in each))
    return mean, Freedom(*(jnp.std(x, axis=1, ddof=1) / count for x in each))
