"""Three starts on the same instances, against NumPy and against what each array is defined as."""

import numpy as np
import pytest

from fineq.nlqr.laws import sphere_points
from fineq.studies.nlqr.initialisation import against_best, run
from fineq.studies.nlqr.instances import Given
from fineq.sweep.stages import Stages
from tests.studies.nlqr.figures import closed_loop, measured, rollout_cost, tiny

STARTS = ("linear", "random", "zero")
RATES = [1e-3, 1e-2]


@pytest.fixture(scope="module")
def descents():
    config = tiny(
        "initialisation",
        "printed",
        "descent.num_steps=2",
        "estimator.name=exact",
        f"++sweep.descent.step_size={RATES}",
    )
    return measured(run, config)


def _cost(descents, seed, K):
    # The study's rule: a quadrature exact for every even polynomial of degree 7.
    rule = sphere_points(3, 1.0, 7)
    step = closed_loop(descents, seed, 1.0, np.asarray(K))
    return rollout_cost(step, np.asarray(rule.points), np.asarray(rule.weights), 3)


@pytest.mark.slow
def test_step_sizes_are_an_axis_of_the_descents_and_not_of_the_instances(descents):
    study, more = descents.study, descents.found.more
    assert [axis.name for axis in study.own] == ["start"]
    assert [axis.name for axis in study.axes] == ["descent.step_size", "seed"]
    assert [axis.name for axis in more.instances.axes] == ["seed"]
    assert descents.cost.shape == (3, 2, 3, 3)


@pytest.mark.slow
def test_the_starts_are_what_they_are_called(descents):
    first = descents.found.more.policies[..., 0, :, :]
    np.testing.assert_array_equal(first[0, 0], descents.study.screen.plant.K_lin)
    np.testing.assert_array_equal(first[2], 0)
    np.testing.assert_allclose(np.linalg.norm(first[1], axis=(-2, -1)), 1, rtol=1e-12)
    np.testing.assert_array_equal(first[:, 0], first[:, 1])


@pytest.mark.slow
def test_costs_are_those_of_rollouts_in_numpy(descents):
    policies, costs = descents.found.more.policies, descents.cost
    for index in np.ndindex(costs.shape):
        expected = _cost(descents, index[2], policies[index])
        # Some tens of operations a rollout, each with relative rounding 1e-16.
        np.testing.assert_allclose(costs[index], expected, rtol=1e-12)


@pytest.mark.slow
def test_each_step_goes_against_the_gradient_by_the_step_size(descents):
    policies = descents.found.more.policies
    K, after = policies[1, :, 0, 0], policies[1, :, 0, 1]
    h = 1e-5  # central differences: error h² from truncation, 1e-16/h from rounding, both 1e-10
    gradient = np.zeros_like(K[0])
    for entry in np.ndindex(gradient.shape):
        shift = np.zeros_like(gradient)
        shift[entry] = h
        above, below = _cost(descents, 0, K[0] + shift), _cost(descents, 0, K[0] - shift)
        gradient[entry] = (above - below) / (2 * h)
    for rate, start, end in zip(RATES, K, after, strict=True):
        np.testing.assert_allclose((start - end) / rate, gradient, rtol=1e-5, atol=1e-6)


@pytest.mark.slow
def test_no_cost_lies_below_the_optimum_and_gaps_start_at_one(descents):
    cost = descents.cost
    star = descents.found.more.star.cost
    np.testing.assert_allclose(descents.gap, cost / star[:, None] - 1, atol=1e-12)
    assert descents.gap.min() >= -1e-12
    np.testing.assert_array_equal(descents.left[..., 0], 1)
    nearby = descents.found.more.star.K[0] + 1e-3 * np.random.default_rng(0).normal(size=(20, 3, 6))
    assert min(_cost(descents, 0, K) for K in nearby) >= star[0] * (1 - 1e-12)


def test_ratio_counts_losses_on_the_side_that_lost():
    inf = np.inf
    ends = np.array([[1.0, inf, 1.0, inf], [2.0, 1.0, inf, inf], [4.0, 3.0, inf, 1.0]])
    np.testing.assert_array_equal(against_best(ends, 1e-14), [0.5, inf, 0.0, inf])


@pytest.mark.slow
@pytest.mark.parametrize("setting", ["printed", "clear"])
def test_the_study_runs_from_its_files(setting):
    result = run(tiny("initialisation", setting, "descent.num_steps=2"), Given(), Stages())
    ids = {found.to_dict()["id"] for found in result.claims}
    assert ids == {"nlqr/initialisation", "nlqr/truncation"}
    assert {figure.name for figure in result.figures} == {"initialisation", "gap_left", "stability"}
