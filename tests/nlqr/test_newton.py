"""Newton's method and the grouping of minima, on objectives whose answers are known."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg

from fineq.nlqr.costs import cost
from fineq.nlqr.expansions import expansion
from fineq.nlqr.features import Zero
from fineq.nlqr.laws import sphere_points
from fineq.nlqr.minima import distinct_minima, label_minima, stabilising_starts
from fineq.nlqr.newton import Newton, NewtonState
from fineq.nlqr.objective import hessian
from fineq.nlqr.problem import System

EPS = np.finfo(np.float64).eps


def quadratic(K, problem):
    H, centre = problem
    x = (K - centre).ravel()
    return 1.0 + 0.5 * x @ H @ x


def quadratic_problem(size=6):
    rng = np.random.default_rng(1)
    vectors = np.linalg.qr(rng.normal(size=(size, size)))[0]
    H = vectors @ np.diag(np.logspace(-2, 2, size)) @ vectors.T
    return jnp.asarray((H + H.T) / 2), jnp.asarray(rng.normal(size=(2, size // 2)))


def stepper(objective, expand=None):
    by = Newton(objective=objective, expand=expand)
    return jax.jit(lambda state, problem: by.step(None, state, problem))


def test_hessian_of_a_quadratic_is_its_matrix():
    H, centre = quadratic_problem()
    found = hessian(quadratic, centre + 1.0, (H, centre))
    # Products of 6 terms of size |H|: rounding of a few eps of the largest.
    np.testing.assert_allclose(found, H, atol=50 * EPS * 100)


def test_one_newton_step_minimises_a_quadratic():
    H, centre = quadratic_problem()
    start = NewtonState(centre + 1.0, quadratic(centre + 1.0, (H, centre)))
    state, info = Newton(objective=quadratic).step(None, start, (H, centre))
    # The error of the solve is cond(H) eps times the step, cond = 1e4.
    np.testing.assert_allclose(state.K, centre, atol=1e4 * 20 * EPS)
    np.testing.assert_allclose(info.decrement, start.cost - 1.0, rtol=1e-10)
    np.testing.assert_allclose(info.relative_decrement, 1.0 - 1.0 / start.cost, rtol=1e-10)
    assert info.step == 1.0


def test_newton_descends_through_negative_curvature():
    """`(x² - 1)²` is concave at 0.1: a plain Newton step would climb to the maximum at 0."""

    def well(K, problem):
        return 1.0 + jnp.sum((K**2 - 1.0) ** 2)

    step = stepper(well)
    state = NewtonState(jnp.full((1, 2), 0.1), well(jnp.full((1, 2), 0.1), None))
    first = step(state, None)[1]
    assert first.mu < 0
    for _ in range(11):
        state, _ = step(state, None)
    state, info = step(state, None)
    np.testing.assert_allclose(state.K, 1.0, atol=4 * EPS)
    assert info.mu > 0


def test_newton_converges_quadratically():
    def objective(K, problem):
        return jnp.sum(jnp.exp(K) - 2.0 * K)

    step = stepper(objective)
    state = NewtonState(jnp.full((1, 1), 1.5), objective(jnp.full((1, 1), 1.5), None))
    errors = []
    for _ in range(6):
        errors.append(abs(float(state.K[0, 0]) - np.log(2.0)))
        state, _ = step(state, None)
    errors = [e for e in errors if e > 1e-7]
    # e' = e²/2 (1 + O(e)) for f'' = f''' at the minimum.
    for e, following in itertools.pairwise(errors[1:]):
        assert following == pytest.approx(e**2 / 2, rel=e)


def test_newton_refuses_steps_to_infinite_cost():
    def barrier(K, problem):
        return jnp.sum(K - jnp.log(K))

    state = NewtonState(jnp.full((1, 1), 1e-3), barrier(jnp.full((1, 1), 1e-3), None))
    step = stepper(barrier)
    for _ in range(20):
        state, _ = step(state, None)
    # f resolves K to sqrt(eps) only; the last full steps are taken on the Newton direction alone.
    np.testing.assert_allclose(state.K, 1.0, atol=4 * EPS)


def test_stabilising_starts_shrink_into_the_region():
    def inside(K):
        return jnp.linalg.norm(K) < 0.2

    starts, stable = stabilising_starts(jax.random.key(0), jnp.zeros((2, 3)), 5.0, 16, inside)
    assert bool(stable.all())
    assert float(jnp.linalg.norm(starts, axis=(1, 2)).max()) < 0.2
    nowhere = stabilising_starts(
        jax.random.key(0), jnp.zeros((2, 3)), 5.0, 4, lambda K: K[0, 0] > 9
    )
    assert not bool(nowhere[1].any())


def test_distinct_minima_groups_by_cost_and_policy():
    a, b = np.zeros((1, 2)), np.ones((1, 2))
    policies = np.stack([b, a, a + 1e-9, b, a + 0.5])
    costs = np.array([2.0, 1.0, 1.0 + 1e-12, 2.0, np.nan])
    found = distinct_minima(costs, policies, np.array([True, True, True, True, False]))
    assert found.number == 2
    assert found.labels.tolist() == [1, 0, 0, 1, -1]
    assert found.fraction == 2 / 5


def test_without_nonlinearity_the_optimum_is_the_riccati_gain():
    """φ = 0: K1* solves the DARE (SciPy's), for every initial law of full rank."""
    rng = np.random.default_rng(7)
    A, B = 0.5 * rng.normal(size=(2, 2)), rng.normal(size=(2, 1))
    P = scipy.linalg.solve_discrete_are(A, B, np.eye(2), np.eye(1))
    truth = np.linalg.solve(np.eye(1) + B.T @ P @ B, B.T @ P @ A)
    plant = map(jnp.asarray, (A, B, np.zeros((2, 1)), np.eye(2), np.eye(1), 1.0))
    system, points, horizon = System(*plant, Zero(1)), sphere_points(2, 1.0, 2), 200
    start = jnp.concatenate([truth + 0.05, jnp.full((1, 1), 0.3)], axis=1)

    def objective(K, problem):
        return cost(K, system, points, horizon)

    step = stepper(objective, lambda K, _: expansion(K, system, points, horizon))
    state = NewtonState(start, objective(start, None))
    for _ in range(7):
        state, _ = step(state, None)
    state, info = step(state, None)
    assert info.relative_decrement < 1e-25
    # Rounding of the gradient over the curvature; the unused entry K2 has neither.
    np.testing.assert_allclose(state.K[:, :2], truth, atol=1e3 * EPS)
    assert state.K[0, 2] == 0.3


def test_labels_name_the_lowest_minimum_of_each_instance():
    """Two instances, three starts: minima of cost 1 and 2; one start that did not settle."""
    cost = np.array([[2.0, 1.0], [1.0, 1.0], [1.0, 5.0]])
    K = cost[..., None, None] * np.ones((1, 1, 1, 2))
    settled = np.array([[True, True], [True, True], [True, False]])
    labels, number = label_minima(cost, K, settled)
    np.testing.assert_array_equal(labels, [[1, 0], [0, 0], [0, -1]])
    np.testing.assert_array_equal(number, [2, 1])
    _, none = label_minima(cost, K, np.zeros_like(settled))
    assert np.all(np.isnan(none))
