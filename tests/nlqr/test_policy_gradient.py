"""Policy gradient against closed forms: one step of cost is a quadratic form in K.

With T = 1 the cost is `E x'Qx + tr(M K'RK)`, M = E ψψ': its gradient 2 R K M, its optimum K = 0.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fineq.errors import InputError
from fineq.iterate import Status, solve, unroll
from fineq.nlqr import (
    Exact,
    Natural,
    OnePoint,
    Optimum,
    Points,
    PolicyGradient,
    Problem,
    Sine,
    System,
    TwoPoint,
    optimum,
    psi,
)
from tests.compiled import compilations

K0 = np.array([[0.3, -0.7, 0.2, 0.5], [1.0, 0.1, -0.4, 0.6]])


def make_problem(horizon=1, dtype=jnp.float64):
    rng = np.random.default_rng(3)
    A, B, C = (jnp.asarray(0.4 * rng.normal(size=(2, 2)), dtype) for _ in range(3))
    system = System(A, B, C, *[jnp.eye(2, dtype=dtype)] * 2, jnp.asarray(1.3, dtype), Sine())
    weights = jnp.full(6, 1 / 6, dtype)
    points = Points(jnp.asarray(2.5 * rng.normal(size=(6, 2)), dtype), weights)
    return Problem(system, points, points, horizon)


def moment(problem):
    regressors = jax.vmap(lambda x: psi(problem.system, x))(problem.points.points)
    return np.asarray(jnp.einsum("s,si,sj->ij", problem.points.weights, regressors, regressors))


def rest(problem):
    """The optimum of one step, K = 0, whose cost is E x'Qx."""
    cost = jnp.sum(problem.points.weights @ problem.points.points**2)
    return Optimum(jnp.zeros((2, 4)), cost, *[jnp.zeros(())] * 3, jnp.asarray(Status.CONVERGED))


def test_every_iterate_of_exact_descent_is_the_closed_form():
    problem, eta = make_problem(), 0.05
    by = PolicyGradient(eta, keep_policy=True)
    found = solve(problem, by, start=K0, num_steps=30, record=range(31), reference=rest(problem))
    M = moment(problem)
    contraction = np.eye(4) - 2 * eta * M
    policies = np.stack([K0 @ np.linalg.matrix_power(contraction, t) for t in range(31)])
    np.testing.assert_allclose(found["policy"], policies, rtol=0, atol=1e-14)
    np.testing.assert_allclose(found["distance"], np.linalg.norm(policies, axis=(1, 2)), rtol=1e-12)
    costs = np.einsum("tij,jk,tik->t", policies, M, policies)
    np.testing.assert_allclose(found["gap"], costs / rest(problem).cost, rtol=1e-10)
    # What is said of the gradient is said of the policy before.
    norms = np.linalg.norm(2 * policies @ M, axis=(1, 2))
    np.testing.assert_allclose(found["gradient_norm"][1:], norms[:-1], rtol=1e-12)
    np.testing.assert_allclose(found.value, policies[-1], rtol=0, atol=1e-14)


def test_natural_descent_does_not_know_the_regressors():
    found = solve(
        make_problem(), PolicyGradient(0.1, Natural(), keep_policy=True), start=K0, num_steps=9
    )
    np.testing.assert_allclose(found.value, 0.8**9 * K0, rtol=1e-9)


def test_the_first_step_of_adam_goes_by_signs():
    found = solve(make_problem(), PolicyGradient(0.01, rule="adam"), start=K0, num_steps=1)
    gradient = 2 * K0 @ moment(make_problem())
    # Adam's ε = 1e-8 beside gradients of 1e-2 and more.
    np.testing.assert_allclose(found.value, K0 - 0.01 * np.sign(gradient), rtol=0, atol=1e-7)


@pytest.mark.parametrize(
    "gradient",
    [
        OnePoint(64),
        *(pytest.param(x, marks=pytest.mark.slow) for x in (TwoPoint(64), Natural(TwoPoint(64)))),
    ],
)
def test_estimates_draw_and_say_so(gradient):
    problem = make_problem(3)
    by = PolicyGradient(1e-3, gradient, radius=0.2)
    with pytest.raises(InputError, match="PolicyGradient draws random numbers: give key="):
        solve(problem, by, start=K0, num_steps=3)
    ends = [
        solve(problem, by, start=K0, key=jax.random.key(s), num_steps=3).value for s in (0, 0, 1)
    ]
    np.testing.assert_array_equal(ends[0], ends[1])
    assert not np.array_equal(ends[0], ends[2])


@pytest.mark.slow
def test_two_point_estimates_follow_the_exact_descent():
    problem = make_problem()
    by = PolicyGradient(0.05, TwoPoint(20_000), radius=0.2)
    noisy = solve(problem, by, start=K0, key=jax.random.key(1), num_steps=5).value
    plain = solve(problem, PolicyGradient(0.05), start=K0, num_steps=5).value
    # A pair's slope is that of a quadratic: no bias. Noise √(2D/J) |∇C| = 3% of a gradient.
    moved = np.linalg.norm(plain - K0)
    assert np.linalg.norm(noisy - plain) < 0.06 * moved


def test_too_large_a_step_is_a_status_and_the_limit_cuts_it_short():
    problem = make_problem()
    largest = np.linalg.eigvalsh(moment(problem))[-1]
    by = PolicyGradient(4 / largest)
    found = solve(problem, by, start=K0, num_steps=2000)
    assert found.status == Status.DIVERGED
    early = solve(problem, PolicyGradient(4 / largest, limit=1e6), start=K0, num_steps=2000)
    assert early.status == Status.DIVERGED
    assert early.stats.num_steps < found.stats.num_steps
    assert np.all(np.isfinite(early.value))


def test_it_ends_at_a_distance_from_the_reference():
    problem, eta = make_problem(), 0.05
    by = PolicyGradient(eta, tolerance=0.1)
    found = solve(problem, by, start=K0, num_steps=500, record=range(501), reference=rest(problem))
    assert found.status == Status.CONVERGED
    distance = found["distance"][found.trace.valid]
    # The last gradient was taken where the distance is first within.
    assert distance[-2] <= 0.1 < distance[-3]
    with pytest.raises(InputError, match="tolerance is a distance from K"):
        solve(problem, by, start=K0, num_steps=5)


@pytest.mark.slow
def test_new_numbers_compile_nothing():
    problem = make_problem(4)
    by = PolicyGradient(0.01, Exact(), radius=0.3, limit=1e9)
    solve(problem, by, start=K0, num_steps=7)
    other = jax.tree.map(lambda x: 1.1 * x, problem)
    by = PolicyGradient(0.02, Exact(), radius=0.4, limit=1e8)
    with compilations("run_chunk") as found:
        solve(other, by, start=2 * K0, num_steps=7)
    assert found == []


@pytest.mark.slow
def test_a_batch_of_seeds_and_step_sizes_equals_one_by_one():
    problem = make_problem(3)
    keys, sizes = jax.random.split(jax.random.key(4), 3), jnp.array([0.001, 0.01, 0.05])

    def end(key, size):
        return unroll(problem, PolicyGradient(size, TwoPoint(8)), start=K0, key=key, num_steps=4)[0]

    together = jax.jit(jax.vmap(end))(keys, sizes)
    for i in range(3):
        np.testing.assert_allclose(together[i], end(keys[i], sizes[i]), rtol=1e-11)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
def test_the_dtype_is_that_of_the_problem(dtype):
    found = solve(make_problem(2, dtype), PolicyGradient(0.05), start=K0, num_steps=3)
    assert found.value.dtype == dtype


def test_what_does_not_fit_is_said():
    problem = make_problem()
    with pytest.raises(InputError, match=r"start must have shape \(2, 4\) \(p, n \+ d\)"):
        solve(problem, PolicyGradient(0.1), start=K0[:, :3], num_steps=2)
    with pytest.raises(InputError, match="PolicyGradient reads K and cost of a reference, got a "):
        solve(problem, PolicyGradient(0.1), start=K0, reference=jnp.asarray(K0), num_steps=2)
    with pytest.raises(InputError, match=r"such as Exact\(\), got Exact"):
        PolicyGradient(0.1, Exact)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"such as Exact\(\), got 3"):
        Natural(3)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="rule must be 'fixed' or 'adam', got 'momentum'"):
        PolicyGradient(0.1, rule="momentum")  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"step_size must be above 0, got -0\.1"):
        PolicyGradient(-0.1)
    with pytest.raises(InputError, match="radius must be above 0, got 0"):
        PolicyGradient(0.1, OnePoint(8), radius=0)


@pytest.mark.slow
def test_the_usual_start_is_the_linear_policy_and_the_end_the_optimum():
    problem = make_problem(60)
    star = optimum(problem)
    assert star.converged
    by = PolicyGradient(0.5 / star.h)  # the curvature at K_lin is larger than at K*
    found = solve(problem, by, reference=star, num_steps=6000)
    # |K - K*| falls to rounding of the gradient over μ.
    assert found["distance"][-1] < 1e-10
    assert found["distance"][-1] < 1e-3 * found["distance"][0]
    rate = found.rate("distance")
    predicted = np.log1p(-float(by.step_size) * float(star.mu))
    assert rate.value == pytest.approx(predicted, rel=0.02)
