"""Lower bounds on the Lipschitz constants ℓ of φ and ℓ' of ∇φ, by search over a ball.

Where `phi.lipschitz` knows a formula it is an upper bound; this search closes in from below, and is
all there is for a user's function. Both constants are suprema, so a search can only under-estimate.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from fineq.nlqr.problem import Features


class LipschitzEstimate(NamedTuple):
    """Lower bounds, scalars: `lipschitz` on ℓ, `gradient_lipschitz` on ℓ'."""

    lipschitz: Array
    gradient_lipschitz: Array


def _into_ball(x: Array) -> Array:
    """Project on the unit ball."""
    return x / jnp.maximum(1.0, jnp.linalg.norm(x))


def _spectral_norm(M: Array) -> Array:
    return jnp.linalg.svd(M, compute_uv=False)[0]


def _ascend(value: Callable[[Array], Array], start: Array, num_steps: int) -> Array:
    """Climb from `start` by normalised gradient steps that never lose height."""

    def step(carry: tuple[Array, Array, Array], _: None) -> tuple[tuple[Array, Array, Array], None]:
        z, height, length = carry
        slope = jax.grad(value)(z)
        size = jnp.maximum(jnp.linalg.norm(slope), jnp.finfo(z.dtype).tiny)
        candidate = z + length * slope / size
        reached = value(candidate)
        better = reached > height
        z = jnp.where(better, candidate, z)
        return (z, jnp.where(better, reached, height), length * jnp.where(better, 1.5, 0.4)), None

    first = (start, value(start), jnp.asarray(0.1, start.dtype))
    return jax.lax.scan(step, first, None, num_steps)[0][1]


def _search(value: Callable[[Array], Array], starts: Array, climbs: int, num_steps: int) -> Array:
    heights = jax.vmap(value)(starts)
    best = starts[jnp.argsort(-heights)[:climbs]]
    return jnp.max(jax.vmap(lambda z: _ascend(value, z, num_steps))(best))


def _quotients(phi: Callable[[Array], Array], key: Array, points: Array) -> tuple[Array, Array]:
    """Return the largest quotients |Δφ|/|Δz| and |Δ∇φ|/|Δz| over pairs at many distances."""
    key_direction, key_distance = jax.random.split(key)
    shift = jax.random.normal(key_direction, points.shape, points.dtype)
    shift /= jnp.linalg.norm(shift, axis=-1, keepdims=True)
    decades = jax.random.uniform(key_distance, (len(points), 1), points.dtype, -3.0, 0.0)
    others = jax.vmap(_into_ball)(points + 10**decades * shift)
    apart = jnp.linalg.norm(points - others, axis=-1)

    def largest(function: Callable[[Array], Array]) -> Array:
        change = jax.vmap(function)(points) - jax.vmap(function)(others)
        norms = jax.vmap(_spectral_norm)(change.reshape(*change.shape[:2], -1))
        return jnp.max(jnp.where(apart > 0, norms / jnp.where(apart > 0, apart, 1.0), 0.0))

    return largest(phi), largest(jax.jacfwd(phi))


def estimate_lipschitz(
    phi: Features,
    scale: ArrayLike,
    n: int,
    radius: ArrayLike,
    key: Array,
    *,
    num: int = 512,
    climbs: int = 16,
    num_steps: int = 60,
) -> LipschitzEstimate:
    """Search the ball `|x| <= radius` in R^n for the largest |∇φ| and |∇²φ|.

    `ℓ = sup |∇φ(x)|` and `ℓ' = sup |∇²φ(x)|` (largest over unit directions v of the spectral norm
    of the derivative of ∇φ along v): `num` points are drawn, the best `climbs` of them climb for
    `num_steps` steps; pairs of points add difference quotients, which see kinks that derivatives
    do not. Lower bounds on the constants over the ball; `phi` needs at least one feature.
    """
    key_points, key_radii, key_direction, key_pairs = jax.random.split(key, 4)
    dtype = jnp.result_type(scale, radius, float)
    radius = jnp.asarray(radius, dtype)

    # In units of the radius: derivatives of `inner` are `radius` times those of φ for each order.
    def inner(z: Array) -> Array:
        return phi(radius * z, jnp.asarray(scale, dtype))

    def slope(z: Array) -> Array:
        return _spectral_norm(jax.jacfwd(inner)(_into_ball(z)))

    def bend(joint: Array) -> Array:
        v = joint[n:] / jnp.maximum(jnp.linalg.norm(joint[n:]), jnp.finfo(dtype).tiny)
        return _spectral_norm(jax.jvp(jax.jacfwd(inner), (_into_ball(joint[:n]),), (v,))[1])

    directions = jax.random.normal(key_points, (num, n), dtype)
    lengths = jax.random.uniform(key_radii, (num, 1), dtype) ** (1 / n)
    points = lengths * directions / jnp.linalg.norm(directions, axis=-1, keepdims=True)
    along = jax.random.normal(key_direction, (num, n), dtype)
    first = _search(slope, points, climbs, num_steps)
    second = _search(bend, jnp.concatenate([points, along], axis=1), climbs, num_steps)
    first_pairs, second_pairs = _quotients(inner, key_pairs, points)
    return LipschitzEstimate(
        jnp.maximum(first, first_pairs) / radius, jnp.maximum(second, second_pairs) / radius**2
    )
