"""Curvature searches on functions whose curvature is known everywhere."""

import jax
import jax.numpy as jnp
import numpy as np

from fineq.nlqr.landscape import convexity_radius, curvature, worst_curvature

KEY = jax.random.key(3)
CENTRE = jnp.zeros((1, 3))


def quartic(K, problem):
    """`|x|²/2 - |x|⁴/12`: Hessian eigenvalues 1 - r² (radial) and 1 - r²/3."""
    r2 = jnp.sum(K**2)
    return r2 / 2 - r2**2 / 12


def test_curvature_at_the_centre():
    found = curvature(quartic, CENTRE, None)
    np.testing.assert_allclose((found.mu, found.h), (1.0, 1.0), rtol=1e-12)


def test_worst_curvature_finds_the_sphere():
    """On the ball of radius 1/2 the infimum of μ is 1 - 1/4 and the supremum of h is 1."""
    found = worst_curvature(quartic, KEY, CENTRE, 0.5, None)
    # Half of the samples lie on the sphere itself, where the infimum is attained.
    np.testing.assert_allclose(found.mu, 0.75, rtol=1e-9)
    np.testing.assert_allclose(found.h, 1.0, rtol=1e-9)


def cubic(K, problem):
    """Curvature along x1 is 1 + x1: its worst point on the ball is the single point -r e1."""
    return jnp.sum(K**2) / 2 + K[0, 0] ** 3 / 6


def test_worst_curvature_climbs_to_an_isolated_worst_point():
    found = worst_curvature(cubic, KEY, CENTRE, 0.5, None, num_samples=4, num_steps=40)
    # Projected steps of length r/(2+i): the last leave the worst point by less than r/20.
    assert 0.5 <= float(found.mu) <= 0.5 + 0.5 / 20
    assert 1.5 - 0.5 / 20 <= float(found.h) <= 1.5 + 1e-12


def test_convexity_radius_of_the_quartic_is_one():
    found = convexity_radius(quartic, KEY, CENTRE, 2.0, None, num_bisections=20)
    # The bracket of 2/8 is halved 20 times.
    np.testing.assert_allclose(found, 1.0, atol=0.25 / 2**20 + 1e-12)


def test_convexity_radius_is_capped_where_nothing_is_found():
    found = convexity_radius(quartic, KEY, CENTRE, 0.5, None)
    np.testing.assert_allclose(found, 0.5)


def test_infinite_curvature_counts_as_the_worst():
    def edge(K, problem):
        return jnp.sum(K**2) * jnp.where(jnp.sum(K**2) < 0.01, 1.0, jnp.nan)

    found = worst_curvature(edge, KEY, CENTRE, 1.0, None)
    assert found.mu == -jnp.inf
    assert found.h == jnp.inf
