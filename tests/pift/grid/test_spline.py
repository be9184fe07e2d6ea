import jax.numpy as jnp
import numpy as np
import pytest
from scipy.interpolate import make_interp_spline

from fineq.pift.grid import spline
from fineq.pift.grid.tensor import make_grid, normal_quadrature, smoothed


def jets(num, function, x, low=-1.0, high=2.0):
    grid = make_grid([low], [high], num)
    return grid.jet(grid.spline(function(grid.axes[0])), x[:, None])


def test_polynomials_of_degree_five_are_exact_with_both_derivatives():
    p = np.polynomial.Polynomial([0.3, -1.0, 0.7, 0.2, -0.5, 0.4])
    x = np.linspace(-1, 2, 333)
    jet = jets(23, lambda y: jnp.asarray(p(np.asarray(y))), jnp.asarray(x))
    # Rounding of values of order 10, over h and h² with h = 0.14.
    np.testing.assert_allclose(jet.value, p(x), atol=1e-12)
    np.testing.assert_allclose(jet.gradient[:, 0], p.deriv()(x), atol=1e-11)
    np.testing.assert_allclose(jet.hessian[:, 0, 0], p.deriv(2)(x), atol=1e-9)


def test_it_is_scipys_spline_without_knots_next_to_the_ends():
    rng = np.random.default_rng(4)
    values, x = rng.normal(size=12), np.linspace(-1, 2, 97)
    jet = jets(12, lambda y: jnp.asarray(values), jnp.asarray(x))
    truth = make_interp_spline(np.linspace(-1, 2, 12), values, k=5)
    # Both solve systems of a condition of some hundreds; slopes divide by h = 0.27.
    np.testing.assert_allclose(jet.value, truth(x), atol=1e-11)
    np.testing.assert_allclose(jet.gradient[:, 0], truth.derivative()(x), atol=1e-10)


@pytest.mark.slow
def test_order_six_four_less_two():
    """Value, slope and curvature of a smooth function have orders 6, 5, 4 up to the edge."""
    x = jnp.linspace(-1, 2, 1001)
    exact = [np.sin(3 * x), 3 * np.cos(3 * x), -9 * np.sin(3 * x)]
    errors = []
    for num in (33, 65, 129):
        jet = jets(num, lambda y: jnp.sin(3 * y), x)
        found = (jet.value, jet.gradient[:, 0], jet.hessian[:, 0, 0])
        errors.append([np.abs(a - b).max() for a, b in zip(found, exact)])
    orders = np.log2(np.array(errors[:-1]) / errors[1:])
    # The order of the coarser pair is still approached from below at the edge.
    assert (orders[-1] > np.array([5.5, 4.5, 3.5])).all(), orders


@pytest.mark.slow
def test_quadratic_beyond_the_edge_in_two_dimensions():
    grid = make_grid([-1.0, -2.0], [1.0, 1.5], 17)

    def f(x):
        a, b = x[..., 0], x[..., 1]
        return 1 + a - 2 * b + 0.5 * a * a - 0.7 * a * b + 0.3 * b * b

    far = jnp.array([[4.0, 0.3], [-3.0, 5.0], [0.2, -6.0], [0.5, 0.5]])
    jet = grid.jet(grid.spline(f(grid.points())), far)
    a, b = far[:, 0], far[:, 1]
    np.testing.assert_allclose(jet.value, f(far), atol=1e-10)
    slope = np.stack([1 + a - 0.7 * b, -2 - 0.7 * a + 0.6 * b], -1)
    np.testing.assert_allclose(jet.gradient, slope, atol=1e-10)
    curve = np.broadcast_to(np.array([[1.0, -0.7], [-0.7, 0.6]]), (4, 2, 2))
    np.testing.assert_allclose(jet.hessian, curve, atol=1e-9)


def test_two_dimensions_against_one_at_a_time():
    grid = make_grid([-1.0, -2.0], [1.0, 1.5], 65)
    points = grid.points()
    values = jnp.exp(points[:, 0]) * jnp.cos(points[:, 1])
    x = jnp.array([[0.1234, -1.9], [0.99, 1.4], [-0.7, 0.3]])
    jet = grid.jet(grid.spline(values), x)
    e, c, s = np.exp(x[:, 0]), np.cos(x[:, 1]), np.sin(x[:, 1])
    # h = 0.05: h^6 of the values, two orders less for the Hessian.
    np.testing.assert_allclose(jet.value, e * c, atol=1e-9)
    np.testing.assert_allclose(jet.gradient, np.stack([e * c, -e * s], -1), atol=1e-7)
    mixed = np.stack([np.stack([e * c, -e * s], -1), np.stack([-e * s, -e * c], -1)], -2)
    np.testing.assert_allclose(jet.hessian, mixed, atol=1e-5)


def test_rows_are_the_spline():
    grid = make_grid([0.0], [1.0], 12)
    c = grid.spline(jnp.cos(grid.axes[0]))
    points = jnp.array([[0.11, -0.5], [0.95, 1.7]])
    weights = jnp.array([0.3, 0.7])
    matrix = spline.rows(points, grid.low[0], grid.spacing[0], grid.num, weights)
    one_by_one = grid.jet(c, points.reshape(-1, 1)).value.reshape(2, 2) @ weights
    np.testing.assert_allclose(matrix @ c, one_by_one, atol=1e-14)


@pytest.mark.parametrize("sigma", [0.05, 0.4, 1.3])
def test_smoothing_of_a_cosine(sigma):
    """E cos(w(y + σW)) = exp(-w²σ²/2) cos(wy), away from the edge."""
    grid = make_grid([-14.0], [14.0], 513)
    w = 2.0
    c = smoothed(grid, jnp.cos(w * grid.axes[0]), jnp.array([sigma]))
    x = jnp.linspace(-2, 2, 77)
    exact = np.exp(-(w**2) * sigma**2 / 2) * np.cos(w * x)
    # Order 6 with h = 0.055 and w = 2; the edge is 9 standard deviations away.
    np.testing.assert_allclose(grid.jet(c, x[:, None]).value, exact, atol=1e-8)


@pytest.mark.slow
def test_quadrature_is_exact_on_moments():
    nodes, weights = normal_quadrature(256)
    for power, moment in ((0, 1), (2, 1), (4, 3), (6, 15), (8, 105)):
        assert weights @ nodes**power == pytest.approx(moment, rel=1e-11)
