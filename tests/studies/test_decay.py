"""Decay exponents over predicted ones, on geometric errors whose ratios are known."""

from dataclasses import replace

import numpy as np
import pytest

from fineq.claims import Theory
from fineq.settings.config import RunConfig
from fineq.studies.common import Names, Study
from fineq.studies.decay import Decay, LinearRate
from fineq.studies.found import Found, Quantity
from fineq.studies.recipe import Recipe, Row
from fineq.sweep import Axis
from fineq.sweep.stages import Stages
from tests.studies import test_recipe as registered

assert registered  # it registers the claim test/recipe
RATIOS = np.array([0.3, 0.5, 0.6, 0.4, 0.55, 0.45])
SECOND = 2.0  # the error decays at the square of the ratio


def predicted(view):
    return -np.log(view("ratio"))


def recipe(alike=False, masks=None, seeds=6):
    ratios = RATIOS[:seeds]
    errors = ratios[:, None] ** (SECOND * np.arange(20))
    rate = LinearRate("error", "k", **({"masks": masks} if masks else {}))
    decay = Decay(rate, predicted, 0.05, lambda rate, exponent: "nothing decays")

    def bind(config, given, stages):
        axes = [Axis("seed", range(seeds))]
        return Study(config, given, stages, lambda member: member, axes, alike=alike)

    return Recipe(
        bind=bind,
        measure=lambda study: Found({"error": errors, "ratio": ratios}, coords={"k": range(20)}),
        names=Names({}, {}),
        words=lambda study, piece: "",
        quantities=(Quantity("error", "error", ("k",)), Quantity("ratio", "ratio")),
        claims=(Row("test/recipe", "decay", decay, Theory(SECOND, "~", "2", margin=0.01)),),
    )


def run(made):
    return made(RunConfig(seeds=1), None, Stages())


def test_the_exponent_is_over_that_predicted_and_its_rate_is_kept():
    found = run(recipe())
    (claim,) = found.claims
    assert claim.measured.value == pytest.approx(SECOND, rel=1e-6)
    assert (claim.verdict, claim.instance, len(found.rates)) == ("holds", "6 seeds", 1)


def test_seeds_without_a_prediction_are_left_out_and_none_is_inconclusive():
    made = recipe()
    unknown = replace(made, measure=lambda study: unknown_from(made.measure(study), 2))
    assert run(unknown).claims[0].instance == "4 of 6 seeds"
    nothing = replace(made, measure=lambda study: unknown_from(made.measure(study), 6))
    (claim,) = run(nothing).claims
    assert claim.verdict == "inconclusive"
    assert "nothing decays" in claim.reason


def unknown_from(found, count):
    ratios = np.where(np.arange(len(RATIOS)) < count, np.nan, RATIOS)
    return replace(found, values={**found.values, "ratio": ratios})


def test_a_problem_that_is_given_has_no_interval():
    (claim,) = run(recipe(alike=True, seeds=1)).claims
    assert claim.measured.low == claim.measured.high == claim.measured.value


def test_what_a_mask_leaves_out_is_not_fitted():
    def masks(view, errors):
        return {"valid": errors > 0.05, "diverged": np.arange(len(RATIOS)) < 1}

    (claim,) = run(recipe(masks=masks)).claims
    assert claim.instance != "6 seeds"
