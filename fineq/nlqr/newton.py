"""Newton's method on the cost of a policy, to the last digits.

The cost is smooth near a stabilising policy but not convex far from one, so each step solves the
Newton system with the absolute values of the Hessian's eigenvalues and takes the best of a fixed
set of step lengths. Near a minimum this is Newton's method and converges quadratically.
The Newton decrement is `½ g' H^{-1} g`: to second order, the cost that is left to gain.
Where a dense Hessian does not fit: `fineq.nlqr.lbfgs`.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from fineq.iterate import Method, method, static
from fineq.nlqr.objective import Expand, Objective, expander, expected_cost
from fineq.nlqr.policies import initial_policy
from fineq.nlqr.reference import against

# 1, 1/2, ..., 2^-12: below that a Newton direction that does not descend is rounding.
STEP_LENGTHS = tuple(0.5**i for i in range(13))
# Rounding units of the cost within which costs do not tell policies apart.
ROUNDING_UNITS = 64


class NewtonState(NamedTuple):
    """The policy `K [p, n+d]` and its cost."""

    K: Array
    cost: Array


class NewtonInfo(NamedTuple):
    """Quantities at the policy the step *started* from.

    Attributes:
        decrement: `½ g' |H|^{-1} g`, in units of cost.
        relative_decrement: the decrement over the cost.
        mu: smallest Hessian eigenvalue; negative where the cost is not convex.
        h: largest.
        step: accepted step length, 0 when no length lowered the cost.
    """

    decrement: Array
    relative_decrement: Array
    mu: Array
    h: Array
    step: Array


@method
class Newton(Method):
    """Newton's method on a cost, `K <- K - s |H|^{-1} g` with s the best of `STEP_LENGTHS`.

    It measures `cost`, `decrement` (over the cost), `mu`, `h` and `step`, of which all but the
    first belong to the policy that the last step started from; beside a reference also `gap` and
    `distance`.

    Attributes:
        tolerance: relative decrement at which it is done; None goes on for the whole budget.
        objective: `(K, problem) -> scalar`, twice differentiable; default the cost of a `Problem`.
        expand: `(K, problem) -> Expansion` of it, where there is a faster way than differentiation.
    """

    reads = ("K", "cost")

    tolerance: Any = None
    objective: Objective = static(default=expected_cost)
    expand: Expand | None = static(default=None)

    @property
    def stops(self) -> bool:
        """Whether there is a tolerance."""
        return self.tolerance is not None

    def init(self, key: Array | None, problem: Any, start: ArrayLike | None) -> NewtonState:
        """At `start [p, n + d]`, or at K_lin."""
        del key
        K = initial_policy(problem, start)
        return NewtonState(K, self.objective(K, problem))

    def step(
        self, key: Array | None, state: NewtonState, problem: Any
    ) -> tuple[NewtonState, NewtonInfo]:
        """Make one step; a policy that no length improves stays."""
        del key
        here = expander(self.objective, self.expand)(state.K, problem)
        values, vectors = jnp.linalg.eigh(here.hessian)
        direction, decrement = _newton_direction(here.gradient.ravel(), values, vectors)
        lengths = jnp.asarray(STEP_LENGTHS, state.K.dtype)
        candidates = state.K[None] - lengths[:, None, None] * direction.reshape(1, *state.K.shape)
        costs = jax.vmap(self.objective, in_axes=(0, None))(candidates, problem)
        costs = jnp.where(jnp.isfinite(costs), costs, jnp.inf)
        best, better = _choose(costs, state.cost, decrement, values[0])
        accepted = NewtonState(
            jnp.where(better, candidates[best], state.K), jnp.where(better, costs[best], state.cost)
        )
        length = jnp.where(better, lengths[best], 0.0)
        relative = decrement / state.cost
        return accepted, NewtonInfo(decrement, relative, values[0], values[-1], length)

    def measure(
        self, state: NewtonState, info: NewtonInfo, problem: Any, reference: Any
    ) -> dict[str, Array]:
        """See the class."""
        del problem
        seen = {"decrement": info.relative_decrement, "mu": info.mu, "h": info.h, "step": info.step}
        return {**against(reference, state.K, state.cost), **seen}

    def done(self, state: NewtonState, info: NewtonInfo, problem: Any, reference: Any) -> Array:
        """Whether the relative decrement has fallen to the tolerance."""
        del state, problem, reference
        return info.relative_decrement <= self.tolerance if self.stops else jnp.bool_(False)

    def value(self, state: NewtonState, problem: Any) -> Array:
        """K, `[p, n + d]`."""
        del problem
        return state.K


def _choose(costs: Array, cost: Array, decrement: Array, mu: Array) -> tuple[Array, Array]:
    """The index of the step length to take, and whether to take it.

    The one of least cost, if it descends; near a minimum, where the gain is lost in the rounding
    of the costs, the full step: there Newton's method knows better than the costs.
    """
    rounding = ROUNDING_UNITS * jnp.finfo(cost.dtype).eps * jnp.abs(cost)
    final = (mu > 0) & (decrement <= rounding) & (costs[0] <= cost + rounding)
    best = jnp.where(final, 0, jnp.argmin(costs))
    return best, final | (costs[best] < cost)


def _newton_direction(g: Array, values: Array, vectors: Array) -> tuple[Array, Array]:
    """`|H|^{-1} g` and `½ g' |H|^{-1} g`, with eigenvalues floored at rounding of the largest."""
    largest = jnp.max(jnp.abs(values))
    floor = largest * g.size * jnp.finfo(g.dtype).eps + jnp.finfo(g.dtype).tiny
    coordinates = vectors.T @ g
    scaled = coordinates / jnp.maximum(jnp.abs(values), floor)
    return vectors @ scaled, jnp.sum(coordinates * scaled) / 2
