"""Thresholds of β against formulas that hold in one dimension, and against running the rules."""

import numpy as np
import pytest

from fineq.pift.thresholds import LOW
from fineq.studies.pift import threshold
from fineq.studies.pift.instances import Given
from fineq.studies.pift.threshold import too_few
from fineq.sweep.stages import Stages
from tests.studies.pift.small import small


@pytest.fixture(scope="module")
def result():
    words = ("threshold.multiples=[0.8, 1.25]", "inner.num_inner=200", "seeds=6")
    return threshold.run(small("threshold", *words), Given(), Stages())


@pytest.mark.slow
def test_every_claim_with_a_theory_holds(result):
    for claim in result.claims:
        assert claim.verdict in (None, "holds", "not refuted"), claim
    shares = [claim for claim in result.claims if "share that" in claim.statement]
    assert all((c.verdict, c.measured.confidence) == ("not refuted", 1.0) for c in shares)


@pytest.mark.slow
def test_rules_converge_where_they_should(result):
    converged = result.arrays["converged"].values  # [rule, side, times, seed]
    concave, convex = converged[:, 0], converged[:, 1]
    assert not concave[0, 0].any()  # plain steps below the threshold
    assert concave[0, 1].all()
    assert concave[1:].all()  # damped and Newton steps everywhere
    assert not convex[:, 0].any()  # below, there is nothing to converge to
    assert convex[:, 1].all()


@pytest.mark.slow
def test_iterations_that_cannot_have_converged_refute_nothing(result):
    """Above the threshold by 1% a factor 0.99 an iteration is left: log(1/CLOSE)/log(1.01)."""
    config = small("threshold", "threshold.multiples=[0.8, 1.01]", "inner.num_inner=200")
    needed = np.log(1 / threshold.CLOSE) / np.log(1.01)
    assert f"{needed:.0f} inner iterations are needed and 200 were made" in too_few(config)
    assert too_few(small("threshold", f"inner.num_inner={int(needed) + 1}")) == ""


@pytest.mark.slow
def test_one_step_in_one_dimension_is_a_formula():
    """T = 1: both thresholds are σ²|P|, and P is the reward's curvature."""
    config = small(
        "threshold", "data.d=1", "schedule.num_steps=1", "threshold.multiples=[0.9, 1.1]"
    )
    found = threshold.run(config, Given(), Stages())
    plain, posed = (found.arrays[name].values for name in ("plain", "posed"))
    np.testing.assert_allclose(plain[0], plain[1], rtol=1e-9)  # the same |P| on both sides
    np.testing.assert_allclose(posed[1], plain[1], rtol=1e-9)
    assert np.all(posed[0] <= LOW * 1.01)
