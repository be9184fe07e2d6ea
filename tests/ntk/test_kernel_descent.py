"""Kernel descent step by step against the closed path, and against finite differences."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import fineq
from fineq.errors import InputError
from fineq.ntk.kernel_descent import KernelDescent
from fineq.ntk.problem import make_regression
from fineq.ntk.spectral import descend, predict, spectrum_at
from fineq.ntk.step_size import largest_eigenvalue
from fineq.ntk.tangent import gram, kernel


def problem(dtype=np.float64, N=24):
    rng = np.random.default_rng(0)
    z, y, fresh = (rng.normal(size=s).astype(dtype) for s in ((N, 3), (N, 2), (5, 3)))
    return make_regression(z, y, fresh)


@pytest.mark.parametrize("stored", [True, False])
def test_steps_are_the_closed_path(stored):
    given = problem()
    eta = 0.5 / largest_eigenvalue(given.z)
    times = np.array([0, 1, 7, 50, 400])
    path = descend(spectrum_at(given.z), given.labels, eta, times)
    far = predict(given.fresh, given.z, path.coefficients)
    found = fineq.solve(
        given, KernelDescent(eta, stored), num_steps=400, record=times, reference=far[-1]
    )
    # Rounding of a stable descent: the order of eps a step.
    atol = 400 * np.finfo(float).eps * float(jnp.abs(given.labels).max()) * 10
    for name, expected in (("train", path.fitted), ("fresh", far), ("norm", path.norm)):
        np.testing.assert_allclose(found[name], expected, atol=atol)
    np.testing.assert_allclose(found["loss"], np.sum(path.loss, axis=1), rtol=1e-10)
    np.testing.assert_allclose(found.value, path.coefficients[-1], atol=atol)
    np.testing.assert_allclose(found["distance"][-1], 0, atol=atol)
    assert found.status == fineq.Status.BUDGET


def test_a_step_descends_the_loss_in_function_space():
    """The change of f at any z is -η κ(z, ·) applied to the loss's derivative in f(z_j)."""
    given, eta = problem(), 0.1
    by = KernelDescent(eta)
    start = np.random.default_rng(1).normal(size=given.labels.shape) / 24
    before = by.init(None, given, start)
    after, _ = by.step(None, before, given)

    def loss(f):
        return np.sum((f - np.asarray(given.labels)) ** 2) / (2 * 24)

    f, h = np.asarray(before.fitted), 1e-5
    # Central differences of a quadratic are exact but for rounding, eps loss / h.
    units = h * np.eye(48).reshape(24, 2, 24, 2)
    slope = np.array([[loss(f + e) - loss(f - e) for e in row] for row in units]) / (2 * h)
    change = np.asarray(after.fitted - before.fitted)
    np.testing.assert_allclose(change, -eta * np.asarray(gram(given.z)) @ slope, atol=1e-9)
    moved = kernel(given.fresh, given.z) @ after.coefficients
    shown = by.measure(after, None, given, None)["fresh"]
    np.testing.assert_allclose(shown, moved, atol=1e-13)


@pytest.mark.slow
def test_a_restart_lands_at_the_same_end():
    given = problem()
    whole = fineq.solve(given, KernelDescent(), num_steps=60).value
    half = fineq.solve(given, KernelDescent(), num_steps=25).value
    rest = fineq.solve(given, KernelDescent(), start=half, num_steps=35).value
    np.testing.assert_allclose(rest, whole, atol=1e-13)


def test_the_usual_step_size_is_the_inverse_mean_of_the_diagonal():
    given = problem()
    eta = 1 / np.mean(np.diag(np.asarray(gram(given.z))))
    usual, same = (fineq.solve(given, KernelDescent(e), num_steps=9).value for e in (None, eta))
    np.testing.assert_allclose(usual, same, atol=1e-13)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_above_the_limit_it_diverges_and_below_not(dtype):
    given = problem(dtype)
    limit = 2 / float(largest_eigenvalue(given.z))
    ends = [
        fineq.solve(given, KernelDescent(limit * c), num_steps=4000).status for c in (0.99, 1.05)
    ]
    assert ends == [fineq.Status.BUDGET, fineq.Status.DIVERGED]
    # What is kept is the last state whose loss is at most a hundred times that at f = 0.
    kept = fineq.solve(given, KernelDescent(1.05 * limit), num_steps=4000).value
    fitted = np.asarray(gram(given.z)) @ np.asarray(kept)
    assert 1 < np.sum((fitted - given.labels) ** 2) / np.sum(given.labels**2) <= 100
    assert fineq.solve(given, KernelDescent(limit), num_steps=3).value.dtype == dtype


@pytest.mark.slow
def test_a_batch_of_step_sizes_is_one_by_one():
    given, sizes = problem(), jnp.array([0.05, 0.2])

    def end(size):
        return fineq.unroll(given, KernelDescent(size), num_steps=6)[0]

    alone = np.stack([end(size) for size in sizes])
    np.testing.assert_allclose(jax.vmap(end)(sizes), alone, atol=1e-14)


def test_a_start_of_another_shape_is_refused():
    with pytest.raises(InputError, match=r"start must hold coefficients \(24, 2\), got \(24, 1\)"):
        fineq.solve(problem(), KernelDescent(), start=np.ones((24, 1)), num_steps=1)


@pytest.mark.parametrize("num", [20, 600])
def test_largest_eigenvalue(num):
    z = np.random.default_rng(1).normal(size=(num, 3))
    expected = np.linalg.eigvalsh(np.asarray(gram(z)) / num)[-1]
    np.testing.assert_allclose(largest_eigenvalue(z), expected, rtol=1e-6)  # Ritz value at 600
