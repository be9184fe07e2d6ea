"""Curvature of the cost around a policy, measured (`nlqr/landscape`).

μ and h are the extreme eigenvalues of the Hessian of the cost. At K* they fix the asymptotic rate
of gradient descent; their worst values over a ball are what the paper's theorem speaks of. A search
over a ball can only find bad points, never exclude worse ones: `worst_curvature` bounds inf μ from
above and sup h from below, and `convexity_radius` bounds the radius of convexity from above.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from fineq.nlqr.optimum import Objective, hessian


class Curvature(NamedTuple):
    """Extreme eigenvalues of the Hessian: `mu` smallest, `h` largest."""

    mu: Array
    h: Array


def curvature(objective: Objective, K: Array, problem: Any) -> Curvature:
    """Extreme eigenvalues of the Hessian of the objective at K."""
    values = jnp.linalg.eigvalsh(hessian(objective, K, problem))
    return Curvature(values[0], values[-1])


def _extreme_vector(objective: Objective, K: Array, problem: Any, index: int) -> Array:
    _, vectors = jnp.linalg.eigh(hessian(objective, K, problem))
    return jax.lax.stop_gradient(vectors[:, index].reshape(K.shape))


def _second_derivative(objective: Objective, K: Array, v: Array, problem: Any) -> Array:
    def slope(x: Array) -> Array:
        return jax.jvp(lambda y: objective(y, problem), (x,), (v,))[1]

    return jax.jvp(slope, (K,), (v,))[1]


def _project(K: Array, centre: Array, radius: Array) -> Array:
    offset = K - centre
    distance = jnp.linalg.norm(offset)
    return centre + offset * jnp.minimum(1.0, radius / jnp.maximum(distance, radius * 1e-12))


def _unit(key: Array, num: int, like: Array) -> Array:
    U = jax.random.normal(key, (num, *like.shape), like.dtype)
    return U / jnp.linalg.norm(U, axis=(1, 2), keepdims=True)


def worst_curvature(
    objective: Objective,
    key: Array,
    centre: Array,
    radius: Array,
    problem: Any,
    *,
    num_samples: int = 32,
    num_steps: int = 8,
) -> Curvature:
    """Smallest μ and largest h found in the Frobenius ball `|K - centre| <= radius`.

    Random points of the ball and of its sphere, then projected steps along the gradient of the
    extreme eigenvalue (`∂λ = v'(∂H)v`) from the worst of them.

    Returns:
        A one-sided bound: `mu` bounds the infimum over the ball from above, `h` the supremum from
        below. Non-finite curvature (a policy that does not stabilise) counts as `mu = -inf`,
        `h = inf`.
    """
    key_direction, key_length = jax.random.split(key)
    U = _unit(key_direction, num_samples, centre)
    dimension = centre.size
    length = jax.random.uniform(key_length, (num_samples,), centre.dtype) ** (1.0 / dimension)
    length = jnp.where(jnp.arange(num_samples) % 2 == 0, 1.0, length)
    points = jnp.concatenate([centre[None], centre[None] + radius * length[:, None, None] * U])
    found = jax.lax.map(lambda K: curvature(objective, K, problem), points)
    mu = jnp.where(jnp.isfinite(found.mu), found.mu, -jnp.inf)
    h = jnp.where(jnp.isfinite(found.h), found.h, jnp.inf)

    def refine(start: Array, index: int, sign: float) -> Array:
        def ascend(i: Array, K: Array) -> Array:
            v = _extreme_vector(objective, K, problem, index)
            g = jax.grad(lambda x: _second_derivative(objective, x, v, problem))(K)
            step = sign * radius / (2.0 + i) * g / (jnp.linalg.norm(g) + jnp.finfo(g.dtype).tiny)
            return _project(jnp.where(jnp.isfinite(step), K + step, K), centre, radius)

        return jax.lax.fori_loop(0, num_steps, ascend, start)

    low = curvature(objective, refine(points[jnp.argmin(mu)], 0, -1.0), problem).mu
    high = curvature(objective, refine(points[jnp.argmax(h)], -1, 1.0), problem).h
    return Curvature(jnp.fmin(jnp.min(mu), low), jnp.fmax(jnp.max(h), high))


def convexity_radius(
    objective: Objective,
    key: Array,
    centre: Array,
    largest: Array,
    problem: Any,
    *,
    num_directions: int = 16,
    num_bisections: int = 12,
) -> Array:
    """Distance to the nearest non-convex point found along random rays, at most `largest`.

    Along each ray the smallest distance on a grid of eight with `λ_min(H) <= 0` (or not finite) is
    refined by bisection. An upper bound on the radius of the largest convex ball around `centre`.
    """
    directions = _unit(key, num_directions, centre)

    def convex(s: Array, U: Array) -> Array:
        return curvature(objective, centre + s * U, problem).mu > 0  # False for NaN

    def along(U: Array) -> Array:
        grid = largest * jnp.arange(1, 9, dtype=centre.dtype) / 8
        ok = jax.lax.map(lambda s: convex(s, U), grid)
        first = jnp.argmin(ok)

        def halve(_: int, bracket: tuple[Array, Array]) -> tuple[Array, Array]:
            low, high = bracket
            middle = (low + high) / 2
            inside = convex(middle, U)
            return jnp.where(inside, middle, low), jnp.where(inside, high, middle)

        bracket = (grid[first] - largest / 8, grid[first])
        _, high = jax.lax.fori_loop(0, num_bisections, halve, bracket)
        return jnp.where(jnp.all(ok), largest, high)

    return jnp.min(jax.lax.map(along, directions))


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
