"""Curvature of the cost around a policy, measured (`nlqr/landscape`).

μ and h are the extreme eigenvalues of the Hessian of the cost. At K* they fix the asymptotic rate
of gradient descent; their worst values over a ball are what the paper's theorem speaks of. A search
over a ball can only find bad points, never exclude worse ones: what is found bounds inf μ from
above, sup h from below, and the radius of strong convexity from above.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from fineq.nlqr.objective import Expand, Objective, expander


class Curvature(NamedTuple):
    """Extreme eigenvalues of the Hessian: `mu` smallest, `h` largest."""

    mu: Array
    h: Array


def curvature(
    objective: Objective, K: Array, problem: Any, expand: Expand | None = None
) -> Curvature:
    """Extreme eigenvalues of the Hessian of the objective at K."""
    expand = expander(objective, expand)
    values = jnp.linalg.eigvalsh(expand(K, problem).hessian)
    return Curvature(values[0], values[-1])


class _Chain(NamedTuple):
    """One search: a unit direction from the centre, and whether it seeks large h or small μ."""

    U: Array
    seeks_h: Array


def _unit(U: Array) -> Array:
    """U over its Frobenius norm; a zero stays zero."""
    return U / jnp.maximum(jnp.linalg.norm(U), jnp.finfo(U.dtype).tiny)


def _slope(objective: Objective, here: Array, K: Array, v: Array, problem: Any) -> Array:
    """Gradient of `v'H(K)v` in K, which is that of the eigenvalue whose unit vector is v.

    A central second difference of gradients along v, `here` the gradient at K: it only steers a
    search, and a third derivative takes longer to compile than all the rest.
    """
    step = jnp.finfo(K.dtype).eps ** 0.25 * (1.0 + jnp.linalg.norm(K))
    sides = K[None] + jnp.stack([step, -step])[:, None, None] * v[None]
    ahead, behind = jax.vmap(jax.grad(objective), in_axes=(0, None))(sides, problem)
    return (ahead - 2 * here + behind) / step**2


def curvature_profile(
    objective: Objective,
    key: Array,
    centre: Array,
    radii: Array,
    problem: Any,
    *,
    num_chains: int = 2,
    num_steps: int = 3,
    expand: Expand | None = None,
) -> Curvature:
    """Worst curvature found on the Frobenius spheres `|K - centre| = radii`.

    Chains of points walk outward from sphere to sphere; on each they turn halfway towards the
    gradient of the extreme eigenvalue they seek (`∂λ = v'(∂H)v`, v its vector): they rest where it
    points outward, as at an extreme point it must. Half of them seek small μ, half large h; every
    point visited counts for both.

    Args:
        objective: `(K, problem) -> scalar`, twice differentiable.
        key: of the chains' first directions.
        centre: policy `[p, n+d]`.
        radii: `[R]`, increasing; 0 looks at the centre.
        problem: handed to the objective.
        num_chains: chains of either kind (static).
        num_steps: looks, each followed by a turn, on each sphere (static).
        expand: `(K, problem) -> Expansion`, where there is a faster way than differentiation.

    Returns:
        `mu [R]`, an upper bound on the least μ of each sphere, and `h [R]`, a lower bound on the
        largest h; -inf and inf where the Hessian of some point is not finite.
    """
    expand = expander(objective, expand)
    first = jax.vmap(_unit)(jax.random.normal(key, (2 * num_chains, *centre.shape), centre.dtype))

    def look(chain: _Chain, radius: Array) -> tuple[_Chain, Curvature]:
        K = centre + radius * chain.U
        found = expand(K, problem)
        values, vectors = jnp.linalg.eigh(found.hessian)
        v = jnp.where(chain.seeks_h, vectors[:, -1], vectors[:, 0]).reshape(K.shape)
        towards = jnp.where(chain.seeks_h, 1.0, -1.0)
        towards = towards * _slope(objective, found.gradient, K, v, problem)
        turned = _unit(chain.U + _unit(towards))
        U = jnp.where(jnp.all(jnp.isfinite(turned)), turned, chain.U)
        return chain._replace(U=U), Curvature(values[0], values[-1])

    def step(chains: _Chain, radius: Array) -> tuple[_Chain, Curvature]:
        return jax.vmap(look, in_axes=(0, None))(chains, radius)

    chains = _Chain(first, jnp.arange(2 * num_chains) >= num_chains)
    found = jax.lax.scan(step, chains, jnp.repeat(radii, num_steps))[1]
    mu, h = (x.reshape(len(radii), -1) for x in found)
    return Curvature(
        jnp.min(jnp.where(jnp.isfinite(mu), mu, -jnp.inf), axis=1),
        jnp.max(jnp.where(jnp.isfinite(h), h, jnp.inf), axis=1),
    )


def over_balls(profile: Curvature) -> Curvature:
    """From spheres to balls: the worst up to each radius, `mu [R]` and `h [R]`."""
    return Curvature(
        jax.lax.cummin(profile.mu, axis=profile.mu.ndim - 1),
        jax.lax.cummax(profile.h, axis=profile.h.ndim - 1),
    )


def convexity_radius(radii: Array, mu: Array) -> Array:
    """The first of the radii `[R]` with `mu <= 0`, inf where there is none.

    An upper bound on the radius of the largest ball around their centre with a convex cost.
    """
    bad = ~(mu > 0)  # True for NaN
    return jnp.where(jnp.any(bad), radii[jnp.argmax(bad)], jnp.inf)
