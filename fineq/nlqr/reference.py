"""What is known of the solution of a problem, and how far a policy is from it."""

from typing import Any, NamedTuple

import jax.numpy as jnp
from jax import Array

from fineq.iterate import Status


class Optimum(NamedTuple):
    """The optimum K* of a problem, or `[...]` of many: what methods take as their `reference`.

    Attributes:
        K: K*, `[p, n+d]`.
        cost: C(K*).
        mu: smallest eigenvalue of the Hessian at K*.
        h: largest.
        decrement: Newton decrement over the cost, of the cost left to gain; an upper bound where
            Newton's method found K*: that of its last step's start.
        status: a `fineq.Status`: CONVERGED where the decrement is small enough
            (`fineq.nlqr.minimise.DECREMENT`) and the Hessian positive definite.
    """

    K: Array
    cost: Array
    mu: Array
    h: Array
    decrement: Array
    status: Array

    @property
    def converged(self) -> Array:
        """Whether K* was found, bool `[...]`."""
        return self.status == Status.CONVERGED


def against(reference: Any, K: Array, cost: Array) -> dict[str, Array]:
    """The cost of a policy; beside a reference also `gap`, relative to its cost, and `distance`."""
    if reference is None:
        return {"cost": cost}
    gap = (cost - reference.cost) / reference.cost
    return {"cost": cost, "gap": gap, "distance": jnp.linalg.norm(K - reference.K)}
