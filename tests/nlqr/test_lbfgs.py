"""L-BFGS and the matrix-free certificates on quadratics with a known spectrum."""

import jax
import jax.numpy as jnp
import numpy as np

from fineq.nlqr.lbfgs import LBFGS, extreme_curvature, newton_decrement

EPS = np.finfo(np.float64).eps


def quadratic(K, problem):
    H, centre = problem
    x = (K - centre).ravel()
    return 1.0 + 0.5 * x @ H @ x


def problem(condition, size=6):
    rng = np.random.default_rng(1)
    vectors = np.linalg.qr(rng.normal(size=(size, size)))[0]
    H = vectors @ np.diag(np.geomspace(1.0, condition, size)) @ vectors.T
    return jnp.asarray((H + H.T) / 2), jnp.asarray(rng.normal(size=(2, size // 2)))


def test_lbfgs_reaches_the_minimum_of_a_quadratic():
    H, centre = problem(100.0)
    start = centre + 1.0
    by = LBFGS(objective=quadratic)
    state = by.init(None, (H, centre), start)
    step = jax.jit(lambda state, problem: by.step(None, state, problem))
    for _ in range(39):
        state, _ = step(state, (H, centre))
    state, info = step(state, (H, centre))
    assert info.relative_decrement < 1e-16
    # A gradient known to eps |H| pins the minimum down to cond(H) eps.
    np.testing.assert_allclose(state.K, centre, atol=100 * 20 * EPS)
    np.testing.assert_allclose(state.cost, 1.0, rtol=4 * EPS)


def test_newton_decrement_is_the_cost_left_to_gain():
    H, centre = problem(100.0)
    K = centre + 0.3
    left = newton_decrement(quadratic, K, (H, centre))
    np.testing.assert_allclose(left, quadratic(K, (H, centre)) - 1.0, rtol=1e-9)


def test_extreme_curvature_is_the_edge_of_the_spectrum():
    H, centre = problem(1e6)
    found = extreme_curvature(quadratic, jax.random.key(0), centre, (H, centre))
    # The full Krylov space: eigenvalues to rounding of the largest.
    np.testing.assert_allclose((found.mu, found.h), (1.0, 1e6), atol=50 * EPS * 1e6)


def test_extreme_curvature_survives_a_space_that_closes_early():
    """All eigenvalues equal: the first vector spans an invariant space."""
    found = extreme_curvature(quadratic, jax.random.key(0), jnp.ones((2, 3)), (3 * jnp.eye(6), 0.0))
    np.testing.assert_allclose((found.mu, found.h), (3.0, 3.0), rtol=50 * EPS)


def test_few_products_bound_the_spectrum_from_inside():
    H, centre = problem(1e3, size=12)
    found = extreme_curvature(quadratic, jax.random.key(0), centre, (H, centre), num_products=4)
    assert 1.0 <= float(found.mu) < 1e3
    assert 1.0 < float(found.h) <= 1e3 * (1 + 50 * EPS)
