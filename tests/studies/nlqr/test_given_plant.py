"""A plant of the user's own whose K_lin does not exist is told so in its own words."""

import jax.numpy as jnp
import pytest

from fineq.errors import InputError
from fineq.nlqr.features import Sine
from fineq.nlqr.problem import System
from fineq.studies.nlqr.common import make_study
from fineq.studies.nlqr.config import NlqrConfig
from fineq.studies.nlqr.instances import Given
from fineq.sweep.stages import Stages


@pytest.mark.slow
def test_a_plant_without_a_riccati_solution_is_told_why():
    # The input does not reach the mode 1.5: no gain stabilises.
    one = jnp.eye(1)
    plant = System(1.5 * one, 0 * one, one, one, one, jnp.asarray(1.0), Sine())
    config = NlqrConfig(study="landscape", seeds=6)
    config.reference.max_horizon = 64
    with pytest.raises(InputError) as caught:
        make_study(config, Given(plant), Stages(), stable_only=True, random=False)
    assert "Riccati equation is not solved (no stabilising gain was found" in str(caught.value)
    assert "seeds" not in str(caught.value)
