"""The optimum of a linear-quadratic problem, exactly: the Bellman equation backwards in t.

With P = P_{t+1} and E = (I - S P/β)^{-1},

    m* = E (m0 + S p/β),   P_t = A'P E A,   p_t = A'E'(P b + p).

Source: arXiv 2412.18164 (`pift/optimality`).
"""

from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp
from jax import Array, lax

from fineq.arrays import prefer_float64
from fineq.pift.lq.problem import LinearQuadratic, Policy
from fineq.pift.lq.values import with_terminal
from fineq.pift.rewards import Quadratic


class Solution(NamedTuple):
    """The optimum.

    Attributes:
        value: V_0..V_T, leaves `[T + 1, ...]`; NaN before a step that is not well posed.
        policy: the optimal means; NaN likewise.
        lowest, highest: `[T]`, extreme eigenvalues of L'P_{t+1}L/β_t: the largest in absolute value
            is the contraction ratio of step t, and `highest` < 1 is what makes it well posed.
        direction: `[T, d]`, the direction (through L) in which the Bellman bracket curves up most.
        well_posed: every step has a unique maximiser; else the value is infinite.
    """

    value: Quadratic
    policy: Policy
    lowest: Array
    highest: Array
    direction: Array
    well_posed: Array

    @property
    def ratios(self) -> Array:
        """ρ_t of the plain inner iteration at V_{t+1}, `[T]`."""
        return jnp.maximum(-self.lowest, self.highest)


@jax.jit
def optimum(lq: LinearQuadratic) -> Solution:
    """Solve the Bellman equation exactly, backwards in t."""
    prefer_float64("pift.lq.optimum")
    T, d = lq.b.shape
    chex.assert_shape([lq.A, lq.L, lq.betas], [(T, d, d), (T, d, d), (T,)])

    def step(carry: tuple[Quadratic, Array], now: tuple) -> tuple:
        (after, well_posed), (A, b, L, beta, P, p, c) = carry, now
        curvature, vectors = jnp.linalg.eigh(L.T @ after.P @ L)
        well_posed = well_posed & (curvature[-1] < beta)
        # I - S P/β = L (I - L'PL/β) L^{-1}: its inverse, times L, from the same eigenvectors.
        V = L @ vectors
        G = (V / (beta - curvature)[None]) @ V.T  # (β S^{-1} - P)^{-1}

        def improved(m0: Array, p: Array) -> Array:
            return m0 + G @ (after.P @ m0 + p)

        F = jax.vmap(improved, (1, None), 1)(A, jnp.zeros_like(b))
        f = improved(b, after.p)
        PF = after.P @ F
        new_P = A.T @ PF + P
        new_p = F.T @ (after.P @ b + after.p) + p
        new_c = after.c + 0.5 * jnp.trace(L.T @ after.P @ L) + c
        g = after.P @ b + after.p
        new_c = new_c + 0.5 * b @ after.P @ b + after.p @ b + 0.5 * g @ G @ g
        value = Quadratic((new_P + new_P.T) / 2, new_p, new_c)
        value, policy = jax.tree.map(
            lambda x: jnp.where(well_posed, x, jnp.nan), (value, Policy(F, f))
        )
        return (value, well_posed), (
            value,
            policy,
            curvature[0] / beta,
            curvature[-1] / beta,
            V[:, -1] / jnp.linalg.norm(V[:, -1]),
            well_posed,
        )

    inputs = (lq.A, lq.b, lq.L, lq.betas, *lq.running)
    (_, well_posed), found = lax.scan(step, (lq.terminal, jnp.asarray(True)), inputs, reverse=True)
    value, policy, lowest, highest, direction, _ = found
    return Solution(with_terminal(value, lq), policy, lowest, highest, direction, well_posed)
