"""The grid against dense quadrature in NumPy with a reward that is no polynomial."""

import jax.numpy as jnp
import numpy as np
import pytest

from fineq.pift.grid import checks, density, nested, solve
from fineq.pift.grid.posed import gridded
from fineq.pift.grid.tensor import make_grid
from tests.pift.grid.common import wave

BETA = 2.0


def mixture_mean(y, bar, alpha):
    """m0 of equal modes at ±1.5 with variance 1/4, from the posterior of the mode."""
    variance = bar / 4 + 1 - bar
    centre = 1.5 * np.sqrt(bar)
    score = (centre * np.tanh(centre * y / variance) - y) / variance
    return (y + (1 - alpha) * score) / np.sqrt(alpha)


def reward(y):
    return np.tanh(2 * (y - 0.5)) + 0.3 * np.sin(2 * y)


def smooth(values, x, m, sigma):
    """V̄, V̄' and V̄'' at m by the trapezoidal rule over the points x, no interpolation."""
    z = (x[None] - m[:, None]) / sigma
    weight = np.exp(-0.5 * z * z) * (x[1] - x[0]) / (sigma * np.sqrt(2 * np.pi))
    return (
        weight @ values,
        (weight * z / sigma) @ values,
        (weight * (z * z - 1) / sigma**2) @ values,
    )


def dense(schedule, x, inner=None):
    """Values by a maximum over a fine mesh polished by Newton, or after `inner` iterations."""
    alphas, bars, sigmas = (np.asarray(a) for a in schedule)
    values, means = [reward(x)], []
    for t in reversed(range(alphas.size)):
        m0, k = mixture_mean(x, bars[t], alphas[t]), BETA / sigmas[t] ** 2
        if inner is None:
            # Every controlled mean lies within sup|r'| / k of m0, far inside the mesh.
            V, _, _ = smooth(values[0], x, x, sigmas[t])
            m = x[np.argmax(V[None] - k / 2 * (x[None] - m0[:, None]) ** 2, axis=1)]
            for _ in range(6):
                _, slope, curve = smooth(values[0], x, m, sigmas[t])
                m = m + (slope - k * (m - m0)) / (k - curve)
        else:
            m = m0
            for _ in range(inner):
                m = m0 + smooth(values[0], x, m, sigmas[t])[1] / k
        V = smooth(values[0], x, m, sigmas[t])[0]
        values.insert(0, V - k / 2 * (m - m0) ** 2)
        means.insert(0, m)
    return np.array(values), np.array(means)


@pytest.fixture(scope="module")
def case():
    task, grid = wave()
    checks.check_grid(task, grid)
    posed = gridded(task, grid)
    return *posed, solve.optimum(posed)


@pytest.fixture(scope="module")
def mesh(case):
    # Twice as wide as the grid, and three points to the smallest σ: the rule's error is e^-170.
    _, grid, _, _ = case
    width, fine = 2 * float(grid.axes[0, -1]), 1601
    return np.linspace(-width, width, fine)


def compare(found, expected, grid, mesh, region, tol):
    for a, b, mask in zip(np.asarray(found), expected, np.asarray(region)):
        points = np.asarray(grid.axes[0])[mask]
        at = np.searchsorted(mesh, points) - 1
        exact = interpolated(mesh, b, points, at)
        np.testing.assert_allclose(a[mask], exact, atol=tol)


def interpolated(mesh, values, points, at):
    """Local interpolation through the ten nearest points of the mesh."""
    near = at[:, None] + np.arange(-4, 6)[None]
    x, f = mesh[near], values[near]
    total = np.zeros(points.shape)
    for i in range(10):
        others = [j for j in range(10) if j != i]
        ratio = (points[:, None] - x[:, others]) / (x[:, [i]] - x[:, others])
        total += f[:, i] * ratio.prod(1)
    return total


@pytest.mark.slow
def test_optimum(case, mesh):
    task, grid, region, best = case
    values, means = dense(task.chain.mean.schedule, mesh)
    # h = 0.076 and features of V as sharp as 0.2: halving says 1e-6 (next test).
    compare(best.value, values, grid, mesh, region, 2e-6)
    compare(best.mean[..., 0], means, grid, mesh, region[:-1], 2e-5)


@pytest.mark.slow
def test_nested(case, mesh):
    task, grid, region, _ = case
    found = nested.nested(gridded(task, grid, region), 2)
    values, means = dense(task.chain.mean.schedule, mesh, inner=2)
    compare(found.value, values, grid, mesh, region, 2e-6)
    compare(found.mean[..., 0], means, grid, mesh, region[:-1], 2e-5)


@pytest.mark.slow
def test_change_under_halving_is_the_error_and_falls_by_its_order(case, mesh):
    task, grid, region, best = case
    values, _ = dense(task.chain.mean.schedule, mesh)
    change = checks.change_under_halving(task, grid)
    error = 0.0
    for a, b, mask in zip(np.asarray(best.value), values, np.asarray(region)):
        points = np.asarray(grid.axes[0])[mask]
        exact = interpolated(mesh, b, points, np.searchsorted(mesh, points) - 1)
        error = max(error, np.abs(a[mask] - exact).max())
    # Order 6 leaves 1/64 of the error on the finer grid.
    assert float(change.value.max()) == pytest.approx(error, rel=0.1)
    finer = make_grid(grid.low, grid.axes[:, -1], 2 * grid.num - 1)
    less = checks.change_under_halving(task, finer)
    # The order of the scheme is 6; the coarser grid has hardly three points on the sharpest bend.
    assert float(change.value.max() / less.value.max()) > 2**5


def test_forward_and_backward_agree(case):
    """J from densities, which no spline has touched, is E V_0(Y_0)."""
    task, grid, _, best = case
    out = density.objective(task, grid, best.mean)
    p0 = out.densities[0] * grid.cell
    assert float(out.objective) == pytest.approx(float(p0 @ best.value[0]), abs=1e-6)
    assert float(out.reward - task.betas @ out.divergences) == pytest.approx(float(out.objective))
    zero = density.objective(task, grid, density.pretrained(task, grid))
    assert float(out.objective) > float(zero.objective)
    # Means computed in another order differ by rounding, squared.
    assert float(zero.price) < 1e-28


def test_path_divergence_bounds_that_of_the_ends(case):
    """KL of the laws of Y_T is at most that of the paths (data processing), and densities integrate
    to the mass that the box holds."""
    task, grid, _, best = case
    out = density.objective(task, grid, best.mean)
    base = density.densities(task, grid, density.pretrained(task, grid))
    p, q = (np.asarray(x[-1]) for x in (out.densities, base))
    kept = (p > 1e-14) & (q > 1e-14)
    ends = float(grid.cell) * np.sum(p[kept] * np.log(p[kept] / q[kept]))
    assert 0 < ends <= float(out.divergences.sum())
    assert np.abs(density.mass_outside(grid, out.densities)).max() < 1e-10
    beyond = 0.9 * out.densities  # a tenth of it is not on the grid
    found = [density.where_inside(grid, beyond, jnp.ones(()), most) for most in (0.11, 0.09)]
    np.testing.assert_array_equal(found, [1.0, np.nan])


@pytest.mark.slow
def test_a_push_of_a_normal_is_a_convolution():
    grid = make_grid([-9.0], [9.0], 181)
    x = grid.axes[0]
    p = jnp.exp(-0.5 * (x / 0.7) ** 2) / (0.7 * np.sqrt(2 * np.pi))
    found = density.pushed(grid, p, (0.5 * x + 1)[:, None], jnp.array([0.4]))
    variance = 0.25 * 0.49 + 0.16
    exact = np.exp(-0.5 * (x - 1) ** 2 / variance) / np.sqrt(2 * np.pi * variance)
    np.testing.assert_allclose(found, exact, atol=1e-12)


def test_carried_is_the_box_around_the_mass():
    grid = make_grid([0.0, 0.0], [8.0, 8.0], 9)
    p = np.zeros((9, 9))
    p[2, 3], p[5, 6] = 1.0, 1e-3
    mask = np.asarray(density.carried(jnp.asarray(p.ravel()), grid)).reshape(9, 9)
    expected = np.zeros((9, 9), bool)
    expected[2:6, 3:7] = True
    np.testing.assert_array_equal(mask, expected)
