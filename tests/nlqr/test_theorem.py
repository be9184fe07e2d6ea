"""The theorem's constants by hand, and how they scale."""

import jax
import jax.numpy as jnp
import numpy as np

from fineq.nlqr.features import Sine
from fineq.nlqr.laws import sigma_x, sphere_points
from fineq.nlqr.problem import System, psi
from fineq.nlqr.theorem import Plants, best_theorem_constants, excitation, theorem_constants


def plant(K=((0.0, 0.0, 1.0, 0.0),)):
    """Norms to be read off: |A| = 0.5, |B| = 2, |C| = 3, Q = 4 I, R = I."""
    return Plants(
        np.diag([0.5, 0.25]),
        np.array([[2.0], [0.0]]),
        np.diag([3.0, 1.0]),
        4.0 * np.eye(2),
        np.eye(1),
        np.array(K),
    )


def test_the_theorems_constants_by_hand():
    """K = (0, (1, 0)): c2 = 2 |C - B K2| = 2, Γ = 3; unit 4, so σ = (1 + 2·4·2)/4 = 17/4."""
    found = theorem_constants(plant(), 0.01, 2.0, 1.5, 0.5)
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
    """Doubling Q and R (both beyond norm 1) doubles the bounds on μ and h and nothing else."""
    one = plant([[0.1, 0.2, 1.0, 0.0]])
    two = one._replace(Q=2 * one.Q, R=2 * one.R)
    first = theorem_constants(one, 0.01, 2.0, 1.5, 0.5)
    second = theorem_constants(two, 0.01, 2.0, 1.5, 0.5)
    factors = np.array([1.0, 1.0, 1.0, 2.0, 2.0])
    np.testing.assert_allclose(np.array(second) / np.array(first), factors, rtol=1e-12)


def test_a_batch_is_its_members():
    pair = Plants(
        *(np.stack([a, b]) for a, b in zip(plant(), plant([[0.1, 0.2, 1.0, 0.0]]), strict=True))
    )
    numbers = (
        np.array([0.01, 0.02]),
        np.array([1.0, 2.0]),
        np.array([1.5, 2.5]),
        np.array([0.5, 0.6]),
    )
    both = theorem_constants(pair, *numbers)
    for i in range(2):
        alone = theorem_constants(Plants(*(x[i] for x in pair)), *(x[i] for x in numbers))
        np.testing.assert_allclose([x[i] for x in both], alone, rtol=1e-13)


def test_the_best_pair_is_the_one_that_allows_most():
    """The largest ℓ is allowed by the pair with the largest (1 - ρ1)^7/((c1 + c2) c1^7)."""
    c1, rho1 = np.array([5.0, 1.2, 1.1]), np.array([0.3, 0.4, 0.95])
    found, best_c1, best_rho1 = best_theorem_constants(plant(), 0.01, 2.0, c1, rho1)
    scores = ((1 - rho1) / 2) ** 7 / ((2 * c1 + 2) * (2 * c1) ** 7)
    assert (best_c1, best_rho1) == (c1[np.argmax(scores)], rho1[np.argmax(scores)])
    assert found == theorem_constants(plant(), 0.01, 2.0, best_c1, best_rho1)


def test_excitation_is_that_of_the_law():
    """The same σ_x as `fineq.nlqr.laws.sigma_x`, which is tested against closed forms."""
    A, B, C, Q, R, _ = map(jnp.asarray, plant())
    system = System(A, B, C, Q, R, jnp.asarray(0.3), Sine())
    points = sphere_points(2, 1.0, 7)
    regressors = jax.vmap(lambda x: psi(system, x))(points.points)
    found = excitation(np.asarray(regressors), np.asarray(points.weights))
    # Singular values to a few rounding units of the largest (0.8), squared: relative 1e-12 of σ_x.
    np.testing.assert_allclose(found, sigma_x(system, points), rtol=1e-11)
