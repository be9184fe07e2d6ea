"""One Bellman step at all points of a grid: the bracket, its inner iterations and its maximiser.

At each y the bracket is V̄(m) - ½ β |m - m0(y)|²_{S^{-1}} with S = diag(σ²). The plain inner
iteration m ← m0 + (S/β) ∇V̄(m) (arXiv 2412.18164) is a gradient step on it, in coordinates m/σ of
length 1/β. Points do not know of each other: they are taken in blocks
(`fineq.fast.blocks`).
"""

from typing import NamedTuple

import chex
import jax.numpy as jnp
from jax import Array, lax

from fineq.pift.grid.spline import Jet
from fineq.pift.grid.tensor import Grid
from fineq.pift.rule import Rule

BLOCK = 65536  # points at once
MAX_STEPS = 60
LEAST_CURVATURE = 1e-6  # of the bracket over β: below it Newton's step is not trusted


class Bracket(NamedTuple):
    """The Bellman bracket of one step.

    Attributes:
        grid: the grid.
        coefficients: of V̄_{t+1}, `[N + 4] * d`.
        sigma: `[d]`.
        beta: β_t.
    """

    grid: Grid
    coefficients: Array
    sigma: Array
    beta: Array

    def jet(self, m: Array) -> Jet:
        """V̄ with its derivatives at means m `[M, d]`."""
        return self.grid.jet(self.coefficients, m)

    def value(self, jet: Jet, m: Array, m0: Array) -> Array:
        """The bracket `[M]`, V̄(m) being known."""
        apart = (m - m0) / self.sigma[None]
        return jet.value - 0.5 * self.beta * jnp.sum(apart * apart, -1)

    def plain(self, jet: Jet, m0: Array) -> Array:
        """m0 + (S/β) ∇V̄(m), `[M, d]`."""
        return m0 + (self.sigma**2 / self.beta)[None] * jet.gradient

    def curvatures(self, jet: Jet) -> tuple[Array, Array]:
        """Least and largest eigenvalue of σ ∇²V̄ σ/β at each point, `[M]`."""
        scaled = jet.hessian * (self.sigma[:, None] * self.sigma[None] / self.beta)[None]
        if self.grid.d == 1:
            return scaled[:, 0, 0], scaled[:, 0, 0]
        a, b, c = scaled[:, 0, 0], scaled[:, 0, 1], scaled[:, 1, 1]
        middle, radius = (a + c) / 2, jnp.hypot((a - c) / 2, b)
        return middle - radius, middle + radius

    def newton(self, jet: Jet, plain_step: Array) -> Array:
        """(I - S ∇²V̄/β)^{-1} times the plain step, where the bracket is concave; else damped."""
        lowest, highest = self.curvatures(jet)
        largest = jnp.maximum(jnp.abs(lowest), jnp.abs(highest))
        damped = plain_step / (1 + largest)[:, None]
        scale = self.sigma**2 / self.beta
        if self.grid.d == 1:
            exact = plain_step / (1 - scale[0] * jet.hessian[:, 0])
        else:
            H = jet.hessian * scale[None, :, None]
            a, b, c, e = 1 - H[:, 0, 0], -H[:, 0, 1], -H[:, 1, 0], 1 - H[:, 1, 1]
            u, v = plain_step[:, 0], plain_step[:, 1]
            exact = jnp.stack([e * u - b * v, a * v - c * u], -1) / (a * e - b * c)[:, None]
        concave = 1 - highest > LEAST_CURVATURE
        return jnp.where(concave[:, None], exact, damped)


def improved(bracket: Bracket, jet: Jet, m: Array, m0: Array, rule: Rule, rho: Array) -> Array:
    """One inner iteration from m `[M, d]`, where V̄ has the derivatives `jet`.

    `plain`: the paper's. `damped`: the fraction 1/(1 + ρ) of that step. `newton`: Newton's step.
    """
    chex.assert_equal_shape([m, m0, jet.gradient])
    step = bracket.plain(jet, m0) - m
    if rule == "plain":
        return m + step
    if rule == "damped":
        return m + step / (1 + rho)
    return m + bracket.newton(jet, step)


class Best(NamedTuple):
    """A maximiser of the bracket.

    Attributes:
        mean: `[M, d]`.
        value: of the bracket there, `[M]`.
        residual: `[M]`, length of the plain step that is left.
    """

    mean: Array
    value: Array
    residual: Array


def maximiser(bracket: Bracket, m0: Array, start: Array, tolerance: float) -> Best:
    """Newton's method from `start [M, d]`, with steps halved where the bracket would fall.

    Where the bracket is not concave it climbs by damped gradient steps: the end is a maximum, the
    only one where the step is well posed. Stops when no point moves by more than `tolerance`
    (relative to 1 + |m|).
    """
    chex.assert_rank(m0, 2)
    chex.assert_equal_shape([m0, start])
    # The bracket itself is known to rounding only: a fall by less than this is none.
    slack = 1e3 * jnp.finfo(start.dtype).eps

    def climb(state: _Climb) -> _Climb:
        trial = state.mean + state.share[:, None] * state.direction
        jet = bracket.jet(trial)
        height = bracket.value(jet, trial, m0)
        plain = bracket.plain(jet, m0) - trial
        onwards = bracket.newton(jet, plain)
        size = jnp.abs(onwards).max(-1) / (1 + jnp.abs(trial).max(-1))
        better = height >= state.height - slack * (1 + jnp.abs(state.height))
        pick = better[:, None]
        return _Climb(
            state.steps + 1,
            jnp.where(pick, trial, state.mean),
            jnp.where(better, height, state.height),
            jnp.where(pick, onwards, state.direction),
            jnp.where(better, 1.0, state.share / 2),
            jnp.where(better, jnp.linalg.norm(plain, axis=-1), state.residual),
            jnp.where(better, size, jnp.inf),
        )

    def going(state: _Climb) -> Array:
        return (state.steps < MAX_STEPS) & (jnp.max(state.left) > tolerance)

    infinite = jnp.full(start.shape[0], jnp.inf, start.dtype)
    still, whole = jnp.zeros_like(start), jnp.ones_like(infinite)
    first = _Climb(jnp.zeros((), int), start, -infinite, still, whole, infinite, infinite)
    end = lax.while_loop(going, climb, first)
    return Best(end.mean, end.height, end.residual)


class _Climb(NamedTuple):
    """Where a climb is: point, height, next direction, share of it to take, what is left to go."""

    steps: Array
    mean: Array
    height: Array
    direction: Array
    share: Array
    residual: Array
    left: Array
