"""The clear setting on K_lin: seeds left out, the step 1/h, and what exact descent must do."""

import numpy as np
import pytest

from fineq.fields import replace_at
from fineq.nlqr.laws import sphere_points
from fineq.nlqr.study import Given
from fineq.nlqr.study.paper import bind, run_descents
from fineq.nlqr.study.robustness import _claims
from fineq.nlqr.study.views import lowered, pieces_of
from fineq.sweep.stages import Stages
from tests.nlqr.study.figures import closed_loop, rollout_cost, tiny

SEEDS = 5


@pytest.fixture(scope="module")
def descents():
    config = tiny(
        "robustness",
        "clear",
        "descent.num_steps=40",
        f"seeds={SEEDS}",
        "++sweep.system.lipschitz=[0.5, 3.0]",
    )
    return run_descents(*bind(config, Given(), Stages()))


def test_seeds_with_an_unstable_linear_policy_are_left_out(descents):
    stable = descents.study.screen.stable
    kept = [seed for seed in range(SEEDS) if stable[:, seed].all()]
    assert stable.shape == (2, SEEDS)
    assert 0 < len(kept) < SEEDS
    assert list(descents.axes[-1].values) == kept
    assert f"{SEEDS - len(kept)} of {SEEDS} seeds left out" in descents.notes["seeds"]
    assert not descents.unstable[..., 0].any()


def test_the_step_is_the_gradient_over_the_smoothness_at_the_optimum(descents):
    rule = sphere_points(3, 3.0, 7)
    points, weights = np.asarray(rule.points), np.asarray(rule.weights)
    seed = descents.axes[-1].values[0]
    start, after = descents.result.metrics["policy"][0, 0, :2]
    gradient, h = np.zeros_like(start), 1e-5  # central differences: both errors about 1e-10

    def cost(K: np.ndarray) -> float:
        return rollout_cost(closed_loop(descents, seed, 0.5, K, (0,)), points, weights, 3)

    for entry in np.ndindex(start.shape):
        shift = np.zeros_like(start)
        shift[entry] = h
        gradient[entry] = (cost(start + shift) - cost(start - shift)) / (2 * h)
    moved = (start - after) * descents.star.h[0, 0]
    np.testing.assert_allclose(moved, gradient, rtol=1e-5, atol=1e-6)


def test_exact_descent_with_one_over_h_lowers_the_cost_where_the_system_is_nearly_linear(descents):
    # At ℓ = 1/2 and η = 1/h the cost falls at every step (descent lemma, curvature varies little).
    assert np.all(np.diff(descents.result.metrics["cost"][0], axis=-1) <= 0)
    assert lowered(descents)[0].all()


def test_a_share_of_all_systems_is_claimed_as_what_so_many_can_show(descents):
    first = _claims(descents, pieces_of(descents)[0])[0]
    number = len(descents.axes[-1].values)
    # No failure among n: Clopper-Pearson's lower end solves p^n = 0.025.
    assert first.measured.low == pytest.approx(0.025 ** (1 / number))
    assert first.theory is not None
    assert first.theory.margin == pytest.approx(1 - 0.025 ** (1 / number))
    # All of them lowered their cost, but in 40 of the paper's 200 iterations.
    assert (first.verdict, "descent.num_steps=200 decides" in first.reason) == (
        "inconclusive",
        True,
    )
    config = replace_at(descents.study.config, {"descent.num_steps": 200})
    as_long = descents._replace(study=descents.study._replace(config=config))
    assert _claims(as_long, pieces_of(descents)[0])[0].verdict == "holds"
