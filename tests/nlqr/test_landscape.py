"""Curvature searches on functions whose curvature is known everywhere."""

import jax
import jax.numpy as jnp
import numpy as np

from fineq.nlqr.landscape import (
    Curvature,
    convexity_radius,
    curvature,
    curvature_profile,
    over_balls,
)

KEY = jax.random.key(3)
CENTRE = jnp.zeros((1, 3))
RADII = jnp.linspace(0.0, 1.5, 7)


def quartic(K, problem):
    """`|x|²/2 - |x|⁴/12`: Hessian eigenvalues 1 - r² (radial) and 1 - r²/3."""
    r2 = jnp.sum(K**2)
    return r2 / 2 - r2**2 / 12


def cubic(K, problem):
    """Curvature along x1 is 1 + x1: its worst points on a sphere are -r e1 (μ) and r e1 (h)."""
    return jnp.sum(K**2) / 2 + K[0, 0] ** 3 / 6


def test_curvature_at_the_centre():
    found = curvature(quartic, CENTRE, None)
    np.testing.assert_allclose((found.mu, found.h), (1.0, 1.0), rtol=1e-12)


def test_the_profile_of_the_quartic_is_known_on_every_sphere():
    found = curvature_profile(quartic, KEY, CENTRE, RADII, None)
    # Every point of a sphere has the same eigenvalues: only rounding of the Hessian remains.
    np.testing.assert_allclose(found.mu, 1 - RADII**2, atol=1e-13)
    np.testing.assert_allclose(found.h, 1 - RADII**2 / 3, atol=1e-13)


def test_the_profile_finds_isolated_worst_points():
    radii = RADII[1:]
    found = curvature_profile(cubic, KEY, CENTRE, radii, None, num_chains=4, num_steps=8)
    # A chain on the right side (4 start at random) halves its angle, at most π/2, seven times
    # before the last look at its first sphere: r (1 - cos(2^-7 π/2)) = 8e-5 r is missing there.
    np.testing.assert_array_less(1 - radii - 1e-12, found.mu)
    np.testing.assert_allclose(found.mu, 1 - radii, atol=1e-4)
    np.testing.assert_array_less(found.h, 1 + radii + 1e-12)
    np.testing.assert_allclose(found.h, 1 + radii, atol=1e-4)


def test_balls_hold_the_spheres_within():
    found = over_balls(Curvature(jnp.array([2.0, 1.0, 3.0]), jnp.array([4.0, 6.0, 5.0])))
    np.testing.assert_array_equal(found.mu, [2.0, 1.0, 1.0])
    np.testing.assert_array_equal(found.h, [4.0, 6.0, 6.0])


def test_convexity_radius_is_the_first_bad_sphere():
    """The quartic is convex up to 1; of the spheres looked at, the first one at or beyond it."""
    profile = curvature_profile(quartic, KEY, CENTRE, jnp.array([0.5, 0.9, 1.1, 1.5]), None)
    np.testing.assert_array_equal(
        convexity_radius(jnp.array([0.5, 0.9, 1.1, 1.5]), profile.mu), 1.1
    )
    assert convexity_radius(jnp.array([0.5, 0.9]), profile.mu[:2]) == jnp.inf


def test_infinite_curvature_counts_as_the_worst():
    def edge(K, problem):
        return jnp.sum(K**2) * jnp.where(jnp.sum(K**2) < 0.01, 1.0, jnp.nan)

    found = curvature_profile(edge, KEY, CENTRE, jnp.array([0.0, 1.0]), None)
    np.testing.assert_array_equal(found.mu, [2.0, -jnp.inf])
    np.testing.assert_array_equal(found.h, [2.0, jnp.inf])
