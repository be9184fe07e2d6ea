"""The closed loop of a policy: its spectral radius, and constants that bound all its powers.

The paper's argument needs `|(A - B K1)^t| <= c1 ρ1^t` for all t with c1 >= 1 and ρ1 < 1; here the
least such c1 for a given ρ1 is found. Source: arXiv 2303.08431 (`nlqr/landscape`).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from fineq.nlqr.problem import System, split_policy
from fineq.nlqr.random_systems import spectral_norm, spectral_radius


class PowerBound(NamedTuple):
    """Constants with `|M^t| <= c1 rho1^t` (spectral norm) for all t >= 0; scalars.

    `radius` is ρ(M); `steps` how many powers were formed; `certified` says that the bound is proved
    (to rounding) for all t. Where it is not, `c1` is the supremum over the powers formed only.
    """

    radius: Array
    c1: Array
    rho1: Array
    steps: Array
    certified: Array


def closed_loop(system: System, K: Array) -> Array:
    """Return `A - B K1 [n, n]` for a policy K `[p, n + d]`: the linear part the paper bounds."""
    K1, _ = split_policy(K, system.n)
    return system.A - system.B @ K1


def linearisation(system: System, K: Array) -> Array:
    """Return the Jacobian of the closed loop at 0, `A - B K1 + (C - B K2) ∇φ(0)`, `[n, n]`.

    The origin is exponentially stable exactly when its spectral radius is below 1; of states far
    from 0 this says nothing.
    """
    K1, K2 = split_policy(K, system.n)
    slope = jax.jacfwd(system.phi)(jnp.zeros(system.n, system.A.dtype), system.scale)
    return system.A - system.B @ K1 + (system.C - system.B @ K2) @ slope


def power_bound(M: Array, rho1: ArrayLike | None = None, *, max_steps: int = 10_000) -> PowerBound:
    """Find the least c1 with `|M^t| <= c1 rho1^t` for all t >= 0, M `[n, n]`.

    `rho1` is (1 + ρ(M))/2 by default. With N = M/rho1, c1 = max_t |N^t|, and once |N^s| <= 1 no
    later power exceeds the first s ones: then the maximum is exact, and certified. Where
    rho1 <= ρ(M) (by default: where ρ(M) >= 1), or `max_steps` powers do not suffice, `certified`
    is False.
    """
    radius = spectral_radius(M)
    rho1 = jnp.asarray((1 + radius) / 2 if rho1 is None else rho1, M.dtype)
    possible = radius < rho1
    scaled = M / rho1

    def unsettled(carry: tuple[Array, Array, Array, Array]) -> Array:
        _, norm, _, steps = carry
        # The power of step 0 is the identity, whose norm 1 settles nothing.
        return possible & ((norm > 1) | (steps == 0)) & (steps < max_steps)

    def multiply(
        carry: tuple[Array, Array, Array, Array],
    ) -> tuple[Array, Array, Array, Array]:
        power, _, largest, steps = carry
        power = power @ scaled
        norm = spectral_norm(power)
        return power, norm, jnp.maximum(largest, norm), steps + 1

    one = jnp.ones((), M.dtype)
    start = (jnp.eye(len(M), dtype=M.dtype), one, one, jnp.zeros((), jnp.int32))
    _, norm, largest, steps = jax.lax.while_loop(unsettled, multiply, start)
    return PowerBound(radius, largest, rho1, steps, possible & (steps > 0) & (norm <= 1))


def policy_bound(system: System, K: Array, *, max_steps: int = 10_000) -> PowerBound:
    """Return `power_bound` of the closed loop `A - B K1` of a policy K `[p, n + d]`."""
    return power_bound(closed_loop(system, K), max_steps=max_steps)
