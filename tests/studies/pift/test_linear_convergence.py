"""Measured against predicted ratios, and what the study hands over, on small instances."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fineq.claims import Claim
from fineq.pift import lq
from fineq.results import StudyResult
from fineq.studies.pift import linear_convergence
from fineq.studies.pift.affine import facts_of, measured_ratios, sweeps
from fineq.studies.pift.common import make_study
from fineq.studies.pift.instances import Given
from fineq.sweep.stages import Stages
from tests.studies.pift.small import small


def claims_about(result: StudyResult, words: str) -> list[Claim]:
    """The claims whose statement holds the words, at least one."""
    found = [c for c in result.claims if isinstance(c, Claim) and words in c.statement]
    assert found
    return found


@pytest.fixture(scope="module")
def result() -> StudyResult:
    config = small("linear_convergence", "seeds=6", "++sweep.beta=[0.5, 4.0]")
    return linear_convergence.run(config, Given(), Stages())


@pytest.mark.slow
def test_claims_hold_on_easy_instances(result):
    """Exponents of six seeds have wide intervals; what is exact must hold."""
    assert all(claim.verdict != "fails" for claim in result.claims)
    for words in ("V backward", "linearised plain sweep", "inner iteration"):
        assert all(claim.verdict == "holds" for claim in claims_about(result, words))
    assert result.status == "complete"


@pytest.mark.slow
def test_what_a_local_contraction_does_from_afar_has_no_theory(result):
    """Per value of β: two values are two looks at the same six seeds, not twelve trials."""
    found = claims_about(result, "from the pre-trained policy")
    assert len(found) == 4
    assert all((claim.theory, claim.verdict) == (None, None) for claim in found)
    # Six of six: 0.025^(1/6) = 0.54.
    assert all(c.measured.low == pytest.approx(0.025 ** (1 / 6)) for c in found)


@pytest.mark.slow
def test_rows_say_what_they_are_judged_on(result):
    claims = [claim for claim in result.claims if isinstance(claim, Claim)]
    for claim in claims:
        assert claim.verdict is None or claim.reason
        assert claim.measured.confidence in (0.95, 1.0) or claim.verdict == "inconclusive"
        assert "seeds" in claim.instance or "members" in claim.instance


@pytest.mark.slow
def test_ratios_fall_like_the_price(result):
    """ρ is bounded by σ²|P|/β with P_T fixed: eight times the price, about an eighth."""
    ratio = result.arrays["ratio"].values
    assert ratio.shape == (2, 6)
    assert np.all(ratio[1] < ratio[0] / 4)


@pytest.mark.slow
def test_batched_sweeps_are_those_of_single_instances():
    config = small("linear_convergence", "++sweep.beta=[0.5, 4.0]", "inner.num_sweeps=3")
    study = make_study(config, Given(), Stages())
    found = sweeps(study, "sweeps", 3)
    problem = study.instance({"seed": jnp.asarray(1), "beta": jnp.asarray(4.0)}).problem
    arrays = lq.linear_quadratic(problem)
    best = lq.expected(arrays, lq.optimum(arrays).value)
    policy = lq.pretrained(arrays)
    for i in range(4):
        gap = best - lq.expected(arrays, lq.evaluate(arrays, policy))
        assert found.metrics["gap"][1, 1, i] == pytest.approx(float(gap), abs=1e-12)
        policy = lq.policy_iteration(arrays, policy)[0]


@pytest.mark.slow
def test_power_iterations_find_the_spectral_radius():
    """With one step and one dimension the map is a number: -σ²|P|/β."""
    words = ("data.d=1", "schedule.num_steps=1", "reward.matrix=[[-2.0]]", "++sweep.beta=[3.0]")
    study = make_study(small("linear_convergence", *words), Given(), Stages())
    ratios, facts = measured_ratios(study, 5), facts_of(study)
    sigma = float(study.instance({"seed": 0}).problem.chain.sigmas[0])
    np.testing.assert_allclose(np.asarray(ratios.sweep), 2 * sigma**2 / 3, rtol=1e-12)
    np.testing.assert_allclose(np.asarray(ratios.steps), 2 * sigma**2 / 3, rtol=1e-12)
    np.testing.assert_allclose(np.asarray(facts.ratio), 2 * sigma**2 / 3, rtol=1e-12)


@pytest.mark.slow
def test_a_member_without_an_optimum_is_marked_and_touches_no_other():
    words = ("reward.curvature=convex", "++sweep.beta=[1e-3, 50.0]")
    config = small("linear_convergence", *words)
    result = linear_convergence.run(config, Given(), Stages())
    assert result.status == "partly_diverged"
    assert np.isnan(result.arrays["ratio"].values[0]).all()
    assert np.isfinite(result.arrays["ratio"].values[1]).all()
    assert "not well posed" in result.notes["well-posedness"]
    alone = linear_convergence.run(
        small("linear_convergence", "reward.curvature=convex", "++sweep.beta=[50.0]"),
        Given(),
        Stages(),
    )
    np.testing.assert_allclose(
        result.arrays["distance"].values[1], alone.arrays["distance"].values[0], atol=1e-12
    )


@pytest.mark.slow
def test_a_mixture_converges_at_the_curvature_of_its_optimum():
    config = small("linear_convergence_mixture", "seeds=1", "inner.num_sweeps=20")
    result = linear_convergence.run(config, Given(), Stages())
    (over,) = claims_about(result, "decay exponent")
    assert over.verdict == "holds"
    arrays = {name: array.values for name, array in result.arrays.items()}
    # The bound is a supremum over grid points, low by (spacing/2)² of the curvature there.
    assert np.all(arrays["local"] <= arrays["bound"] * (1 + 1e-3))
    assert jax.tree.all(jax.tree.map(lambda x: np.isfinite(x).any(), arrays))
