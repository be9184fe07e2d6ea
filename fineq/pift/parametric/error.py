"""How far a policy is from a reference, in the metric of the price.

    error = E Σ_t |σ_t^{-1} (m_t(Y_t) - m*_t(Y_t))|²  =  2 Σ_t E KL(m, m*),

with Y on the reference's own paths. For a discretised SDE controlled by σ u with λ = 1 this is the
control L2 error E ∫ |u - u*|² dt of the stochastic control literature.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from fineq.pift.parametric.paths import Costate, gains, scaled, simulate
from fineq.pift.problem import Problem


class Reference(NamedTuple):
    """Where a policy is compared with a reference.

    Attributes:
        states: Y_0..Y_{T-1} on paths of the reference, `[T, N, d]`.
        costates: of the reference there, `[T, N, d]`.
    """

    states: Array
    costates: Array

    def squares(self, problem: Problem, costate: Costate) -> Array:
        """Σ_t |σ_t^{-1}(m_t - m*_t)|² along each path, `[N]`."""
        times = jnp.arange(problem.num_steps)
        found = jax.vmap(lambda t, y: jax.vmap(lambda x: costate(t, x))(y))(times, self.states)
        apart = found - self.costates
        each = jax.vmap(lambda g, e, b: jnp.sum(e * scaled(g, e), -1) / b)
        return jnp.sum(each(gains(problem), apart, problem.betas), axis=0)

    def error(self, problem: Problem, costate: Costate) -> Array:
        """The control error of a costate, estimated on these paths."""
        return jnp.mean(self.squares(problem, costate))

    def errors(self, problem: Problem, costate: Costate) -> dict[str, Array]:
        """The control error by the name under which methods record it."""
        return {"error": self.error(problem, costate)}

    def size(self, problem: Problem) -> Array:
        """The error of changing nothing: what relative errors are relative to."""
        each = jax.vmap(lambda g, e, b: jnp.sum(e * scaled(g, e), -1) / b)
        return jnp.mean(jnp.sum(each(gains(problem), self.costates, problem.betas), axis=0))


def reference_on_paths(key: Array, problem: Problem, costate: Costate, num_paths: int) -> Reference:
    """Simulate a reference policy and keep what it does.

    Raises:
        InputError: for fewer than one path.
    """
    paths = simulate(key, problem, costate, num_paths)
    return Reference(paths.states[:-1], paths.costates)
