"""The smallest β of linear-quadratic problems: for the paper's step, and for an optimum, exact.

The plain inner step contracts where the largest |eigenvalue| of L'P_{t+1}L, L L' = S_t, is below
β_t; a unique maximiser needs only the largest positive one to be (`pift/threshold`).
"""

from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from fineq.fast.lapack import after
from fineq.pift import lq
from fineq.pift.lq import LinearQuadratic, Solution
from fineq.pift.problem import with_beta
from fineq.pift.tilting import chain_bridge

LOW, HIGH, HALVINGS = 1e-8, 1e8, 80  # a factor 1e16 halved 80 times on a log scale: to rounding


class Thresholds(NamedTuple):
    """The exact thresholds of one problem.

    Attributes:
        plain: β above which max_t |λ|(L'P_{t+1}L) < β.
        posed: β above which max_t λ(L'P_{t+1}L) < β; `LOW` or less where nothing curves up.
        step: the t that binds at `plain`, over T - 1.
        conditional: largest eigenvalue of Cov(Y_T | Y_0)^{1/2} P Cov(Y_T | Y_0)^{1/2} for the
            pre-trained chain, which `posed` equals.
    """

    plain: Array
    posed: Array
    step: Array
    conditional: Array


def threshold(arrays: LinearQuadratic, holds: Callable[[Solution], Array]) -> Array:
    """Where a property of the optimum that holds for all large β begins to, by bisection."""

    def halve(_: Array, ends: tuple[Array, Array]) -> tuple[Array, Array]:
        low, high = ends
        middle = (low + high) / 2
        good = holds(lq.optimum(with_beta(arrays, jnp.exp(middle))))
        return jnp.where(good, low, middle), jnp.where(good, middle, high)

    dtype = arrays.betas.dtype
    ends = (jnp.asarray(np.log(LOW), dtype), jnp.asarray(np.log(HIGH), dtype))
    return jnp.exp(lax.fori_loop(0, HALVINGS, halve, ends)[1])


def thresholds(arrays: LinearQuadratic) -> Thresholds:
    """All of them, whatever the problem's own β."""

    def contracts(found: Solution) -> Array:
        # Below well-posedness there is no optimum, and nothing to contract to.
        return found.well_posed & jnp.all(found.ratios < 1)

    plain = threshold(arrays, contracts)
    arrays = after(plain, arrays)
    posed = threshold(arrays, lambda found: found.well_posed)
    arrays = after(posed, arrays)
    at = lq.optimum(with_beta(arrays, plain))
    arrays = after(at, arrays)
    bridge = chain_bridge(arrays.A, arrays.b, arrays.L @ jnp.swapaxes(arrays.L, -1, -2))
    half = jnp.linalg.cholesky(bridge.C)
    conditional = jnp.linalg.eigvalsh(half.T @ arrays.terminal.P @ half)[-1]
    step = jnp.argmax(at.ratios) / max(arrays.betas.shape[0] - 1, 1)
    return Thresholds(plain, posed, step, conditional)
