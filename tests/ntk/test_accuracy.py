"""Bounds on the Krylov path's error, and estimated traces, against the eigendecomposition."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fineq.errors import InputError
from fineq.ntk import lanczos, spectral
from fineq.ntk.accuracy import error_bounds, estimated_freedom
from fineq.ntk.tangent import gram
from tests.ntk.small import N, make_problem

TIMES = jnp.array([0.0, 1, 7, 100, 200, 400, 1e3, 2e3, 4e3, 1e5])


@pytest.fixture(scope="module")
def problem():
    return make_problem()


@pytest.fixture(scope="module")
def exact(problem):
    return spectral.spectrum_at(problem[0])


@pytest.fixture(scope="module")
def eta(problem):
    return spectral.default_step(lanczos.mean_diagonal(problem[0]))


def rms(x):
    return np.sqrt(np.mean(np.square(x), axis=1))


@pytest.mark.slow
@pytest.mark.parametrize("method", ["steps", "flow", "ridge"])
def test_bounds_hold_and_are_not_idle(problem, exact, eta, method):
    z, labels = problem
    short = lanczos.krylov(gram(z), labels, 12)
    ours = spectral.descend(short.spectrum, labels, eta, TIMES, method)
    truth = spectral.descend(exact, labels, eta, TIMES, method)
    bound = error_bounds(short, eta, TIMES, method)
    error = rms(ours.fitted - truth.fitted)
    assert np.all(error <= bound.fitted)
    change = ours.coefficients - truth.coefficients
    norm = np.sqrt(np.maximum(np.einsum("snc,nm,smc->sc", change, gram(z), change), 0))
    # The reference is rounded itself: a few eps of its own norm.
    assert np.all(norm <= bound.norm + 8 * np.finfo(float).eps * truth.norm)
    # Where the error is well above rounding the bound is within a factor of it: the triangle
    # inequality over times, and no decay of defects, are what it gives away.
    seen = (error > 1e-9) & (error < 1e-2)
    assert np.sum(seen) > 2
    assert np.all(bound.fitted[seen] < 200 * error[seen])
    assert np.all(bound.norm[seen] < 200 * norm[seen])


def test_first_steps_are_exact_and_later_ones_are_marked(problem, exact, eta):
    z, labels = problem
    short = lanczos.krylov(gram(z), labels, 8)
    times = jnp.array([1.0, 7.0, 1e6, jnp.inf])
    ours = spectral.descend(short.spectrum, labels, eta, times)
    truth = spectral.descend(exact, labels, eta, times)
    # A polynomial of degree 7 in A lies in the space of 8 products.
    np.testing.assert_allclose(ours.fitted[:2], truth.fitted[:2], atol=1e-13)
    np.testing.assert_allclose(ours.loss[:2], truth.loss[:2], atol=1e-13)
    np.testing.assert_allclose(ours.norm[:2], truth.norm[:2], atol=1e-13)
    marks = error_bounds(short, eta, times)
    np.testing.assert_array_equal(np.all(marks.converged, axis=1), [True, True, False, False])
    assert marks.until == 7
    assert np.isnan(error_bounds(short, eta, times, tolerance=0.0).until)


def test_degrees_of_freedom_are_estimated(problem, exact, eta):
    many = lanczos.draw_probes(jax.random.key(7), N, 24)
    wide = lanczos.krylov(gram(problem[0]), problem[1], 6, many)
    times = jnp.array([1.0, 30.0, 1e3])
    found, error = estimated_freedom(wide, eta, times)
    truth = spectral.degrees_of_freedom(exact.values, eta, times)
    for mean, spread, expected in zip(found, error, truth):
        # The mean of 24 probes, four standard errors wide.
        assert np.all(np.abs(mean - expected) < 4 * spread)
        assert np.all(spread < 0.25 * expected)
    with pytest.raises(InputError, match="two probes"):
        estimated_freedom(lanczos.krylov(gram(problem[0]), problem[1], 6), eta, times)


@pytest.mark.parametrize("storage", ["float32", pytest.param("blocked", marks=pytest.mark.slow)])
def test_the_rounding_of_equal_entries_is_bounded(storage):
    """N equal rows: K = κ 11', all entries rounded alike, so that no error averages out. Exactly
    f_τ = (1 - (1 - ηκ)^τ) y, here for κ at the worst distance from a float32."""
    worst, count, eta, time = 0.0, 400, 1e-3, 50.0
    for side in np.linspace(1, 1.4, 9):
        row = np.array([side, 1.0])
        if storage == "blocked":
            row = row.astype(np.float32)
        z, labels = jnp.asarray(np.tile(row, (count, 1))), jnp.ones(count)
        space = lanczos.krylov_at(z, labels, 2, storage=storage)
        found = spectral.descend(space.spectrum, labels.astype(z.dtype), eta, time).fitted[0]
        found = np.asarray(found, float)
        exact = -np.expm1(time * np.log1p(-eta * np.sum(row.astype(float) ** 2) / 2))
        bound = float(error_bounds(space, eta, jnp.array([time])).fitted[0, 0])
        assert np.abs(found - exact).max() <= bound
        worst = max(worst, np.abs(found - exact).max() / bound)
    assert worst > (0.2 if storage == "float32" else 1e-3)
