"""Descents from an identified system: the true K_lin where it is known, marked where it is not."""

import jax
import numpy as np
import pytest

from fineq.nlqr.features import Sine
from fineq.nlqr.gradients import Exact
from fineq.nlqr.identification import IdentificationStatus
from fineq.nlqr.laws import Sphere
from fineq.nlqr.policies import identified_policy, linear_policy
from fineq.nlqr.problem import Problem
from fineq.nlqr.random_systems import random_system
from fineq.settings.fields import replace_at
from fineq.studies.nlqr.common import dropped_note, make_study, optimum
from fineq.studies.nlqr.config import NlqrConfig
from fineq.studies.nlqr.descents import Descent, descend, start_policy
from fineq.studies.nlqr.instances import Given, make_instance, make_plant
from fineq.sweep.stages import Stages

SMALL = {"seeds": 8, "system.n": 2, "system.p": 1, "law.name": "sphere"}


def make(num_samples):
    settings = {**SMALL, "descent.start": "identified", "descent.num_samples": num_samples}
    return make_study(replace_at(NlqrConfig(), settings), Given(), Stages())


@pytest.mark.slow
def test_identified_policy_is_that_of_the_system():
    system = random_system(jax.random.key(0), Sine(), n=2, p=1, normalisation="joint")
    problem = Problem(system, Sphere(3.0, 2))
    guess = identified_policy(jax.random.key(1), problem, 30)
    assert guess.found.status == IdentificationStatus.IDENTIFIED
    # A, B, C to condition x rounding; K_lin of a well damped loop is as well conditioned as they.
    tolerance = 1e3 * 2.3e-16 * float(guess.found.condition)
    np.testing.assert_allclose(guess.K, linear_policy(system).K, rtol=0, atol=tolerance)
    nothing = identified_policy(jax.random.key(1), problem, 4)
    assert nothing.found.status == IdentificationStatus.RANK_DEFICIENT
    assert np.all(np.isnan(nothing.K))


@pytest.mark.slow
def test_members_start_from_the_identified_system_or_are_marked():
    some = make(None).screen.plant
    assert np.all(some.identification == IdentificationStatus.IDENTIFIED)
    np.testing.assert_allclose(some.K_identified, some.K_lin, rtol=0, atol=1e-9)
    none = make(4)  # of n + p + d = 5 unknowns
    assert np.all(none.screen.plant.identification == IdentificationStatus.RANK_DEFICIENT)
    assert "8 of 8 have no start" in dropped_note(none)
    star = optimum(none, 5)
    descent = Descent(Exact(), 5, 3, [0, 3], lambda at, star, instance: 0.5 / star.h)
    result = descend(none, "descent", descent, star)
    assert np.all(result.diverged)
    np.testing.assert_array_equal(result.diverged_at, 1)
    assert np.all(np.isnan(result.metrics["gap"]))


def test_the_start_must_be_made_with_the_study():
    config = replace_at(NlqrConfig(), SMALL)
    instance = make_instance(config, Given(), make_plant(config, Given()))({"seed": 0})
    assert instance.K_identified is None
    with pytest.raises(ValueError, match=r"descent\.start=identified"):
        start_policy("identified", instance, 1.0)
