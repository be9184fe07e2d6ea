"""The reference optimum: of a regulator it is SciPy's, elsewhere its gradient vanishes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg

from fineq.errors import InputError, PrecisionWarning
from fineq.iterate import Status, solve
from fineq.nlqr import (
    LBFGS,
    Newton,
    Sine,
    Sphere,
    Zero,
    build_problem,
    build_system,
    cost,
    expansion,
    optimum,
)


def make_problem(phi=None, scale=0.8):
    rng = np.random.default_rng(11)
    phi = Sine() if phi is None else phi
    A, B = 0.5 * rng.normal(size=(2, 2)), rng.normal(size=(2, 1))
    C = 0.3 * rng.normal(size=(2, phi.num_features(2)))
    return build_problem(build_system(A, B, C, phi=phi, scale=scale), Sphere(2.0, 2))


@pytest.mark.slow
@pytest.mark.parametrize("method", ["newton", "lbfgs"])
def test_of_a_regulator_it_is_the_riccati_gain(method):
    problem = make_problem(Zero(0))
    A, B = (np.asarray(M) for M in (problem.system.A, problem.system.B))
    P = scipy.linalg.solve_discrete_are(A, B, np.eye(2), np.eye(1))
    gain = np.linalg.solve(np.eye(1) + B.T @ P @ B, B.T @ P @ A)
    star = optimum(problem, start=gain + 0.1, method=method)
    assert star.converged
    assert star.status == Status.CONVERGED
    # Newton's is exact; L-BFGS stops at a decrement of 1e-16, a distance of its root.
    tolerance = {"newton": 1e-11, "lbfgs": 1e-7}[method]
    np.testing.assert_allclose(star.K, gain, rtol=0, atol=tolerance)
    # E x'Px on the circle of radius 2 is 4/2 tr P.
    np.testing.assert_allclose(star.cost, 2 * np.trace(P), rtol=1e-11)


@pytest.mark.slow
def test_gradient_vanishes_and_both_methods_agree():
    problem = make_problem()
    star, other = optimum(problem), optimum(problem, method="lbfgs")
    at = expansion(star.K, problem.system, problem.points, problem.horizon)
    values = np.linalg.eigvalsh(at.hessian)
    np.testing.assert_allclose(at.gradient, 0, atol=1e-11)
    np.testing.assert_allclose((star.mu, star.h), (values[0], values[-1]), rtol=1e-8)
    np.testing.assert_allclose(star.K, other.K, rtol=0, atol=1e-6)
    np.testing.assert_allclose(star.cost, other.cost, rtol=1e-12)
    np.testing.assert_allclose((other.mu, other.h), (star.mu, star.h), rtol=1e-4)
    for one in (star, other):
        assert abs(float(one.decrement)) <= 1e-12


def test_a_budget_that_is_too_small_is_a_status():
    star = optimum(make_problem(), start=jnp.zeros((1, 4)), num_steps=1)
    assert star.status == Status.BUDGET
    assert not star.converged


@pytest.mark.slow
@pytest.mark.parametrize("method", [Newton(1e-20), LBFGS(1e-16)])
def test_methods_measure_beside_a_reference(method):
    problem = make_problem()
    star = optimum(problem)
    found = solve(problem, method, start=star.K + 0.05, reference=star, num_steps=60)
    assert found.status == Status.CONVERGED
    np.testing.assert_allclose(found["distance"][0], 0.05 * np.sqrt(star.K.size), rtol=1e-12)
    first = cost(star.K + 0.05, problem.system, problem.points, problem.horizon)
    np.testing.assert_allclose(found["cost"][0], first, rtol=1e-12)
    np.testing.assert_allclose(found["gap"][0], first / star.cost - 1, rtol=1e-9)
    assert found["distance"][-1] < 1e-6
    assert solve(problem, type(method)(), num_steps=3).status == Status.BUDGET


def test_the_door():
    problem = make_problem()
    with pytest.raises(InputError, match="problem must be a Problem, which build_problem makes"):
        optimum(problem.system)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="method must be 'newton' or 'lbfgs', got 'sgd'"):
        optimum(problem, method="sgd")
    with pytest.raises(InputError, match=r"start must have shape \(1, 4\)"):
        optimum(problem, start=jnp.zeros((2, 2)))


@pytest.mark.slow
def test_a_script_without_float64_is_told():
    with jax.enable_x64(False), pytest.warns(PrecisionWarning) as told:
        star = optimum(make_problem())
    assert any("nlqr.optimum is meant to be exact" in str(one.message) for one in told)
    assert star.K.dtype == jnp.float32
