"""`vmap` over seeds and a parameter by hand: how noise and smoothing radius set the floor."""

import jax
import jax.numpy as jnp

import fineq
from fineq import nlqr

jax.config.update("jax_enable_x64", True)

plant = nlqr.build_system([[0.6]], [[1.0]], [[0.3]], phi=nlqr.Sine())
problem = nlqr.build_problem(plant, nlqr.Sphere(2.0, 1))
star = nlqr.optimum(problem)


def gap(key: jax.Array, radius: jax.Array) -> jax.Array:
    """Mean relative suboptimality over the second half of a descent by the paper's estimate."""
    method = nlqr.PolicyGradient(0.02 / star.h, nlqr.OnePoint(100), radius=radius)
    start = star.K + 0.01
    _, seen = fineq.unroll(problem, method, start=start, key=key, num_steps=100, reference=star)
    return jnp.mean(seen["gap"][50:])


keys, radii = jax.random.split(jax.random.key(0), 16), jnp.array([0.05, 0.1, 0.2])
over_both = jax.vmap(jax.vmap(gap, (0, None)), (None, 0))
for radius, gaps in zip(radii, jax.jit(over_both)(keys, radii), strict=True):
    print(f"r = {radius:.2f}: median gap {jnp.median(gaps):.1e} over {len(keys)} seeds")
