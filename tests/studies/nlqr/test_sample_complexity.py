"""Biases and noise of gradients: against derivatives, loops over states, sums over estimates."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fineq.errors import InputError
from fineq.nlqr.costs import cost
from fineq.nlqr.gradient_bias import gradient_bias, smoothed_gradient, stage_costs
from fineq.nlqr.gradients import OnePoint
from fineq.nlqr.laws import Points
from fineq.nlqr.problem import control, next_state, stage_cost
from fineq.settings.fields import replace_at
from fineq.studies.nlqr.config import NlqrConfig
from fineq.studies.nlqr.instances import Given, make_instance, make_plant
from fineq.studies.nlqr.noise import Case, Collected, Collecting, make_collector
from fineq.studies.nlqr.sample_complexity import probe_policy, run
from fineq.studies.nlqr.scans import Grid, make_grid
from fineq.sweep.stages import Stages
from tests.studies.said import said

SMALL = {"system.n": 2, "system.p": 1, "law.degree": 3}
HORIZON, LONGEST = 4, 60


@pytest.fixture(scope="module")
def instance():
    config = replace_at(NlqrConfig(), SMALL)
    return make_instance(config, Given(), make_plant(config, Given()))({"seed": 3})


@pytest.fixture(scope="module")
def K(instance):
    return probe_policy(instance, 0.1)


def test_probe_stands_at_its_distance(instance, K):
    np.testing.assert_allclose(np.linalg.norm(K - instance.K_lin), 0.1, rtol=1e-13)


def test_stage_costs_follow_the_dynamics(instance, K):
    system, points = instance.problem.system, instance.points
    costs = stage_costs(K, system, points, 3)
    for s, x in enumerate(points.points):
        for t in range(3):
            u = control(system, K, x)
            np.testing.assert_allclose(costs[s, t], stage_cost(system, x, u), rtol=1e-12)
            x = next_state(system, x, u)


@pytest.mark.slow
def test_probe_against_derivatives_of_the_cost(instance, K):
    system, points = instance.problem.system, instance.points
    found = gradient_bias(instance.problem, K, HORIZON, LONGEST, jnp.array([0.1]))
    gradient = jax.grad(cost)(K, system, points, HORIZON)
    whole = jax.grad(cost)(K, system, points, LONGEST)
    np.testing.assert_allclose(found.gradient, gradient, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(found.size, np.linalg.norm(gradient), rtol=1e-10)
    missing = np.linalg.norm(whole - gradient) / np.linalg.norm(whole)
    np.testing.assert_allclose(found.gradient_truncated[HORIZON - 1], missing, rtol=1e-7)
    values = [float(cost(K, system, points, T)) for T in (HORIZON, LONGEST)]
    share = 1 - values[0] / values[1]
    np.testing.assert_allclose(found.cost_truncated[HORIZON - 1], share, rtol=1e-7)
    singles = [Points(x[None], jnp.ones(1)) for x in points.points]
    slopes = [np.sum(jax.grad(cost)(K, system, one, HORIZON) ** 2) for one in singles]
    costs = [float(cost(K, system, one, HORIZON)) ** 2 for one in singles]
    weights = np.asarray(points.weights)
    np.testing.assert_allclose(found.rms_gradient**2, weights @ np.array(slopes), rtol=1e-10)
    np.testing.assert_allclose(found.rms_cost**2, weights @ np.array(costs), rtol=1e-10)


@pytest.mark.slow
def test_smoothing_bias_is_the_gradient_of_the_laplacian(instance, K):
    """E ∇C(K + V) - ∇C(K) = r²/(2(D+2)) ∇ΔC + O(r⁴), as E V V' = r²/(D+2) on the ball."""
    system, points = instance.problem.system, instance.points
    D = K.size

    def laplacian(K):
        return jnp.trace(jax.hessian(cost)(K, system, points, HORIZON).reshape(D, D))

    expected = jax.grad(laplacian)(K) / (2 * (D + 2))
    r = 1e-2
    bias = smoothed_gradient(K, system, points, HORIZON, r) - jax.grad(cost)(
        K, system, points, HORIZON
    )
    # The next term is of relative order r² = 1e-4, with derivatives ten times larger at most.
    np.testing.assert_allclose(bias / r**2, expected, rtol=0, atol=1e-2 * np.abs(expected).max())


@pytest.mark.slow
def test_collector_averages_blocks_and_sums_over_steps(instance, K):
    estimator = OnePoint(3, HORIZON)
    problem = Collecting(
        instance.problem,
        jnp.int32(2),
        jnp.asarray(0.2),
        jnp.asarray(0.5),
        jnp.int32(9),
        *[jnp.ones(())] * 2,
    )
    start = Collected(K, jnp.ones_like(K), jnp.asarray(2.0), jnp.int32(4))
    key = jax.random.key(5)
    after, info = make_collector(estimator)(key, start, problem)
    parts = [
        estimator(jax.random.fold_in(key, i), K, instance.problem, 0.2).gradient for i in range(2)
    ]
    mean = (parts[0] + parts[1]) / 2
    np.testing.assert_allclose(after.K, K - 0.5 * mean, rtol=1e-12)
    np.testing.assert_allclose(after.total, 1 + mean, rtol=1e-12)
    np.testing.assert_allclose(after.square, 2 + np.sum(mean**2), rtol=1e-12)
    assert int(after.taken) == 5
    assert int(info.left) == 4


def test_grid_scans_each_case_once():
    grid = Grid([0.1, 0.4, 0.6], [10, 20], 20)
    pairs = grid.cases("two_point")
    assert len(pairs) == len(set(pairs)) == 2 * (1 + 3)
    assert Case(True, 10, 0.1) in pairs
    # One-point descents only where their noise leaves them near: from half the largest radius on.
    one = grid.cases("one_point")
    assert {case.radius for case in one if case.descends} == {0.4, 0.6}
    assert {case.radius for case in one if not case.descends} == {0.1, 0.4, 0.6}
    assert Case(True, 10, 0.6) in one
    # An exponent needs two radii, so the two largest are always tried.
    assert Grid([0.1, 0.2, 0.6], [10, 20], 20).radii_of("one_point", True) == [0.2, 0.6]


def test_a_sweep_replaces_the_scanned_values():
    sweep = {"estimator": {"radius": [0.5, 0.2]}, "system": {"lipschitz": [0.3, 1.0]}}
    config, grid = make_grid(replace_at(NlqrConfig(), {"sweep": sweep}))
    assert grid.radii == [0.2, 0.5]
    assert config.sweep == {"system.lipschitz": [0.3, 1.0]}


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"floors.radii": [0.1]}, "floors.radii must hold at least two values"),
        ({"floors.num_rollouts": [30]}, "floors.num_rollouts must hold at least two values"),
        ({"floors.num_rollouts": [31, 60]}, "must be even, for antithetic pairs, got 31"),
        ({"estimator.num_rollouts": 301}, "must be even, for antithetic pairs, got 301"),
    ],
)
def test_grids_that_fit_nothing_are_refused(settings, sentence):
    with pytest.raises(InputError, match=sentence):
        make_grid(replace_at(NlqrConfig(), settings))


@pytest.mark.slow
def test_the_study_measures_what_theory_says():
    settings = {
        **SMALL,
        "seeds": 6,
        "estimator.num_rollouts": 40,
        "descent.horizon": 8,
        "floors.num_rollouts": [10, 40],
        "floors.radii": [0.01, 0.1, 0.3],
        "floors.num_steps": 300,
        "floors.step_size": 0.2,
        "floors.one_point_step_size": 0.02,
        "probe.repeats": 200,
    }
    result = run(replace_at(NlqrConfig(), settings), Given(), Stages())

    def value(*words):
        return said(result.claims, *words).measured.value

    assert abs(value("truncated gradient's error") - 1) < 0.15
    assert abs(value("smoothing bias") - 2) < 0.1
    assert abs(value("exponent in r of the noise, one-point") + 1) < 0.1
    # A deviation from 200 estimates of D = 4 entries is known to 1/√(2 · 200) or better; pairs of
    # heavy tails somewhat worse. Floors average correlated gaps: a factor, not digits.
    assert abs(value("noise of pairs", "over its limit") - 1) < 0.1
    assert -1.5 < value("exponent in J of the floor, pairs") < -0.6
    assert 0.5 < value("over its second-order prediction") < 2
    never_run = result.arrays["floor_one_point_smoothing"].values[:1]
    assert np.all(np.isnan(never_run))
    assert result.status == "complete"
    drawn = [line.variable for f in result.figures for p in f.panels for line in p.lines]
    assert set(drawn) <= set(result.arrays)
    assert {p.x for f in result.figures for p in f.panels} <= set(result.coords)
