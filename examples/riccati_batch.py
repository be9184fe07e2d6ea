"""A batch of Riccati equations: a thousand plants at once, and how costs move with a plant."""

import jax
import jax.numpy as jnp

from fineq import nlqr

jax.config.update("jax_enable_x64", True)

keys = jax.random.split(jax.random.key(0), 2)
A = 0.4 * jax.random.normal(keys[0], (1000, 4, 4))
B = jax.random.normal(keys[1], (1000, 4, 2))
found = nlqr.dare(A, B, jnp.eye(4), jnp.eye(2))
print(
    f"{int(jnp.sum(found.status == 0))} of 1000 solved, worst residual {found.residual.max():.1e}"
)

# P and K have derivatives: how the cost tr P of the first plant changes with each entry of its A.
slope = jax.grad(lambda A: jnp.trace(nlqr.dare(A, B[0], jnp.eye(4), jnp.eye(2)).P))(A[0])
print(f"d tr P / dA of the first plant:\n{slope.round(3)}")
