"""PI-FT as methods of `fineq.solve`: against the exact recursion, and what they refuse."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from chex import assert_trees_all_close

from fineq import pift, solve
from fineq.errors import InputError
from fineq.iterate import Status
from fineq.pift import lq
from tests.pift.parametric.common import diffusion, general

EXACT = {"rtol": 1e-11, "atol": 1e-12}


def close(a, b, **tolerance):
    assert_trees_all_close(a, b, **(tolerance or EXACT))


@pytest.fixture(scope="module", params=[pytest.param(diffusion, marks=pytest.mark.slow), general])
def case(request):
    problem = request.param()
    arrays = pift.linear_quadratic(problem)
    return problem, arrays, pift.optimum(arrays)


def test_sweeps_have_the_objective_gap_and_distance_of_every_policy(case):
    problem, arrays, best = case
    found = solve(arrays, pift.LQSweeps(), num_steps=4, record=range(5), reference=best)
    policy = lq.pretrained(arrays)
    J = float(lq.objective(arrays, best.policy).objective)
    for i in range(5):
        # The objective backwards is recorded; here it is run forwards, by moments.
        forward = float(lq.objective(arrays, policy).objective)
        assert found["objective"][i] == pytest.approx(forward, rel=1e-12)
        assert found["gap"][i] == pytest.approx(J - forward, abs=1e-12 * (1 + abs(J)))
        apart = lq.distance(policy, best.policy, lq.size(arrays))
        assert found["distance"][i] == pytest.approx(float(apart), rel=1e-10)
        policy = lq.policy_iteration(arrays, policy)[0]
    without = solve(arrays, pift.LQSweeps(), num_steps=1)
    assert set(without.trace.metrics) == {"objective"}
    mean, covariance = problem.chain.start.moments()
    size = np.sqrt(np.trace(covariance) + mean @ mean)
    assert float(lq.size(arrays)) == pytest.approx(float(size), rel=1e-14)


@pytest.mark.slow
@pytest.mark.parametrize("rule", ["plain", "damped", "newton"])
def test_nested_steps_are_the_whole_recursion(case, rule):
    _, arrays, best = case
    T = arrays.betas.shape[0]
    by = pift.LQNested(3, rule)
    found = solve(arrays, by, num_steps=T + 5, record=range(T + 6), reference=best)
    whole = lq.nested(arrays, 3, rule)
    assert (found.status, found.stats.num_steps) == (Status.CONVERGED, T)
    close((found.value.policy, found.value.value), (whole.policy, whole.value))
    size = lq.size(arrays)
    for step in range(1, T + 1):
        t = T - step
        assert found["t"][step] == t
        for i in range(4):
            inner = lq.Policy(whole.inner.F[t, i], whole.inner.f[t, i])
            star = lq.Policy(best.policy.F[t], best.policy.f[t])
            wanted = float(lq.distance(inner, star, size))
            assert found["to_best"][step, i] == pytest.approx(wanted, rel=1e-9, abs=1e-13)
    # One Newton step reaches the fixed point; the others approach it.
    left, first = found["to_fixed"][1:, -1], found["to_fixed"][1:, 0]
    assert np.all(left < (1e-12 if rule == "newton" else first))


def test_a_given_start_is_where_methods_begin(case):
    _, arrays, best = case
    at_best = solve(arrays, pift.LQSweeps(), start=best.policy, num_steps=1, reference=best)
    assert np.all(at_best["distance"] < 1e-12)
    nested = solve(arrays, pift.LQNested(1), start=best.policy, num_steps=1, reference=best)
    assert np.all(nested["to_best"][1] < 1e-12)


def test_a_sweep_that_does_not_contract_diverges_by_status(case):
    _, arrays, _ = case
    cheap = pift.with_beta(arrays, 1e-3)
    assert solve(cheap, pift.LQSweeps(), num_steps=400).status == Status.DIVERGED


@pytest.mark.slow
def test_linear_features_backwards_reach_the_optimum():
    """The noise of landing targets vanishes with the error: 30 inner fits leave rounding.

    With 512 paths: at t = 0 the mean hardly moves with y, which magnifies that noise, and 64 lose.
    """
    problem = diffusion(4)
    features = pift.polynomial(pift.standard_scale(jax.random.key(0), problem), 1)
    by = pift.LinearNested(num_paths=512, num_inner=30, features=features)
    best = pift.optimum(pift.linear_quadratic(problem))
    wanted = pift.costate_of(problem, pift.AffineMean(*best.policy))
    reference = pift.reference_on_paths(jax.random.key(1), problem, wanted, 50)
    found = solve(
        problem, by, key=jax.random.key(1), num_steps=4, record=range(5), reference=reference
    )
    assert found.status == Status.CONVERGED
    np.testing.assert_array_equal(found["t"], [4, 3, 2, 1, 0])
    y = jnp.array([0.7, -0.4])
    for t in range(4):
        np.testing.assert_allclose(found.value(t, y), wanted(t, y), rtol=1e-8, atol=1e-9)
    # Each step mends its own t, and no other.
    assert np.all(np.diff(found["error"]) < 0)
    assert found["error"][-1] < 1e-18


@pytest.mark.slow
def test_linear_sweeps_reach_the_optimum_and_tell_the_objective():
    problem = diffusion(6)
    arrays = pift.linear_quadratic(problem)
    best = pift.optimum(arrays)
    exact = pift.costate_of(problem, pift.AffineMean(*best.policy))
    reference = pift.reference_on_paths(jax.random.key(1), problem, exact, 200)
    features = pift.polynomial(pift.standard_scale(jax.random.key(0), problem), 1)
    by = pift.LinearSweeps(256, features=features)
    found = solve(problem, by, key=jax.random.key(2), num_steps=25, reference=reference)
    assert found["error"][-1] < 1e-18 < 1e-6 < found["error"][0]
    assert found["least_rank"][-1] == 3
    J = float(lq.objective(arrays, best.policy).objective)
    assert abs(found["last_objective"][-1] - J) < 5 * found["standard_error"][-1]
    assert np.isnan(found["last_objective"][0])


@pytest.mark.slow
def test_a_network_starts_by_itself_as_the_pretrained_policy():
    problem = diffusion(4)
    by = pift.NetworkSweeps(8, num_batches=2, width=8, depth=1)
    found = solve(problem, by, key=jax.random.key(0), num_steps=1)
    state = by.init(jax.random.key(0), problem, None)
    np.testing.assert_array_equal(state.policy(1, jnp.ones(2)), np.zeros(2))
    assert np.any(np.asarray(found.value(1, jnp.ones(2))) != 0)


def test_new_numbers_compile_nothing_and_members_side_by_side_are_those_alone(case):
    _, arrays, _ = case
    betas = jnp.array([2.0, 5.0, 9.0])

    def end(beta):
        return pift.lq.policy_iterations(pift.with_beta(arrays, beta), lq.pretrained(arrays), 3)[0]

    together = jax.jit(jax.vmap(end))(betas)
    for i, beta in enumerate(betas):
        alone = solve(pift.with_beta(arrays, beta), pift.LQSweeps(), num_steps=3).value
        close(jax.tree.map(lambda x, i=i: x[i], together), alone)


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (
            lambda p, a: solve(p, pift.LQSweeps(), num_steps=1),
            "LQSweeps solves a LinearQuadratic, which linear_quadratic makes, got a Problem",
        ),
        (
            lambda p, a: solve(a, pift.GridSweeps(), num_steps=1),
            "GridSweeps solves a Gridded, which gridded makes, got a LinearQuadratic",
        ),
        (
            lambda p, a: solve(a, pift.LinearSweeps(8), key=jax.random.key(0), num_steps=1),
            "LinearSweeps solves a Problem, which make_problem makes",
        ),
        (
            lambda p, a: solve(p, pift.LinearSweeps(8), key=jax.random.key(0), num_steps=1),
            "linear controls need features: give features=, or a start",
        ),
        (
            lambda p, a: solve(a, pift.LQSweeps(), start=lq.Policy(a.A[:, :1], a.b), num_steps=1),
            r"the policy's F must have shape \(\d+, 2, 2\), got \(\d+, 1, 2\)",
        ),
        (
            lambda p, a: solve(a, pift.LQSweeps(), num_steps=1, reference=a),
            "LQSweeps reads policy and value of a reference, got a LinearQuadratic",
        ),
        (
            lambda p, a: pift.polynomial(2, 1),
            "scale must be a Scale, which standard_scale makes, got 2",
        ),
        (lambda p, a: pift.LQSweeps("steep"), "inner rule must be one of plain, damped, newton"),
        (lambda p, a: pift.LQNested(0), "num_inner must be at least 1, got 0"),
        (lambda p, a: pift.GridNested(0), "num_inner must be at least 1, got 0"),
        (lambda p, a: pift.LinearSweeps(8, target="loud"), "target must be one of raw, quiet"),
        (lambda p, a: pift.LinearNested(8, 0), "num_inner must be at least 1, got 0"),
        (
            lambda p, a: pift.optimum(p),
            "linear_quadratic, gridded or bellman_equation make, got Problem",
        ),
        (
            lambda p, a: lq.evaluate(a, lq.Policy(a.A, a.b[:, :1])),
            r"the policy's f must have shape \(\d+, 2\), got \(\d+, 1\)",
        ),
    ],
)
def test_what_does_not_fit_is_said_in_a_sentence(case, ask, message):
    with pytest.raises(InputError, match=message):
        ask(*case[:2])
