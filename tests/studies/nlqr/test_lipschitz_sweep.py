"""Loss of convergence, provoked: diverged descents are marked, counted, and never averaged."""

import numpy as np
import pytest

from fineq.nlqr.laws import sphere_points
from fineq.studies.nlqr.lipschitz_sweep import run
from tests.studies.nlqr.figures import as_long, claims, closed_loop, measured, tiny
from tests.studies.said import said

SCALES = [0.3, 4.0, 5.0, 6.0]
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
    return measured(run, config)


@pytest.mark.slow
def test_a_huge_step_diverges_and_a_tiny_one_does_not(descents):
    diverged = descents.diverged
    assert diverged.shape == (4, 2, 3)
    assert not diverged[:, 0].any()
    assert diverged[:, 1].all()
    # One step of length 100 |ĝ| makes |K| of order 100: the next cost seen is beyond the limit.
    assert np.all((descents.diverged_at[:, 1] >= 1) & (descents.diverged_at[:, 1] <= STEPS))


@pytest.mark.slow
def test_what_follows_divergence_is_absent(descents):
    at = descents.diverged_at[:, 1][..., None]
    after = descents.found.coords["iteration"] >= at
    np.testing.assert_array_equal(np.isnan(descents.gap[:, 1]), after)
    assert np.isfinite(descents.gap[:, 0]).all()
    assert descents.unstable[:, 1, ..., -1].all()
    falls = [c for c in claims(run, descents) if "lower the cost" in c.statement]
    assert falls[1].measured.value == 0


@pytest.mark.slow
def test_claims_judge_the_least_favourable_value(descents):
    mask = np.zeros((4, 2, 3), bool)
    mask[1, 0, :2] = mask[2, 0, :2] = mask[3, 0, :1] = mask[:, 1] = True
    found = [
        (claim.measured.value, claim.instance.partition("ℓ = ")[2][:1], claim.verdict)
        for claim in claims(run, descents, as_long(descents), diverged=mask)
        if claim.statement.startswith("Descents that diverge")
    ]
    assert found[0][:2] == (pytest.approx(2 / 3), "4")  # the most of ℓ = 0.3, 4
    assert found[1][:2] == (pytest.approx(1 / 3), "6")  # the least of ℓ = 5, 6
    assert [value for value, _, _ in found[2:]] == [1, 1]
    # Three seeds put an exact interval of [0.29, 1] around 1: it reaches below a half.
    assert {verdict for _, _, verdict in found} == {"inconclusive"}
    # Of descents shorter than the paper's nothing is judged, whatever the shares.
    reasons = {claim.reason for claim in claims(run, descents, diverged=mask) if claim.theory}
    assert all("4 iterations were made and the paper's figures show 200" in r for r in reasons)


@pytest.mark.slow
def test_the_claim_on_starts_counts_what_is_unstable_and_not_what_is_undecided(descents):
    claim = said(claims(run, descents), "nlqr/truncation", "ℓ = 4")
    assert claim.measured.value == pytest.approx(descents.unstable[1, 0, :, 0].mean())


@pytest.mark.slow
def test_unstable_starts_are_those_that_simulation_finds_unstable(descents):
    points = np.asarray(sphere_points(3, 1.0, 7).points)
    undecided = descents.found.more.undecided  # [step_size, lipschitz, seed, moment]
    for i, scale in enumerate(SCALES):
        for seed in range(3):
            K = np.asarray(descents.study.screen.plant.K_lin)[i, seed]
            step = closed_loop(descents, seed, scale, K, (i,))
            x = points
            for _ in range(2_000):
                x, _ = step(x)
            # More steps than the 256 looked at: at rest, or on a limit cycle of size O(1).
            at_rest = np.abs(x).max() < 1e-6
            if not undecided[0, i, seed, 0]:
                assert descents.unstable[i, 0, seed, 0] == (not at_rest)


@pytest.mark.slow
def test_both_costs_are_kept_at_the_moments_of_the_descent(descents):
    np.testing.assert_array_equal(descents.found.coords["moment"], np.arange(STEPS + 1))
    whole, cut = descents.infinite_cost[:, 0], descents.cost[:, 0]
    # Costs are sums of non-negative terms: three of them never exceed all.
    assert np.all(whole >= cut * (1 - 1e-12))
    np.testing.assert_array_equal(np.isinf(whole), descents.unstable[:, 0])
