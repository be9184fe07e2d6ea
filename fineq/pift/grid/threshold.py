"""The smallest β at which something holds, and what can be asked of a grid at many β at once."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from fineq.errors import InputError
from fineq.pift.grid.nested import nested
from fineq.pift.grid.posed import Gridded
from fineq.pift.grid.solve import Optimum, optimum
from fineq.pift.problem import with_beta
from fineq.pift.rule import Rule

LATE = 4  # a rate is measured over the last quarter of the iterations
FLOOR = 1e-11  # changes below this are rounding: the iteration has converged
STALLED = 1e-3  # an iteration whose changes fall by less than this per step does not converge


class Threshold(NamedTuple):
    """A threshold in β between `low`, where the property fails, and `high`, where it holds."""

    low: float
    high: float

    @property
    def value(self) -> float:
        """The geometric middle."""
        return float(np.sqrt(self.low * self.high))


@jax.jit
def optima(problem: Gridded, betas: Array) -> Optimum:
    """The optimum at each of `betas [B]`, leaves `[B, ...]`, in one program."""
    return jax.vmap(lambda beta: optimum(at_beta(problem, beta)))(betas)


@partial(jax.jit, static_argnames=("num_inner", "rule"))
def changes(problem: Gridded, betas: Array, num_inner: int, rule: Rule = "plain") -> Array:
    """|m^{i+1} - m^i| of nested PI-FT at each of `betas [B]`, `[B, T, num_inner]`, in one program.

    Raises:
        InputError: for num_inner < 1 or an unknown rule.
    """
    return jax.vmap(lambda beta: nested(at_beta(problem, beta), num_inner, rule).changes)(betas)


def at_beta(problem: Gridded, beta: Array) -> Gridded:
    """The same problem on the same grid at another β."""
    return problem._replace(problem=with_beta(problem.problem, beta))


def late_rates(changes: Array) -> Array:
    """Ratio by which changes `[..., n]` fall per iteration over the last quarter, `[...]`.

    0 where they have reached rounding; infinite where they are not finite.
    """
    n = changes.shape[-1]
    span = max(n // LATE, 1)
    last, before = changes[..., -1], changes[..., -1 - span]
    rate = (last / before) ** (1 / span)
    return jnp.where(jnp.isfinite(last), jnp.where(last <= FLOOR, 0.0, rate), jnp.inf)


def converges(changes: Array) -> Array:
    """Whether inner iterations with changes `[..., T, n]` converge at every t, `[...]`."""
    return jnp.all(late_rates(changes) < 1 - STALLED, axis=-1)


def smallest_beta(
    holds: Callable[[Array], Array],
    low: float,
    high: float,
    *,
    precision: float = 1e-4,
    at_once: int = 16,
) -> Threshold:
    """Where a property that holds for all large β begins to hold, by bisection into many parts.

    Args:
        holds: from `[B]` values of β to `[B]` truth values.
        low: β at which to begin.
        high: β at which to end.
        precision: relative width of the answer.
        at_once: B.

    Returns:
        The bracket; (0, low) when the property holds at `low`, (high, inf) when not at `high`.

    Raises:
        InputError: unless 0 < low < high and at_once >= 3.
    """
    if not 0 < low < high:
        raise InputError(f"a threshold needs 0 < low < high, got {low:g} and {high:g}")
    if at_once < 3:
        raise InputError(f"at_once must be at least 3 to narrow a bracket, got {at_once}")
    bounds = [low, high]
    first = True
    while first or bounds[1] > bounds[0] * (1 + precision):
        betas = np.geomspace(bounds[0], bounds[1], at_once)
        found = np.asarray(holds(jnp.asarray(betas)))
        # The property may come and go below: what counts is that it holds from here on upwards.
        failing = np.flatnonzero(~found)
        if not failing.size:
            return Threshold(0.0, low) if first else Threshold(*_around(betas, 0))
        last = int(failing[-1])
        if last == at_once - 1:
            return Threshold(high, np.inf) if first else Threshold(*_around(betas, last - 1))
        bounds, first = list(_around(betas, last)), False
    return Threshold(*map(float, bounds))


def _around(betas: np.ndarray, i: int) -> tuple[float, float]:
    return float(betas[i]), float(betas[i + 1])
