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

from fineq.nlqr.optimum import Expand, Objective, differentiated
from fineq.nlqr.random_systems import spectral_radius
from fineq.nlqr.stability import PowerBound, closed_loop, power_bound

# Places between ρ(A - B K1) and 1 at which ρ1 is tried: near 0 c1 explodes, near 1 1 - ρ1 vanishes.
RHO_PLACES = (0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.7)


class Curvature(NamedTuple):
    """Extreme eigenvalues of the Hessian: `mu` smallest, `h` largest."""

    mu: Array
    h: Array


def curvature(
    objective: Objective, K: Array, problem: Any, expand: Expand | None = None
) -> Curvature:
    """Extreme eigenvalues of the Hessian of the objective at K."""
    expand = expand or differentiated(objective)
    values = jnp.linalg.eigvalsh(expand(K, problem).hessian)
    return Curvature(values[0], values[-1])


class _Chain(NamedTuple):
    """One search: a unit direction from the centre, and whether it seeks large h or small μ."""

    U: Array
    seeks_h: Array


def _unit(U: Array) -> Array:
    """U over its Frobenius norm; a zero stays zero."""
    return U / jnp.maximum(jnp.linalg.norm(U), jnp.finfo(U.dtype).tiny)


def _slope(objective: Objective, K: Array, v: Array, problem: Any) -> Array:
    """Gradient of `v'H(K)v` in K, which is that of the eigenvalue whose unit vector is v."""

    def curved(x: Array) -> Array:
        return jax.jvp(lambda y: jax.grad(objective)(y, problem), (x,), (v,))[1]

    return jax.jvp(curved, (K,), (v,))[1]


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
        objective: `(K, problem) -> scalar`, three times differentiable.
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
    expand = expand or differentiated(objective)
    first = jax.vmap(_unit)(jax.random.normal(key, (2 * num_chains, *centre.shape), centre.dtype))

    def look(chain: _Chain, radius: Array) -> tuple[_Chain, Curvature]:
        K = centre + radius * chain.U
        values, vectors = jnp.linalg.eigh(expand(K, problem).hessian)
        v = jnp.where(chain.seeks_h, vectors[:, -1], vectors[:, 0]).reshape(K.shape)
        towards = jnp.where(chain.seeks_h, 1.0, -1.0) * _slope(objective, K, v, problem)
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


class TheoremConstants(NamedTuple):
    """What the paper's sufficient condition asks of this instance, up to absolute factors.

    Attributes:
        lipschitz: largest ℓ the theorem allows.
        gradient_lipschitz: largest ℓ' the theorem allows.
        delta: radius δ of its ball around K_lin.
        smoothness: its bound on h.
        strong_convexity: its lower bound σ_x σ on μ.
    """

    lipschitz: Array
    gradient_lipschitz: Array
    delta: Array
    smoothness: Array
    strong_convexity: Array


def theorem_constants(
    system: Any, K_lin: Array, sigma_x: Array, bound: Array, c1_lin: Array, rho1_lin: Array
) -> TheoremConstants:
    """The theorem's constants for one instance (`nlqr/landscape`; arXiv 2303.08431).

    With `c1 = 2 c1_lin`, `ρ1 = (1 + ρ1_lin)/2`, `c2 = 2|C - B K2_lin|` and
    `Γ = max(|A|, |B|, |C|, |K_lin|_F, 1)`. The theorem assumes `|Q|, |R| <= 1`: the cost is
    divided by their larger norm when that exceeds 1, and what scales with it is scaled back.

    Args:
        system: the control problem's system.
        K_lin: the linear initial policy `[p, n+d]`.
        sigma_x: `λ_min(E ψψ')` over the initial law.
        bound: D0 with `|x0| <= D0`.
        c1_lin: with `rho1_lin`, `|(A - B K1_lin)^t| <= c1_lin rho1_lin^t`.
        rho1_lin: see `c1_lin`.
    """
    A, B, C, Q, R = system.A, system.B, system.C, system.Q, system.R

    def norm(M: Array) -> Array:
        return jnp.linalg.norm(M, 2)

    unit = jnp.maximum(jnp.maximum(norm(Q), norm(R)), 1.0)
    sigma = jnp.linalg.eigvalsh(R + B.T @ Q @ B)[0] / unit
    c1, gap = 2 * c1_lin, 1 - (1 + rho1_lin) / 2
    c2 = 2 * norm(C - B @ K_lin[:, A.shape[0] :])
    gamma = jnp.max(jnp.stack([norm(A), norm(B), norm(C), jnp.linalg.norm(K_lin), jnp.ones(())]))
    s = sigma_x * sigma
    return TheoremConstants(
        lipschitz=gap**7 * s**2 / ((c1 + c2) * c2 * c1**7 * (1 + gamma) ** 8 * bound**3),
        gradient_lipschitz=gap**8
        * s**2
        / ((c1 + c2) ** 2 * c2**2 * c1**16 * (1 + gamma) ** 6 * bound**4),
        delta=gap**4 * s / ((c1 + c2) * c1**6 * gamma**2 * bound),
        smoothness=gamma**4 * c1**4 * bound**2 / gap**2 * unit,
        strong_convexity=s * unit,
    )


def best_theorem_constants(
    system: Any, K_lin: Array, sigma_x: Array, bound: Array
) -> tuple[TheoremConstants, PowerBound]:
    """The theorem's constants for the `ρ1_lin` that allows the largest ℓ, with c1_lin and ρ1_lin.

    Any `ρ1_lin` above the spectral radius of `A - B K1_lin` has its c1_lin; the theorem leaves the
    choice open, so it is given the best of `RHO_PLACES`.
    """
    loop = closed_loop(system, K_lin)
    radius = spectral_radius(loop)
    rho1 = radius + (1 - radius) * jnp.asarray(RHO_PLACES, K_lin.dtype)
    bounds = jax.vmap(lambda rho: power_bound(loop, rho))(rho1)
    constants = jax.vmap(lambda c1, rho: theorem_constants(system, K_lin, sigma_x, bound, c1, rho))(
        bounds.c1, bounds.rho1
    )
    best = jnp.argmax(jnp.where(bounds.certified, constants.lipschitz, -jnp.inf))
    return jax.tree.map(lambda x: x[best], (constants, bounds))
