"""Curvature searches on functions whose curvature is known; the theorem's constants by hand."""

import jax
import jax.numpy as jnp
import numpy as np

from fineq.nlqr.features import Sine
from fineq.nlqr.landscape import (
    Curvature,
    best_theorem_constants,
    convexity_radius,
    curvature,
    curvature_profile,
    over_balls,
    theorem_constants,
)
from fineq.nlqr.problem import System

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


def plant():
    """A system whose norms are read off: |A| = 0.5, |B| = 2, |C| = 3, Q = 4 I, R = I."""
    return System(
        jnp.diag(jnp.array([0.5, 0.25])),
        jnp.array([[2.0], [0.0]]),
        jnp.diag(jnp.array([3.0, 1.0])),
        4.0 * jnp.eye(2),
        jnp.eye(1),
        jnp.asarray(1.0),
        Sine(),
    )


def test_the_theorems_constants_by_hand():
    """K = (0, (1, 0)): c2 = 2 |C - B K2| = 2, Γ = 3; unit 4, so σ = (1 + 2·4·2)/4 = 17/4."""
    K = jnp.array([[0.0, 0.0, 1.0, 0.0]])
    found = theorem_constants(plant(), K, 0.01, 2.0, 1.5, 0.5)
    # c1 = 3, 1 - ρ1 = 1/4, c1 + c2 = 5, σ_x σ = 17/400.
    s = 17 / 400
    np.testing.assert_allclose(found.lipschitz, s**2 / (4**7 * 5 * 2 * 3**7 * 4**8 * 2**3))
    np.testing.assert_allclose(
        found.gradient_lipschitz, s**2 / (4**8 * 5**2 * 2**2 * 3**16 * 4**6 * 2**4)
    )
    np.testing.assert_allclose(found.delta, s / (4**4 * 5 * 3**6 * 3**2 * 2))
    # The cost in its own units is four times that with |Q|, |R| <= 1.
    np.testing.assert_allclose(found.smoothness, 4 * 3**4 * 3**4 * 2**2 * 4**2)
    np.testing.assert_allclose(found.strong_convexity, 0.01 * 17)


def test_constants_do_not_depend_on_the_unit_of_cost():
    """Doubling Q and R (both beyond norm 1) doubles μ's and h's bounds and nothing else."""
    K = jnp.array([[0.1, 0.2, 1.0, 0.0]])
    one = plant()
    two = System(one.A, one.B, one.C, 2 * one.Q, 2 * one.R, one.scale, one.phi)
    first = theorem_constants(one, K, 0.01, 2.0, 1.5, 0.5)
    second = theorem_constants(two, K, 0.01, 2.0, 1.5, 0.5)
    factors = np.array([1.0, 1.0, 1.0, 2.0, 2.0])
    np.testing.assert_allclose(np.array(second) / np.array(first), factors, rtol=1e-12)


def test_the_best_rho_allows_no_less_than_any_other():
    system, K = plant(), jnp.array([[0.1, 0.2, 1.0, 0.0]])
    best, bound = best_theorem_constants(system, K, jnp.asarray(0.01), jnp.asarray(2.0))
    loop = np.asarray(system.A - system.B @ K[:, :2])
    powers = [np.linalg.norm(np.linalg.matrix_power(loop, t), 2) for t in range(200)]
    assert np.all(powers <= float(bound.c1) * float(bound.rho1) ** np.arange(200) * (1 + 1e-12))
    radius = max(abs(np.linalg.eigvals(loop)))
    rho = radius + (1 - radius) * 0.5
    c1 = np.max(powers / rho ** np.arange(200))
    other = theorem_constants(system, K, 0.01, 2.0, c1, rho)
    assert best.lipschitz >= other.lipschitz * (1 - 1e-12)
