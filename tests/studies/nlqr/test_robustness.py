"""The clear setting on K_lin: seeds left out, the step 1/h, and what exact descent must do."""

import numpy as np
import pytest

from fineq.nlqr.laws import sphere_points
from fineq.studies.nlqr.robustness import run
from fineq.studies.nlqr.suboptimality import left_of, rounding
from tests.studies.nlqr.figures import as_long, claims, closed_loop, measured, rollout_cost, tiny
from tests.studies.said import said

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
    return measured(run, config)


@pytest.mark.slow
def test_seeds_with_an_unstable_linear_policy_are_left_out(descents):
    stable = descents.study.screen.stable
    kept = [seed for seed in range(SEEDS) if stable[:, seed].all()]
    assert stable.shape == (2, SEEDS)
    assert 0 < len(kept) < SEEDS
    assert list(descents.study.axes[-1].values) == kept
    assert f"{SEEDS - len(kept)} of {SEEDS} seeds left out" in descents.found.notes["seeds"]
    assert not descents.unstable[..., 0].any()


@pytest.mark.slow
def test_the_step_is_the_gradient_over_the_smoothness_at_the_optimum(descents):
    rule = sphere_points(3, 3.0, 7)
    points, weights = np.asarray(rule.points), np.asarray(rule.weights)
    seed = descents.study.axes[-1].values[0]
    start, after = descents.found.more.policies[0, 0, :2]
    gradient, h = np.zeros_like(start), 1e-5  # central differences: both errors about 1e-10

    def cost(K: np.ndarray) -> float:
        return rollout_cost(closed_loop(descents, seed, 0.5, K, (0,)), points, weights, 3)

    for entry in np.ndindex(start.shape):
        shift = np.zeros_like(start)
        shift[entry] = h
        gradient[entry] = (cost(start + shift) - cost(start - shift)) / (2 * h)
    moved = (start - after) * descents.found.more.star.h[0, 0]
    np.testing.assert_allclose(moved, gradient, rtol=1e-5, atol=1e-6)


@pytest.mark.slow
def test_exact_descent_with_one_over_h_lowers_the_cost_where_the_system_is_nearly_linear(descents):
    # At ℓ = 1/2 and η = 1/h the cost falls at every step (descent lemma, curvature varies little).
    assert np.all(np.diff(descents.cost[0], axis=-1) <= 0)
    assert np.all(descents.left[0, :, -1] < 1)


def lowered(descents, config=None, **values):
    return said(claims(run, descents, config, **values), "lowers the T-step cost", "ℓ = 0.5")


@pytest.mark.slow
def test_one_system_refutes_a_claim_about_all(descents):
    first = lowered(descents)
    # All of them lowered their cost, but in 40 of the paper's 200 iterations.
    assert (first.verdict, "descent.num_steps=200 decides" in first.reason) == (
        "inconclusive",
        True,
    )
    assert lowered(descents, as_long(descents)).verdict == "not refuted"
    left = descents.left.copy()
    left[0, 0, -1] = 1.5
    one = lowered(descents, as_long(descents), left=left)
    number = len(descents.study.axes[-1].values)
    assert one.measured.value == pytest.approx(1 - 1 / number)
    assert (one.verdict, one.measured.confidence) == ("fails", 1.0)


@pytest.mark.slow
def test_starts_at_the_optimum_have_nothing_to_lower(descents):
    """A relative gap of a few rounding units is no gap: 64 ε = 1.4e-14."""
    gap, above = descents.gap.copy(), 1e-10
    gap[0, :, 0] = 1e-15
    left = left_of(gap, gap[..., :1] > rounding(descents.study.config))
    assert np.isnan(left[0]).all()
    found = lowered(descents, as_long(descents), gap=gap, left=left)
    assert (found.verdict, found.measured.value) == ("inconclusive", None)
    assert "nothing can be lowered" in found.reason
    gap[0, 0] = np.geomspace(above, above / 10, gap.shape[-1])
    left = left_of(gap, gap[..., :1] > rounding(descents.study.config))
    found = lowered(descents, as_long(descents), gap=gap, left=left)
    assert (found.verdict, found.measured.value) == ("not refuted", 1.0)
    assert f"1 of {gap.shape[1]} seeds, those that start above the optimum" in found.instance
    # A descent that diverged is a loss, not one without a number.
    gap[0, 0, 1:] = np.nan
    assert lowered(descents, as_long(descents), gap=gap, left=gap / gap[..., :1]).verdict == "fails"
