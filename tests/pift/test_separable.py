"""The solver on lines against LQ solutions, adaptive quadrature and brute-force maximisation."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import minimize_scalar

from fineq.ddpm.laws import gaussian
from fineq.errors import InputError
from fineq.pift import lq
from fineq.pift.parametric.paths import costate_of
from fineq.pift.problem import AffineMean, Chain, make_problem
from fineq.pift.rewards import Quadratic, RunningQuadratic
from fineq.pift.separable import solve_line, solve_separable
from fineq.pift.standard_problems import double_well


def affine(T, slopes, shifts, sigma=0.3):
    d = len(slopes)
    A = jnp.broadcast_to(jnp.diag(jnp.asarray(slopes)), (T, d, d))
    b = jnp.broadcast_to(jnp.asarray(shifts), (T, d))
    return Chain(AffineMean(A, b), jnp.full(T, sigma), gaussian(np.zeros(d), np.eye(d)))


@pytest.mark.slow
def test_it_is_the_lq_optimum_coordinate_by_coordinate():
    """Cubic splines carry quadratics exactly, up to rounding that their second differences gain."""
    reward = Quadratic(jnp.diag(jnp.array([-0.8, 0.5, -0.8])), jnp.array([0.3, -0.2, 0.3]), 0.0)
    problem = make_problem(affine(6, [0.9, 0.7, 0.9], [0.1, 0.0, 0.1]), reward, 1.5)
    found = solve_separable(problem)
    exact = costate_of(problem, AffineMean(*lq.optimum(lq.linear_quadratic(problem)).policy))
    y = jnp.array([0.313, -1.2, 2.9])
    for t in range(6):
        np.testing.assert_allclose(found(t, y), exact(t, y), atol=1e-9)


def bump(x):
    return np.tanh(2 * (x - 0.5)) + 0.3 * np.sin(2 * x)


def test_two_steps_with_a_bounded_reward_agree_with_adaptive_quadrature():
    """Nested quadrature to 1e-10 and Brent's maximiser to 1e-8, at which c = k(m - m0) is known
    to k 1e-8; both steps go through splines of h = 0.005, whose error h⁴|V''''|/384 is below 1e-10.
    """
    sigma, beta = 0.4, 1.2
    k = beta / sigma**2
    grid = np.linspace(-6, 6, 2401)
    two = np.ones(2)  # 96 nodes: tanh has poles 2σ away
    line = solve_line(lambda t, x: 0.8 * x, bump, sigma * two, beta * two, grid, hermite=96)

    def smooth(f, m):
        def density(z):
            return f(m + sigma * z) * np.exp(-z * z / 2) / np.sqrt(2 * np.pi)

        return quad(density, -9, 9, epsabs=1e-11, epsrel=1e-11, limit=200)[0]

    def best(f, m0):
        cost = minimize_scalar(
            lambda m: k / 2 * (m - m0) ** 2 - smooth(f, m),
            bracket=(m0 - 0.1, m0 + 0.1),
            options={"xtol": 1e-9},
        )
        return cost.x, -cost.fun

    for x in (-0.7, 0.2, 1.1):
        i = int(np.argmin(np.abs(grid - x)))
        m, value = best(bump, 0.8 * grid[i])
        np.testing.assert_allclose(line.values[1, i], value, atol=1e-9)
        np.testing.assert_allclose(line.costates[1, i], k * (m - 0.8 * grid[i]), atol=1e-6)
    first = np.polynomial.Chebyshev.interpolate(
        np.vectorize(lambda x: best(bump, 0.8 * x)[1]), 40, domain=[-3, 3]
    )
    i = int(np.argmin(np.abs(grid - 0.2)))
    z = np.linspace(-5, 5, 2001)
    weight = np.exp(-z * z / 2) / np.exp(-z * z / 2).sum()
    cost = minimize_scalar(
        lambda m: k / 2 * (m - 0.8 * grid[i]) ** 2 - weight @ first(m + sigma * z),
        bracket=(-0.2, 0.5),
        options={"xtol": 1e-9},
    )
    # 40 Chebyshev coefficients of an analytic function, and tails beyond 5σ, leave about 1e-6.
    np.testing.assert_allclose(line.values[0, i], -cost.fun, atol=3e-6)


def test_hopf_cole_is_the_logarithmic_derivative_of_an_expectation():
    sigma, beta = 0.4, 1.2
    grid = np.linspace(-6, 6, 2401)
    line = solve_line(
        lambda t, x: 0.8 * x,
        bump,
        np.full(1, sigma),
        np.full(1, beta),
        grid,
        hermite=96,
        hopf_cole=True,
    )

    def value(x):
        def density(z):
            return np.exp(bump(0.8 * x + sigma * z) / beta - z * z / 2) / np.sqrt(2 * np.pi)

        return beta * np.log(quad(density, -9, 9, epsabs=1e-12, epsrel=1e-12)[0])

    i = int(np.argmin(np.abs(grid - 0.3)))
    h = 1e-4  # central difference: h² f'''/6 is about 1e-8
    slope = (value(grid[i] + h) - value(grid[i] - h)) / (2 * h)
    np.testing.assert_allclose(line.values[0, i], value(grid[i]), atol=1e-9)
    np.testing.assert_allclose(line.costates[0, i], slope, atol=1e-7)


@pytest.mark.slow
def test_between_grid_points_the_costate_is_cubic_with_its_slopes_and_outside_linear():
    reward = Quadratic(jnp.array([[-0.8]]), jnp.array([0.3]), 0.0)
    problem = make_problem(affine(2, [0.9], [0.1]), reward, 1.5)
    found = solve_separable(problem, num=201)
    cubic = found._replace(
        values=jnp.broadcast_to(jnp.linspace(-3.5, 3.5, 201) ** 3, (2, 1, 201)),
        slopes=jnp.broadcast_to(3 * jnp.linspace(-3.5, 3.5, 201) ** 2, (2, 1, 201)),
    )
    for y in (-3.49, -0.0123, 1.7, 3.4999):
        np.testing.assert_allclose(cubic(1, jnp.array([y]))[0], y**3, atol=1e-12)
        slope = jax.jacfwd(lambda y: cubic(1, y))(jnp.array([y]))[0, 0]
        np.testing.assert_allclose(slope, 3 * y**2, atol=1e-10)
    np.testing.assert_allclose(cubic(0, jnp.array([4.0]))[0], 3.5**3 + 3 * 3.5**2 * 0.5)
    np.testing.assert_allclose(cubic(0, jnp.array([-4.0]))[0], -(3.5**3) - 3 * 3.5**2 * 0.5)


def test_problems_it_cannot_take_are_named():
    chain = affine(2, [0.9], [0.1])
    reward = Quadratic(jnp.array([[-0.8]]), jnp.array([0.3]), 0.0)
    running = RunningQuadratic(jnp.zeros((2, 1, 1)), jnp.zeros((2, 1)), jnp.zeros(2))
    with pytest.raises(InputError, match="scalar noise and no running reward"):
        solve_separable(make_problem(chain, reward, 1.0, running))
    with pytest.raises(InputError, match=r"mean leaves the grid from -0\.05 to 0\.05"):
        solve_separable(make_problem(chain, reward, 1.0), -0.05, 0.05)


@pytest.mark.slow
def test_half_the_step_leaves_a_fraction_of_the_error():
    """The steep well is the hard case: its costate turns over within a few grid points."""
    problem = double_well(1, 100, num_steep=1).problem
    y = jnp.linspace(-1.5, 1.5, 61)[:, None]

    def table(num):
        costate = solve_separable(problem, -2.5, 2.5, num)
        return jax.vmap(lambda t: jax.vmap(partial(costate, t))(y))(jnp.arange(80, 100))

    coarse, middle, fine = (table(num) for num in (251, 501, 1001))
    first, second = (float(jnp.abs(a - b).max()) for a, b in ((coarse, middle), (middle, fine)))
    assert second > 1e-9  # not rounding
    # Between the square and the cube of the step.
    assert first > 4 * second


@pytest.mark.slow
def test_twice_the_points_and_nodes_tell_the_error():
    """Twice the points alone do not: here the nodes limit, by a factor of ten."""
    problem = double_well(1, 100, num_steep=1).problem
    y = jnp.linspace(-1.5, 1.5, 61)[:, None]

    def table(num, hermite):
        costate = solve_separable(problem, -2.5, 2.5, num, hermite=hermite)
        return jax.vmap(lambda t: jax.vmap(partial(costate, t))(y))(jnp.arange(0, 100, 10))

    found, both, grid, truth = table(301, 24), table(601, 48), table(601, 24), table(1201, 160)
    error, told, seen = (float(jnp.abs(found - x).max()) for x in (truth, both, grid))
    # Up to the error of the finer answer, which is at most a half of this one.
    assert error / 2 < told < 1.5 * error
    assert seen < told
