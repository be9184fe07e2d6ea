"""The grid against the exact linear-quadratic recursion: quadratics are exact on it."""

import jax.numpy as jnp
import numpy as np
import pytest
from chex import assert_trees_all_close

from fineq.errors import InputError
from fineq.iterate import solve as solve_by
from fineq.pift import lq, problem, rewards
from fineq.pift.grid import checks, density, nested, solve
from fineq.pift.grid.posed import gridded
from fineq.pift.grid.sweeps import GridSweeps
from fineq.pift.grid.tensor import make_grid
from tests.pift.grid.common import gaussian, on_grid

TOL = 1e-10


@pytest.fixture(scope="module")
def case(request):
    task, grid = gaussian(request.param)
    posed = gridded(task, grid)
    return posed, lq.linear_quadratic(task), solve.optimum(posed)


LINE = pytest.mark.parametrize("case", [1], indirect=True)
# Programs in the plane take long to compile; the rules differ in a few lines.
SLOW_PLANE = pytest.mark.parametrize(
    "case", [1, pytest.param(2, marks=pytest.mark.slow)], indirect=True
)


@SLOW_PLANE
def test_optimum(case):
    (_, grid, _), exact, best = case
    solution = lq.optimum(exact)
    values, means = on_grid(grid, solution.value, solution.policy)
    np.testing.assert_allclose(best.value, values, atol=TOL)
    np.testing.assert_allclose(best.mean, means, atol=TOL)
    for found in (best.everywhere, best.optimal):
        np.testing.assert_allclose(found.lowest, solution.lowest, atol=TOL)
        np.testing.assert_allclose(found.highest, solution.highest, atol=TOL)
    assert best.residual.max() < 1e-13
    assert bool(best.well_posed)


@SLOW_PLANE
@pytest.mark.parametrize(
    "rule", ["plain", "damped", pytest.param("newton", marks=pytest.mark.slow)]
)
def test_nested(case, rule):
    posed, exact, best = case
    _, grid, region = posed
    found = nested.nested(posed, 2, rule, reference=best)
    expected = lq.nested(exact, 2, rule)
    values, means = on_grid(grid, expected.value, expected.policy)
    np.testing.assert_allclose(found.value, values, atol=TOL)
    np.testing.assert_allclose(found.mean, means, atol=TOL)
    _, starred = on_grid(grid, lq.optimum(exact).value, lq.optimum(exact).policy)
    apart = np.linalg.norm(means - starred, axis=-1)
    assert found.to_best is not None
    np.testing.assert_allclose(
        found.to_best[:, -1], np.where(region[:-1], apart, 0).max(-1), atol=TOL
    )


@SLOW_PLANE
@pytest.mark.parametrize("rule", ["plain", "damped"])
def test_sweeps(case, rule):
    posed, exact, best = case
    _, grid, region = posed
    policy = lq.pretrained(exact)
    found = solve_by(posed, GridSweeps(rule), num_steps=3, record=range(4), reference=best)
    first = on_grid(grid, lq.optimum(exact).value, lq.optimum(exact).policy)
    top = lq.expected(exact, lq.optimum(exact).value)
    assert np.isnan(found["gap"][0])
    for i in range(1, 4):
        better, value = lq.policy_iteration(exact, policy, rule)
        values, means = on_grid(grid, value, policy)
        gap = np.where(region, np.abs(values - first[0]), 0).max(-1)
        np.testing.assert_allclose(found["gaps"][i], gap, atol=TOL)
        np.testing.assert_allclose(found["gap"][i], top - lq.expected(exact, value), atol=TOL)
        np.testing.assert_allclose(found["last_objective"][i], lq.expected(exact, value), atol=TOL)
        apart = np.where(region[:-1], np.linalg.norm(means - first[1], axis=-1), 0).max(-1)
        np.testing.assert_allclose(found["distance"][i - 1], apart, atol=TOL)
        policy = better
    last = on_grid(grid, lq.evaluate(exact, policy), policy)[1]
    np.testing.assert_allclose(found.value, last, atol=TOL)


@SLOW_PLANE
def test_objective_forward_is_the_value_backward(case):
    (task, grid, _), exact, best = case
    found = density.objective(task, grid, best.mean)
    expected = lq.objective(exact, lq.optimum(exact).policy)
    # The box leaves out 1e-12 of mass, where the values are of order 10.
    for name in ("objective", "reward", "price"):
        np.testing.assert_allclose(getattr(found, name), getattr(expected, name), atol=TOL)
    np.testing.assert_allclose(found.divergences.sum(), expected.divergence, atol=TOL)
    p = found.densities[-1] * grid.cell
    mean = p @ grid.points()
    np.testing.assert_allclose(mean, expected.mean, atol=TOL)
    apart = grid.points() - mean[None]
    np.testing.assert_allclose((apart * p[:, None]).T @ apart, expected.covariance, atol=TOL)


@pytest.mark.slow
def test_anisotropic_noise_and_running_reward():
    """Another noise in each axis, a schedule of β and f_t, from a chain that is no diffusion."""
    T, eye = 4, jnp.eye(2)
    A = 0.9 * jnp.stack([eye + 0.1 * t * jnp.array([[0.0, 1.0], [-1.0, 0.0]]) for t in range(T)])
    mean = problem.AffineMean(A, 0.1 * jnp.ones((T, 2)))
    sigmas = jnp.stack([jnp.diag(jnp.array([0.3 + 0.1 * t, 0.7])) for t in range(T)])
    chain = problem.Chain(mean, sigmas, gaussian(2)[0].chain.start)
    running = rewards.RunningQuadratic(-0.2 * jnp.stack([eye] * T), A[:, 0], jnp.arange(1.0, T + 1))
    reward = rewards.quadratic([[-0.5, 0.2], [0.2, 0.3]])
    betas = 2.0 + jnp.arange(T)
    task = problem.make_problem(chain, reward, betas, running)
    grid = make_grid([-8.0, -8.0], [8.0, 8.0], 41)
    best = solve.optimum(gridded(task, grid, jnp.ones((T + 1, grid.num**2), bool)))
    solution = lq.optimum(lq.linear_quadratic(task))
    values, means = on_grid(grid, solution.value, solution.policy)
    # Values reach 100 in the corners.
    np.testing.assert_allclose(best.value, values, rtol=1e-11, atol=1e-10)
    np.testing.assert_allclose(best.mean, means, atol=1e-10)
    np.testing.assert_allclose(best.everywhere.ratio, solution.ratios, atol=1e-9)
    oblique = chain._replace(sigmas=jnp.stack([jnp.array([[0.3, 0.1], [0.0, 0.3]])] * T))
    with pytest.raises(InputError, match="diagonal"):
        checks.check_grid(task._replace(chain=oblique), grid)


@pytest.mark.slow
@LINE
def test_blocks_do_not_change_the_answer(case):
    posed, _, best = case
    task, grid, _ = posed
    block = grid.points().shape[0] // 3 + 1
    again = solve.optimum(posed, block=block)
    np.testing.assert_allclose(again.value, best.value, atol=1e-12)
    whole = nested.nested(posed, 2, reference=best, keep=True)
    parts = nested.nested(posed, 2, reference=best, keep=True, block=block)
    assert_trees_all_close(whole, parts, rtol=1e-7, atol=1e-11)
    assert whole.inner_mean is not None
    assert whole.inner_value is not None
    np.testing.assert_array_equal(whole.inner_mean[:, -1], whole.mean)
    np.testing.assert_allclose(whole.inner_value[:, -1], whole.value[:-1], atol=1e-12)
    np.testing.assert_allclose(whole.inner_mean[:, 0], density.pretrained(task, grid), atol=1e-12)
