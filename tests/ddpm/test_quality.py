"""Measures of samples against SciPy, loops in NumPy and closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.linalg import sqrtm
from scipy.spatial import KDTree
from scipy.stats import wasserstein_distance

from fineq.ddpm import quality
from fineq.errors import InputError

KEY = jax.random.key(0)


def cloud(num, d, seed):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(num, d)) @ rng.normal(size=(d, d)) + rng.normal(size=d)


def test_frechet_is_the_formula_by_another_root():
    a, b = cloud(40, 3, 0), cloud(50, 3, 1)
    S, R = np.cov(a.T), np.cov(b.T)
    apart = np.sum((a.mean(0) - b.mean(0)) ** 2)
    truth = apart + np.trace(S + R - 2 * np.real(sqrtm(S @ R)))
    np.testing.assert_allclose(quality.frechet(jnp.asarray(a), jnp.asarray(b)), truth, rtol=1e-10)
    line = quality.frechet(jnp.asarray(a[:, :1]), jnp.asarray(b[:, :1]))
    spread = np.std(a[:, 0], ddof=1) - np.std(b[:, 0], ddof=1)
    np.testing.assert_allclose(line, (a[:, 0].mean() - b[:, 0].mean()) ** 2 + spread**2, rtol=1e-10)


def test_frechet_of_flat_features_is_finite_and_of_the_same_ones_zero():
    a = np.random.default_rng(0).normal(size=(30, 1)) @ np.ones((1, 6))
    # Roots of eigenvalues that are 0 to rounding: six times the root of eps times the variance 6.
    found = quality.frechet(jnp.asarray(a, jnp.float32), jnp.asarray(a, jnp.float32))
    assert abs(found) < 36 * np.sqrt(np.finfo(np.float32).eps)


@pytest.mark.parametrize("num", [30, 45])
def test_sliced_wasserstein_on_a_line_is_that_of_sorted_points(num):
    a, b = cloud(30, 1, 0), cloud(num, 1, 1)
    found = quality.sliced_wasserstein(KEY, jnp.asarray(a), jnp.asarray(b), 3)
    # Each of 90 equal parts of [0, 1] lies within one interval of both quantile functions.
    x, y = np.repeat(np.sort(a[:, 0]), 3), np.repeat(np.sort(b[:, 0]), 90 // num)
    np.testing.assert_allclose(found, np.sqrt(np.mean((x - y) ** 2)), rtol=1e-12)
    assert found >= wasserstein_distance(a[:, 0], b[:, 0]) - 1e-12


def test_sliced_wasserstein_of_a_shift_is_its_share_in_each_direction():
    a, shift = jnp.asarray(cloud(20, 4, 0)), jnp.array([3.0, 0.0, -4.0, 0.0])
    found = quality.sliced_wasserstein(KEY, a, a + shift[None], 4000)
    # E (u·v)² = |v|²/d = 25/4 for u uniform on the sphere; its variance is below 2 (25/4)².
    assert abs(found**2 - 25 / 4) < 5 * np.sqrt(2 / 4000) * 25 / 4


def test_nearest_is_that_of_a_tree_over_more_than_a_block():
    a, b = cloud(quality.MOST + 60, 3, 0), cloud(70, 3, 1)
    b[7] = a[100]
    distance, which = KDTree(b).query(a)
    found = jax.jit(quality.nearest)(jnp.asarray(a), jnp.asarray(b))
    np.testing.assert_array_equal(found.which, which)
    np.testing.assert_allclose(found.distance, distance, rtol=1e-12)
    assert found.distance[100] == 0


@pytest.mark.parametrize("k", [1, 3])
def test_precision_and_recall_are_those_of_loops(k):
    rng = np.random.default_rng(0)
    real, fake = rng.normal(size=(40, 2)), 1 + rng.normal(size=(50, 2))

    def among(points, others):
        radii = [np.sort(np.linalg.norm(others - x, axis=1))[k] for x in others]
        near = [np.any(np.linalg.norm(others - p, axis=1) <= radii) for p in points]
        return np.mean(near)

    found = quality.precision_recall(jnp.asarray(real), jnp.asarray(fake), k)
    assert 0 < found.precision < 1
    np.testing.assert_allclose(found, (among(fake, real), among(real, fake)), rtol=1e-12)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda a, b: quality.nearest(a, b[:, :1]), r"shapes \[N, d\] and \[M, d\], got"),
        (lambda a, b: quality.frechet(a[:1], b), "at least 2 points, got 1"),
        (lambda a, b: quality.precision_recall(a, b, 4), "below the 4 points, got 4"),
        (lambda a, b: quality.sliced_wasserstein(KEY, a, b, 0), "num_projections must be"),
    ],
)
def test_points_that_do_not_fit_are_refused(call, said):
    with pytest.raises(InputError, match=said):
        call(jnp.ones((5, 2)), jnp.ones((4, 2)))
