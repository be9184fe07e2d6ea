"""Numbers of seeds, and their medians, in closed form, of three seeds of which one diverged."""

import numpy as np
import pytest

from fineq.studies.common import Names
from fineq.studies.found import Quantity
from fineq.studies.numbers import (
    at,
    at_least,
    last,
    least,
    numbers,
    ratio,
    where_least,
)
from fineq.studies.statistics import Median
from tests.studies.views import view_of

TIMES = np.array([1.0, 10.0, 100.0])
RISK = np.array([[3.0, 1.0, 2.0], [9.0, 9.0, 9.0], [4.0, 0.5, np.nan]])
RULES = ("best", "worst")


@pytest.fixture(name="view")
def _view():
    quantities = (
        Quantity("risk", "risk", ("time",)),
        Quantity("stop", "risk at the stop", ("rule",)),
    )
    return view_of(
        {"risk": RISK, "stop": np.arange(6.0).reshape(3, 2)},
        quantities,
        {"time": TIMES, "rule": np.array(RULES)},
        np.array([False, True, False]),
        Names({}, {}, {"rule": {"best": "the best rule"}}),
    )


def test_a_view_chooses_along_trailing_dimensions_and_names_the_value(view):
    chosen = view.chosen(rule="best")
    np.testing.assert_array_equal(chosen("stop"), [0.0, 2.0, 4.0])
    np.testing.assert_array_equal(view("stop"), [[0, 1], [2, 3], [4, 5]])
    assert chosen.word("rule") == "the best rule"
    assert view.chosen(rule="worst").word("rule") == "worst"


def test_numbers_are_those_of_seeds_that_did_not_diverge(view):
    np.testing.assert_array_equal(numbers("stop", view), [[0, 1], [4, 5]])
    np.testing.assert_array_equal(at("stop", rule="worst")(view), [1, 5])
    np.testing.assert_array_equal(numbers(lambda _: np.ones(2), view), [1, 1])


def test_least_and_last_pass_over_what_is_not_known(view):
    np.testing.assert_array_equal(least("risk")(view), [1.0, 0.5])
    np.testing.assert_array_equal(last("risk")(view), [2.0, 0.5])
    np.testing.assert_array_equal(where_least("risk", "time")(view), [10.0, 10.0])
    np.testing.assert_array_equal(at_least(lambda v: -RISK[[0, 2]], "risk")(view), [-1.0, -0.5])


def test_a_ratio_to_nothing_is_none(view):
    np.testing.assert_array_equal(ratio("stop", "stop")(view), [[np.nan, 1], [1, 1]])


def test_medians_of_logarithms_and_of_losses(view):
    # exp of the mean of two logarithms is their geometric mean.
    logs = Median(least("risk"), log=True)(view)
    np.testing.assert_allclose(logs.measured.value, np.sqrt(0.5), rtol=1e-15)
    assert logs.used == 2
    lost = Median(least("risk"), lost=True)(view)
    assert (lost.measured.value, lost.measured.high, lost.used) == (1.0, np.inf, 3)
    assert Median(least("risk"))(view).measured.value == 0.75
