"""Exact descent against theory: what is judged, what is too short to be, and what has no seeds."""

import jax.numpy as jnp
import numpy as np
import pytest

from fineq.nlqr.features import Sine
from fineq.nlqr.problem import System
from fineq.settings.fields import replace_at
from fineq.studies.nlqr import linear_convergence
from fineq.studies.nlqr.arrival import budget, falling, too_short
from fineq.studies.nlqr.config import NlqrConfig
from fineq.studies.nlqr.instances import Given
from fineq.sweep.stages import Stages
from tests.studies.said import said

EXPONENT = 0.01


def test_theorys_rate_says_how_many_steps_are_needed():
    goal, steps = 1e-10, np.arange(0, 3001, 10)
    # From gap 1 at exp(-2 · 0.01) a step: log(1e10) / 0.02 = 1151.3 steps; five times slower: 5756.
    gaps = np.exp(-2 * np.outer([EXPONENT, EXPONENT / 5, 0.0], steps))
    found = budget(gaps, np.array([EXPONENT, EXPONENT / 5, EXPONENT]), goal, 3000)
    np.testing.assert_allclose(found.needed, np.log(1e10) / np.array([0.02, 0.004, 0.02]))
    assert found.reached.tolist() == [True, False, False]
    # The last one stood still for more than twice the steps that theory needs.
    assert found.short.tolist() == [False, True, False]
    words = too_short(found, 3000)
    assert "up to 5756 steps on 1 of 3 seeds" in words
    assert words.endswith("descent.num_steps=11513 decides")
    assert too_short(found._replace(short=np.zeros(3, bool)), 3000) == ""
    alone = too_short(found, 3000, alike=True)
    assert "and 3000 were made: descent.num_steps=" in alone
    assert "seed" not in alone


@pytest.mark.parametrize(("level", "still"), [(1e-3, False), (1e-9, True)])
def test_a_gap_that_still_falls_is_no_floor(level, still):
    steps = np.arange(0, 201)
    gap = np.exp(-0.05 * steps) + level
    assert bool(falling(steps, gap)) is still


@pytest.fixture(scope="module")
def result():
    """A plant that is given, nonlinear enough on |x0| = 3 to tell x from sin x."""
    one = jnp.eye(1)
    plant = System(0.5 * one, one, 0.5 * one, one, one, jnp.asarray(1.0), Sine())
    floors = {"floors.num_rollouts": [2], "floors.radii": [0.2], "floors.num_steps": 4}
    descent = {"descent.num_steps": 4000, "descent.rule": "smoothness", "descent.step_size": 1.0}
    own = {"seeds": 3, "system.name": "file", "system.lipschitz": 1.0, "law.radius": 3.0}
    config = replace_at(NlqrConfig(), {**floors, **descent, **own})
    return linear_convergence.run(config, Given(plant), Stages())


@pytest.mark.slow
def test_a_plant_that_is_given_has_no_seeds(result):
    reached = said(result.claims, "share of seeds where exact descent reaches")
    assert (reached.verdict, reached.measured.confidence) == ("not refuted", 1.0)
    for what in ("|K - K*|", "the cost gap"):
        claim = said(result.claims, f"decay exponent of {what}")
        assert claim.verdict == "holds"
        assert claim.measured.low == claim.measured.value == claim.measured.high
        assert claim.instance == "one instance, nothing random"
    natural = said(result.claims, "natural gradient: steps")
    assert natural.measured.low == natural.measured.high
    assert "without interval" in result.notes["seeds"]


@pytest.mark.slow
def test_its_exact_descents_are_drawn_without_a_band(result):
    panels = [panel for figure in result.figures for panel in figure.panels]
    exact = [p for p in panels if p.x in ("exact_iteration", "natural_iteration")]
    assert len(exact) == 3
    assert all(line.at["seed"] == 0 for panel in exact for line in panel.lines)
