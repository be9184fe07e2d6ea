import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import brentq

from fineq.errors import InputError
from fineq.pift import lq
from fineq.pift.grid import nested, regularity, solve, threshold
from fineq.pift.grid.posed import gridded
from fineq.pift.grid.regularity import Constants
from fineq.pift.grid.tensor import make_grid
from fineq.pift.problem import with_beta
from tests.pift.grid.common import gaussian, wave

INNER = 6


@pytest.fixture(scope="module")
def case():
    task, grid = wave()
    posed = gridded(task, grid)
    best = solve.optimum(posed)
    return *posed, best, nested.nested(posed, INNER, reference=best, keep=True)


def constants(grid, values, region):
    found = [regularity.value_constants(grid, v, mask) for v, mask in zip(values, region)]
    return Constants(*(jnp.stack(x) for x in zip(*found)))


@pytest.mark.slow
def test_constants_of_known_functions():
    grid = make_grid([-2.0, -2.0], [2.0, 2.0], 65)
    x = grid.points()
    everywhere = jnp.ones(x.shape[0], bool)
    found = regularity.value_constants(grid, jnp.sin(x[:, 0]) * jnp.cos(x[:, 1]), everywhere)
    # Both suprema are 1, at points of the grid up to (h/2)²/2 = 5e-4; so is the Hessian's.
    np.testing.assert_allclose(found.function, 1.0, atol=1e-3)
    np.testing.assert_allclose(found.derivative, 1.0, atol=1e-3)
    rotation = jnp.array([[0.0, 2.0], [-0.5, 0.0]])
    np.testing.assert_allclose(regularity.map_constant(grid, x @ rotation.T, everywhere), 2.0)
    left = x[:, 0] < -1
    half = regularity.value_constants(grid, 0.5 * x[:, 0] ** 2, left)
    np.testing.assert_allclose(half.function, 2.0, rtol=1e-9)


@pytest.mark.slow
def test_mean_constants_are_those_of_the_posterior():
    """m0' of a mixture by finite differences of the mean itself."""
    task, grid = wave(num=97)
    region = jnp.ones((task.num_steps + 1, grid.num), bool)
    found = regularity.mean_constants(task, grid, region)
    y = np.asarray(grid.axes[0])
    e = 3e-4  # rounding of the second difference is below 4 eps |m| / e² = 1e-7
    for t in range(task.num_steps):
        mean = jax.vmap(lambda v, t=t: task.chain.mean(t, v[None])[0])
        m = [np.asarray(mean(jnp.asarray(y[::8] + s))) for s in (-e, 0.0, e)]
        slope, bend = (m[2] - m[0]) / (2 * e), (m[2] - 2 * m[1] + m[0]) / e**2
        assert np.abs(slope).max() <= float(found.function[t]) * (1 + 1e-6)
        assert np.abs(bend).max() <= float(found.derivative[t]) * (1 + 1e-4) + 1e-6
        at = np.abs(slope).argmax()
        assert np.abs(slope[at]) == pytest.approx(float(found.function[t]), rel=0.2)


def test_bounds_are_attained_by_a_linear_reward_on_gaussian_data():
    """V_t stays linear: L0_t = Lm L0 exactly, L1 = 0."""
    task, grid = gaussian(1)
    task = task._replace(reward=task.reward._replace(P=jnp.zeros((1, 1))))
    T = task.num_steps
    region = jnp.ones((T + 1, grid.num), bool)
    best = solve.optimum(gridded(task, grid, region))
    found = constants(grid, best.value, region)
    mean = regularity.mean_constants(task, grid, region)
    last = Constants(*(x[-1] for x in found))
    bound = regularity.recursive_bounds(last, mean, task.betas, task.chain.sigmas)
    np.testing.assert_allclose(found.function, bound.function, rtol=1e-9)
    np.testing.assert_allclose(found.derivative, 0.0, atol=1e-8)


def test_recursive_bounds_are_the_curvatures_of_a_convex_quadratic_reward():
    """On Gaussian data in one dimension `pift/regularity` is an equality for V, with Lm' = 0."""
    task = gaussian(1, beta=0.7)[0]
    task = task._replace(reward=task.reward._replace(P=jnp.full((1, 1), 0.3)))
    arrays = lq.linear_quadratic(task)
    curvature, slope = lq.optimum(arrays).value.P[:, 0, 0], jnp.abs(arrays.A[:, 0, 0])
    last = Constants(jnp.ones(()), curvature[-1])
    mean = Constants(slope, jnp.zeros_like(slope))
    found = regularity.recursive_bounds(last, mean, task.betas, task.chain.sigmas)
    np.testing.assert_allclose(found.derivative, curvature, rtol=1e-12)
    np.testing.assert_allclose(found.function[0], jnp.prod(slope), rtol=1e-12)


@pytest.mark.slow
def test_the_optimum_keeps_its_bounds(case):
    """No measured constant exceeds the bound from those of the next step (`pift/regularity`)."""
    task, grid, region, best, _ = case
    found = constants(grid, best.value, region)
    mean = regularity.mean_constants(task, grid, region)
    ratio = task.chain.sigmas**2 * found.derivative[1:] / task.betas
    after = Constants(*(x[1:] for x in found))
    bound = regularity.optimal_bound(after, mean, ratio)
    assert np.isfinite(bound.derivative[-1])
    # Suprema are taken over grid points: off by (h/2)² of their curvature, here below 1%.
    assert (found.function[:-1] <= 1.01 * bound.function).all()
    assert (found.derivative[:-1] <= 1.01 * bound.derivative).all()
    last = Constants(found.function[-1], found.derivative[-1])
    recursive = regularity.recursive_bounds(last, mean, task.betas, task.chain.sigmas)
    assert (found.function <= 1.01 * recursive.function).all()
    assert (found.derivative <= 1.01 * recursive.derivative).all()


@pytest.mark.slow
def test_every_iterate_keeps_its_bounds(case):
    task, grid, region, _, run = case
    found = constants(grid, run.value, region)
    mean = regularity.mean_constants(task, grid, region)
    ratio = task.chain.sigmas**2 * found.derivative[1:] / task.betas
    value, moved = regularity.iterate_bounds(found.function[1:], mean.function, ratio, INNER)
    schedule = task.chain.mean.schedule
    for t in range(task.num_steps):
        control = [
            regularity.control_constant(grid, m, schedule.alphas[t], region[t])
            for m in run.inner_mean[t]
        ]
        bound = regularity.control_bounds(
            control[0][None], schedule.alphas[t : t + 1], ratio[t : t + 1], moved[t : t + 1]
        )[0]
        for i in range(INNER + 1):
            L0 = regularity.value_constants(grid, run.inner_value[t, i], region[t]).function
            Lm = regularity.map_constant(grid, run.inner_mean[t, i], region[t])
            assert float(L0) <= 1.01 * float(value[t, i])
            assert float(Lm) <= 1.01 * float(moved[t, i])
            assert float(control[i]) <= 1.01 * float(bound[i])


def test_bounds_are_infinite_where_nothing_is_known():
    one = jnp.ones(1)
    value, moved = regularity.iterate_bounds(one, one, 1.5 * one, 2)
    np.testing.assert_array_equal(np.isinf(value), [[False, True, True]])
    np.testing.assert_array_equal(np.isinf(moved), [[False, True, True]])
    # q = 1/2, i = 1: 1 + q (1 + q) and 1 + q.
    value, moved = regularity.iterate_bounds(one, one, 0.5 * one, 1)
    assert float(value[0, 1]) == pytest.approx(1.75)
    assert float(moved[0, 1]) == pytest.approx(1.5)
    control = regularity.control_bounds(2 * one, 0.36 * one, 0.5 * one, moved)
    # Lip s + √α/(1-α) q Lip m0 = 2 + 0.6/0.64 · 0.5.
    np.testing.assert_allclose(control, [[2.0, 2 + 0.6 / 0.64 * 0.5]])


@pytest.mark.slow
def test_thresholds_of_a_quadratic_reward():
    """Concave and convex thresholds, and plain PI-FT itself, against the exact recursion."""
    task, grid = gaussian(1)

    def exact(beta, sign):
        steep = with_beta(task, jnp.asarray(beta))._replace(
            reward=task.reward._replace(P=sign * jnp.array([[3.0]]))
        )
        return lq.optimum(lq.linear_quadratic(steep))

    def of(sign):
        steep = task._replace(reward=task.reward._replace(P=sign * jnp.array([[3.0]])))
        return gridded(steep, grid)

    def excess(beta):
        return float(exact(beta, -1).lowest.min()) + 1

    concave = float(np.asarray(brentq(excess, 0.05, 20, xtol=1e-10)))
    found = threshold.smallest_beta(
        lambda b: threshold.optima(of(-1), b).everywhere.lowest.min(-1) > -1, 0.05, 20
    )
    assert found.low <= concave * (1 + 1e-9) <= found.high * (1 + 2e-9)
    assert found.high / found.low - 1 < 1e-4

    def plain(betas):
        return threshold.converges(threshold.changes(of(-1), betas, 40))

    measured = threshold.smallest_beta(plain, 0.05, 20, precision=1e-2)
    # Below the threshold the last step alone already diverges or stalls.
    assert measured.value == pytest.approx(concave, rel=0.02)


def test_late_rates():
    i = np.arange(41)
    changes = jnp.stack([0.8**i * 1.0, 0.1**i, 1.5**i, np.full(41, np.nan)])
    rates = np.asarray(threshold.late_rates(changes))
    np.testing.assert_allclose(rates, [0.8, 0.0, 1.5, np.inf], rtol=1e-12)
    np.testing.assert_array_equal(threshold.converges(changes[:, None]), [True, True, False, False])


@pytest.mark.parametrize("at_once", [3, 16])
def test_smallest_beta_brackets_a_step(at_once):
    found = threshold.smallest_beta(lambda b: b > 0.7, 0.1, 10.0, precision=1e-6, at_once=at_once)
    assert found.low <= 0.7 <= found.high
    assert found.high / found.low - 1 <= 1e-6


def test_smallest_beta_at_the_ends():
    assert threshold.smallest_beta(lambda b: b > 0, 0.1, 1.0) == (0.0, 0.1)
    assert threshold.smallest_beta(lambda b: b < 0, 0.1, 1.0) == (1.0, np.inf)
    # What counts is where it holds from there on upwards.
    found = threshold.smallest_beta(lambda b: (b < 0.2) | (b > 0.5), 0.1, 1.0)
    assert found.low <= 0.5 <= found.high
    with pytest.raises(InputError, match="0 < low < high"):
        threshold.smallest_beta(lambda b: b > 0, 0.0, 1.0)
    with pytest.raises(InputError, match="at least 3"):
        threshold.smallest_beta(lambda b: b > 0, 0.1, 1.0, at_once=2)


@pytest.mark.slow
def test_many_betas_are_one_at_a_time(case):
    task, grid, region, best, _ = case
    betas = jnp.array([1.0, 2.0])
    many = threshold.optima(gridded(task, grid, region), betas)
    np.testing.assert_allclose(many.value[1], best.value, atol=1e-12)
    np.testing.assert_allclose(many.everywhere.ratio[1], best.everywhere.ratio, atol=1e-9)
