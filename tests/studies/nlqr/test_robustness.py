"""The clear setting on K_lin: seeds left out, the step 1/h, and what exact descent must do."""

import numpy as np
import pytest

from fineq.nlqr.laws import sphere_points
from fineq.settings.fields import replace_at
from fineq.studies.nlqr.instances import Given
from fineq.studies.nlqr.paper import _left, bind, rounding, run_descents
from fineq.studies.nlqr.robustness import _claims
from fineq.studies.nlqr.views import lowered, pieces_of
from fineq.sweep.stages import Stages
from tests.studies.nlqr.figures import closed_loop, rollout_cost, tiny

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


def as_long(descents, **changes):
    """The descents as if they were as long as the paper's."""
    config = replace_at(descents.study.config, {"descent.num_steps": 200})
    return descents._replace(study=descents.study._replace(config=config), **changes)


def first_claim(descents):
    return _claims(descents, pieces_of(descents)[0])[0]


def test_one_system_refutes_a_claim_about_all(descents):
    first = first_claim(descents)
    # All of them lowered their cost, but in 40 of the paper's 200 iterations.
    assert (first.verdict, "descent.num_steps=200 decides" in first.reason) == (
        "inconclusive",
        True,
    )
    assert first_claim(as_long(descents)).verdict == "not refuted"
    left = descents.left.copy()
    left[0, 0, -1] = 1.5
    one = first_claim(as_long(descents, left=left))
    number = len(descents.axes[-1].values)
    assert one.measured.value == pytest.approx(1 - 1 / number)
    assert (one.verdict, one.measured.confidence) == ("fails", 1.0)


def test_starts_at_the_optimum_have_nothing_to_lower(descents):
    """A relative gap of a few rounding units is no gap: 64 ε = 1.4e-14."""
    gap, above = descents.gap.copy(), 1e-10
    gap[0, :, 0] = 1e-15
    left = _left(gap, gap[..., :1] > rounding(descents.study.config))
    assert np.isnan(left[0]).all()
    found = first_claim(as_long(descents, gap=gap, left=left))
    assert (found.verdict, found.measured.value) == ("inconclusive", None)
    assert "nothing can be lowered" in found.reason
    gap[0, 0] = np.geomspace(above, above / 10, gap.shape[-1])
    left = _left(gap, gap[..., :1] > rounding(descents.study.config))
    found = first_claim(as_long(descents, gap=gap, left=left))
    assert (found.verdict, found.measured.value) == ("not refuted", 1.0)
    assert f"1 of {gap.shape[1]} seeds, those that start above the optimum" in found.instance
    # A descent that diverged is a loss, not one without a number.
    gap[0, 0, 1:] = np.nan
    assert first_claim(as_long(descents, gap=gap, left=gap / gap[..., :1])).verdict == "fails"
