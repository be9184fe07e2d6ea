"""Small plants with weighted initial states."""

import jax.numpy as jnp
import numpy as np

from fineq.nlqr.laws import Points
from fineq.nlqr.problem import System


def make_points(*states):
    states = jnp.asarray(states, float)
    weights = jnp.arange(1.0, len(states) + 1)
    return Points(states, weights / jnp.sum(weights))


def random_case(seed, phi, n=2, p=2, num_points=3, scale=0.7):
    """A loop that decays slowly, so that the last steps of a long horizon still count."""
    rng = np.random.default_rng(seed)
    d = phi.num_features(n)

    def draw(*shape):
        return jnp.asarray(0.1 * rng.normal(size=shape))

    A = rng.normal(size=(n, n))
    A *= 0.95 / np.max(np.abs(np.linalg.eigvals(A)))
    half_Q, half_R = rng.normal(size=(n, n)), rng.normal(size=(p, p))
    system = System(
        jnp.asarray(A),
        draw(n, p),
        draw(n, d),
        jnp.asarray(half_Q @ half_Q.T),
        jnp.asarray(half_R @ half_R.T + np.eye(p)),
        jnp.asarray(scale),
        phi,
    )
    K = jnp.asarray(0.2 * rng.normal(size=system.policy_shape))
    return K, system, make_points(*rng.normal(size=(num_points, n)))
