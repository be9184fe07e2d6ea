"""The discretised test problems against NumPy simulation, SciPy's ODE solver and closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.linalg import expm

from fineq.errors import InputError
from fineq.pift import lq
from fineq.pift.parametric.error import reference_on_paths
from fineq.pift.parametric.paths import costate_of, returns, rollout
from fineq.pift.problem import AffineMean
from fineq.pift.separable import solve_separable
from fineq.pift.standard_problems import as_dtype, double_well, ou_linear, ou_quadratic


def exact(problem):
    return costate_of(problem, AffineMean(*lq.optimum(lq.linear_quadratic(problem)).policy))


CASES = {
    "easy": lambda: ou_quadratic(),
    "easy20": lambda: ou_quadratic(20),
    "hard": lambda: ou_quadratic(hard=True),
    "linear": lambda: ou_linear(4, 20),
    "well": lambda: double_well(4, 20, num_steep=2),
}


def costs(name, problem):
    """Drift, diffusion, running cost and terminal cost, from their formulas."""
    d = problem.d
    if name == "linear":
        rng = np.random.default_rng(0)
        A, sigma = (s * np.eye(d) + 0.1 * rng.normal(size=(d, d)) for s in (-1, 1))
        return lambda x: x @ A.T, sigma, lambda x: 0.0, lambda x: x.sum(-1)
    if name == "well":
        kappa, nu = np.array([5.0, 5, 1, 1]), np.array([3.0, 3, 1, 1])
        return (
            lambda x: -4 * kappa * x * (x**2 - 1),
            np.eye(d),
            lambda x: 0.0,
            lambda x: (nu * (x**2 - 1) ** 2).sum(-1),
        )
    a, q = (1.0, 0.5) if name == "hard" else (0.2, 0.1)
    return (
        lambda x: a * x,
        np.eye(d),
        lambda x: a * (x**2).sum(-1),
        lambda x: q * (x**2).sum(-1),
    )


@pytest.mark.parametrize(
    "name", [pytest.param(x, marks=pytest.mark.slow) if x == "easy20" else x for x in CASES]
)
def test_the_return_is_minus_the_cost_of_an_euler_maruyama_simulation(name):
    """With the feedback u = σ'c, c(y) = 0.3 y - 0.2, coded a second time from the definitions."""
    problem = CASES[name]().problem
    T, d = problem.num_steps, problem.d
    dt = 1 / T
    drift, sigma, running, terminal = costs(name, problem)
    z = np.random.default_rng(1).normal(size=(T, 7, d))
    x = np.repeat(np.asarray(problem.chain.start.moments()[0])[None], 7, axis=0)

    class Feedback:
        def __call__(self, t, y):
            return 0.3 * y - 0.2

    paths = rollout(problem, Feedback(), jnp.asarray(x), jnp.asarray(z))
    cost = 0.0
    for t in range(T):
        u = (0.3 * x - 0.2) @ sigma
        cost = cost + (0.5 * (u**2).sum(-1) + running(x)) * dt
        x = x + (drift(x) + u @ sigma.T) * dt + np.sqrt(dt) * z[t] @ sigma.T
    np.testing.assert_allclose(paths.states[-1], x, rtol=1e-11, atol=1e-12)
    np.testing.assert_allclose(returns(problem, paths), -(cost + terminal(x)), rtol=1e-11)


def test_starts_are_as_published():
    np.testing.assert_allclose(ou_quadratic().problem.chain.start.moments()[0], [0.4, 0.6])
    one, two = (ou_quadratic(20, seed=s).problem.chain.start.moments()[0] for s in (0, 1))
    assert jnp.max(jnp.abs(one - two)) > 0.1
    for standard in (ou_linear(), double_well()):
        mean, covariance = standard.problem.chain.start.moments()
        assert not jnp.any(mean)
        assert not jnp.any(covariance)
    well = double_well().problem
    assert well.chain.mean.kappa.tolist() == [5.0] * 3 + [1.0] * 7
    assert well.reward.nu.tolist() == [3.0] * 3 + [1.0] * 7


@pytest.mark.parametrize("hard", [False, True])
def test_the_usual_optimum_solves_the_riccati_equation_to_first_order(hard):
    a, q = (1.0, 0.5) if hard else (0.2, 0.1)

    def backward(s, F):
        del s
        return 2 * a * F - 2 * F**2 + a

    truth = solve_ivp(backward, (0, 1), [q], rtol=1e-11, atol=1e-12).y[0, -1]
    errors = []
    for steps in (50, 100, 200):
        usual = ou_quadratic(hard=hard, num_steps=steps).usual
        assert usual is not None
        assert not np.any(usual.h)
        errors.append(abs(usual.C[0, 0, 0] / -2 - truth))
    # Euler's method: halving the step halves the error, up to the next order's share.
    np.testing.assert_allclose(np.divide(errors[:-1], errors[1:]), 2, rtol=0.05)


@pytest.mark.slow
@pytest.mark.parametrize("make", [lambda n: ou_quadratic(hard=True, num_steps=n)])
def test_the_gap_between_the_two_optima_vanishes_as_the_square_of_the_step(make):
    """Controls differ by O(dt), so their squared difference by O(dt²)."""
    gaps = []
    for steps in (50, 100, 200):
        standard = make(steps)
        reference = reference_on_paths(
            jax.random.key(0), standard.problem, exact(standard.problem), 400
        )
        assert standard.usual is not None
        gaps.append(reference.error(standard.problem, standard.usual))
    np.testing.assert_allclose(np.divide(gaps[:-1], gaps[1:]), 4, rtol=0.15)


@pytest.mark.slow
def test_the_optimum_of_the_linear_problem_is_the_transported_price():
    """c_t = -(I + A dt)'^(T-t-1) 1 exactly, and -exp(A'(1 - t)) 1 as usual."""
    standard = ou_linear(4, 20)
    problem, costate = standard.problem, exact(standard.problem)
    assert standard.usual is not None
    rng = np.random.default_rng(0)
    A = -np.eye(4) + 0.1 * rng.normal(size=(4, 4))
    y = jnp.array([0.3, -1.0, 0.2, 2.0])
    for t in (0, 7, 19):
        power = np.linalg.matrix_power(np.eye(4) + A / 20, 20 - t - 1).T
        np.testing.assert_allclose(costate(t, y), -power @ np.ones(4), rtol=1e-10)
        usual = -expm(A.T * (1 - t / 20)) @ np.ones(4)
        np.testing.assert_allclose(standard.usual(t, y), usual, rtol=1e-10)
    assert problem.chain.sigmas.shape == (20, 4, 4)


@pytest.mark.slow
def test_the_error_is_the_squared_control_integrated_over_time():
    standard = ou_linear(3, 10)
    problem = standard.problem
    reference = reference_on_paths(jax.random.key(0), problem, exact(problem), 5)

    class Off:
        def __call__(self, t, y):
            return exact(problem)(t, y) + 0.1 * y + 0.2

    sigma = np.asarray(problem.chain.sigmas[0]) * np.sqrt(10)
    apart = (0.1 * np.asarray(reference.states) + 0.2) @ sigma  # u = σ'c, row by row
    expected = (apart**2).sum(-1).sum(0) / 10
    np.testing.assert_allclose(reference.squares(problem, Off()), expected, rtol=1e-9)
    np.testing.assert_allclose(reference.error(problem, Off()), expected.mean(), rtol=1e-9)
    nothing = reference.squares(problem, lambda t, y: jnp.zeros_like(y))
    np.testing.assert_allclose(reference.size(problem), jnp.mean(nothing), rtol=1e-12)


@pytest.mark.slow
def test_the_double_well_optimum_is_symmetric_and_beats_its_neighbours():
    """An exact optimum: any other policy of the same paths' noise does worse on average.

    By the envelope theorem a scaling by 1 ± e costs e²; 4,000 common paths resolve it.
    """
    standard = double_well(2, 100, num_steep=1)
    best = solve_separable(standard.problem, -2.5, 2.5, 1001)
    y = jnp.array([0.8, -0.6])
    np.testing.assert_allclose(best(10, -y), -best(10, y), atol=1e-8)
    z = jax.random.normal(jax.random.key(0), (100, 4000, 2))
    y0 = jnp.zeros((4000, 2))

    @jax.jit
    def gained(scale):
        return returns(
            standard.problem, rollout(standard.problem, lambda t, y: scale * best(t, y), y0, z)
        )

    middle = gained(1.0)
    for scale in (0.7, 1.3):
        loss = middle - gained(scale)
        assert jnp.mean(loss) > 5 * jnp.std(loss) / np.sqrt(4000)


def test_precision_is_changed_everywhere():
    problem = as_dtype(ou_linear(2, 3).problem, jnp.float32)
    assert {x.dtype.name for x in jax.tree.leaves(problem)} == {"float32"}


@pytest.mark.parametrize("make", [ou_quadratic, ou_linear, double_well])
def test_bad_sizes_are_named(make):
    with pytest.raises(InputError, match=r"problem\.d must be at least 1, got 0"):
        make(0)
    with pytest.raises(InputError, match=r"problem\.num_steps must be at least 1, got 0"):
        make(2, num_steps=0)
