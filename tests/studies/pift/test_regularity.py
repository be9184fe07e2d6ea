"""Measured constants against linear-quadratic truth, bounds and refusals."""

import numpy as np
import pytest

from fineq.errors import InputError
from fineq.pift import lq
from fineq.studies.pift import regularity
from fineq.studies.pift.instances import Given, make_instance
from fineq.sweep.stages import Stages
from tests.studies.pift.small import small

GAUSSIAN = (
    *("data.name=gaussian", "data.d=1", "data.means=[]", "data.covariances=[]", "seeds=1"),
    *("reward.name=quadratic", "++sweep.beta=[2.0, 4.0]", "inner.num_inner=6"),
)

whole = pytest.mark.slow  # compiles whole programs


def test_an_infinite_constant_exceeds_a_finite_bound():
    """NaN is no number (one iteration is enough) and an infinite bound none; both are left out."""
    cases = [
        ([0.5, np.nan, 3.0], [1.0, 1.0, np.inf], ("not refuted", 0.5)),
        ([0.5, np.inf, 3.0], [1.0, 1.0, np.inf], ("fails", None)),
        ([np.inf, np.nan], [np.inf, 1.0], ("inconclusive", None)),
    ]
    for measured, bound, (verdict, value) in cases:
        found = regularity.within_bound(
            "pift/regularity", "Lip V", np.array(measured), np.array(bound), "L", ""
        )
        assert (found.verdict, found.measured.value) == (verdict, value)


@pytest.fixture(scope="module", name="found")
def _found():
    config = small("regularity", *GAUSSIAN)
    return config, regularity.run(config, Given(), Stages())


@whole
def test_constants_of_a_quadratic_are_its_curvature(found):
    """With Gaussian data and a quadratic reward ∇²V_t is P_t, whatever the region."""
    config, result = found
    for i, beta in enumerate((2.0, 4.0)):
        problem = make_instance(config, Given())({"seed": config.first_seed, "beta": beta}).problem
        truth = lq.optimum(lq.linear_quadratic(problem))
        P = np.abs(np.asarray(truth.value.P)[:, 0, 0])
        # Second derivatives of values of order 1 known to 1e-15, on a spacing of 0.1.
        slope = result.arrays["best_slope"].values[i, 0]
        np.testing.assert_allclose(slope, P[:-1], rtol=1e-9, atol=1e-11)
        for name in ("ratio", "paper_ratio", "local"):
            np.testing.assert_allclose(
                result.arrays[name].values[i, 0], truth.ratios, rtol=1e-9, atol=1e-11
            )
        # The inner iteration of a quadratic is linear: its rate is the ratio, once above rounding.
        np.testing.assert_allclose(
            result.arrays["rate"].values[i, 0], np.asarray(truth.ratios), rtol=1e-4
        )


@whole
def test_every_bound_holds(found):
    _, result = found
    judged = [claim for claim in result.claims if claim.verdict is not None]
    assert len(judged) == 9
    for claim in judged:
        assert claim.verdict in ("holds", "not refuted"), claim


@whole
def test_one_grid_serves_no_moving_chain():
    words = ("schedule.name=constant_rate", "sweep.schedule.end=[0.01,0.1]")
    with pytest.raises(InputError, match=r"sweep\.schedule\.end is no axis of regularity"):
        small("regularity", *GAUSSIAN, *words)
