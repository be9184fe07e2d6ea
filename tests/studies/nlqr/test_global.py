"""The study global at a tiny budget."""

import numpy as np
import pytest

from fineq.studies.nlqr import global_minimum
from fineq.studies.nlqr.config import NlqrConfig
from fineq.studies.nlqr.instances import Given
from fineq.sweep.stages import Stages


@pytest.fixture(scope="module")
def result():
    config = NlqrConfig(study="global", seeds=2)
    config.system.n, config.system.p = 2, 1
    config.reference.num_starts, config.reference.start_radius = 3, 2.0
    config.reference.tail, config.reference.max_horizon = 1e-6, 512
    config.sweep = {"system": {"lipschitz": [0.3, 30.0]}}
    return global_minimum.run(config, Given(), Stages())


def row(result, name, lipschitz):
    """`[start, seed]`, or `[seed]`, at one ℓ."""
    array = result.arrays[name]
    index = {0.3: 0, 30.0: 1}[lipschitz]
    return np.take(array.values, index, axis=array.dims.index("lipschitz"))


@pytest.mark.slow
def test_nearly_linear_instances_have_one_minimum(result):
    """At ℓ → 0 the cost is that of a linear-quadratic regulator, which has one stationary point."""
    np.testing.assert_array_equal(row(result, "infinite_number", 0.3), 1.0)
    np.testing.assert_array_equal(row(result, "infinite_same", 0.3), 1.0)
    np.testing.assert_array_equal(row(result, "infinite_stable", 0.3), 1.0)


@pytest.mark.slow
def test_instances_without_a_start_are_left_out_not_counted(result):
    missing = np.isnan(row(result, "infinite_settled", 30.0)).all(axis=0)
    assert np.all(np.isnan(row(result, "infinite_number", 30.0)[missing]))
    trials = [claim.instance for claim in result.claims if claim.id == "nlqr/global"]
    assert len(trials) == 2 - bool(missing.all())


@pytest.mark.slow
def test_the_truncated_cost_is_followed_from_every_start(result):
    assert np.all(np.isfinite(result.arrays["truncated_settled"].values))
