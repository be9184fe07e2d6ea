"""Loss of convergence, provoked: diverged descents are marked, counted, and never averaged."""

import numpy as np
import pytest

from fineq.nlqr.laws import sphere_points
from fineq.nlqr.study import Given
from fineq.nlqr.study.lipschitz_sweep import _claims
from fineq.nlqr.study.paper import bind, run_descents
from fineq.nlqr.study.views import arrays_of, lowered
from fineq.sweep.stages import Stages
from tests.nlqr.study.figures import closed_loop, tiny

SCALES = [0.3, 4.0, 5.0]
STEPS = 4


@pytest.fixture(scope="module")
def descents():
    config = tiny(
        "lipschitz_sweep",
        "printed",
        f"descent.num_steps={STEPS}",
        "estimator.num_rollouts=8",
        "++sweep.descent.step_size=[1e-9, 100.0]",
        f"++sweep.system.lipschitz={SCALES}",
    )
    return run_descents(*bind(config, Given(), Stages()))


def test_a_huge_step_diverges_and_a_tiny_one_does_not(descents):
    diverged = descents.result.diverged
    assert diverged.shape == (2, 3, 3)
    assert not diverged[0].any()
    assert diverged[1].all()
    # One step of length 100 |ĝ| makes |K| of order 100: the next cost seen is beyond the limit.
    assert np.all((descents.result.diverged_at[1] >= 1) & (descents.result.diverged_at[1] <= STEPS))


def test_what_follows_divergence_is_absent(descents):
    at = descents.result.diverged_at[1][..., None]
    after = descents.result.iterations >= at
    np.testing.assert_array_equal(np.isnan(descents.gap[1]), after)
    assert np.isfinite(descents.gap[0]).all()
    assert not lowered(descents)[1].any()
    assert descents.unstable[1, ..., -1].all()


def test_claims_judge_the_least_favourable_value(descents):
    found = [
        (claim.instance, claim.measured.value, claim.verdict)
        for claim in _claims(descents)
        if claim.statement.startswith("Descents that diverge")
    ]
    # [1e-9 at ℓ <= 4, 1e-9 at ℓ >= 5, 100 at ℓ <= 4, 100 at ℓ >= 5]; three seeds put an exact
    # interval of [0, 0.71] around 0, and its mirror image around 1: both reach beyond a half.
    assert [value for _, value, _ in found] == [0, 0, 1, 1]
    assert {verdict for _, _, verdict in found} == {"inconclusive"}
    assert all("ℓ = 5" in instance for instance, _, _ in found[1::2])


def test_unstable_starts_are_those_that_simulation_finds_unstable(descents):
    points = np.asarray(sphere_points(3, 1.0, 7).points)
    for i, scale in enumerate(SCALES):
        for seed in range(3):
            K = np.asarray(descents.study.screen.plant.K_lin)[i, seed]
            step = closed_loop(descents, seed, scale, K, (i,))
            x = points
            for _ in range(2_000):
                x, _ = step(x)
            # More steps than the 256 looked at: at rest, or on a limit cycle of size O(1).
            at_rest = np.abs(x).max() < 1e-6
            if not descents.undecided[0, i, seed, 0]:
                assert descents.unstable[0, i, seed, 0] == (not at_rest)


def test_both_costs_are_kept_at_the_moments_of_the_descent(descents):
    arrays, coords = arrays_of(descents)
    assert arrays["infinite_cost"].dims == ("step_size", "lipschitz", "seed", "moment")
    np.testing.assert_array_equal(coords["moment"].values, np.arange(STEPS + 1))
    whole, cut = arrays["infinite_cost"].values[0], arrays["cost"].values[0]
    # Costs are sums of non-negative terms: three of them never exceed all.
    assert np.all(whole >= cut * (1 - 1e-12))
    np.testing.assert_array_equal(np.isinf(whole), arrays["unstable"].values[0])
