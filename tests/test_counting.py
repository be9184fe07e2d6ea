"""What studies share: seeds counted in one way, and reasons why a number is no limit yet."""

import numpy as np
import pytest

from fineq.claims import Theory, judge
from fineq.claims.counting import (
    counted,
    curved,
    last_of,
    lost_words,
    over_seeds,
    seeds_words,
    share,
    share_tried,
    still_falling,
    transient,
    unless_holds,
)
from fineq.rates import linear_rate, power_law

NAN, INF = np.nan, np.inf


def test_losses_are_infinite_and_what_does_not_exist_is_left_out():
    found = over_seeds(np.array([1.0, 2.0, NAN, 3.0, INF, 4.0, 5.0, NAN]))
    assert (found.value, found.low, found.high) == (3.5, 1.0, INF)
    assert found.num_values == 6
    errors = np.array([[1.0, 0.5], [1.0, NAN], [1.0, INF], [1.0, 0.25]])
    np.testing.assert_array_equal(last_of(errors), [0.5, INF, INF, 0.25])
    assert lost_words(errors) == "4 seeds, 2 diverged"
    assert lost_words(errors[:1]) == "one seed"


def test_a_share_of_what_was_tried_is_exact():
    """One of six against a claim about all six: no interval, whatever the number of them."""
    tried = share_tried(np.array([True] * 5 + [False]))
    assert (tried.value, tried.low, tried.confidence) == (5 / 6, 5 / 6, 1.0)
    assert share_tried(np.zeros(0)).value is None
    theory = Theory(1.0, ">=", "all")
    assert judge(tried, theory, sampled=True).verdict == "fails"
    assert judge(share_tried(np.ones(1)), theory, sampled=True).verdict == "not refuted"
    assert (counted(1, "size"), counted(3, "size")) == ("one size", "3 sizes")


def test_what_is_given_has_no_seeds():
    point = over_seeds(np.full(3, 2.0), alike=True)
    assert (point.low, point.value, point.high, point.confidence) == (2.0, 2.0, 2.0, 1.0)
    assert share(np.array([True]), alike=True).low == 1.0
    # One of one, were it random: p = 0.025 solves p^1 = 0.025.
    assert share(np.array([True])).low == pytest.approx(0.025)
    assert seeds_words(1, 1, alike=True) == "one instance, nothing random"


@pytest.mark.parametrize(
    ("used", "given", "who", "words"),
    [
        (6, 6, "that arrive", "6 seeds"),
        (1, 1, "", "one seed"),
        (4, 6, "that arrive", "4 of 6 seeds, those that arrive"),
        (0, 6, "", "0 of 6 seeds"),
    ],
)
def test_rows_say_of_how_many_seeds_they_are(used, given, who, words):
    assert seeds_words(used, given, who) == words


def test_a_transient_that_has_not_died_out_refutes_nothing():
    k = np.arange(0.0, 60.0)
    straight = linear_rate(k, np.exp(-0.1 * k))
    # Two modes: the slope goes from about -0.17 to -0.1 over the record.
    bent = linear_rate(k[:20], np.exp(-0.1 * k[:20]) + 3 * np.exp(-0.3 * k[:20]))
    assert transient(straight.per_seed, 0.05) == ""
    assert "the transient has not died out" in transient(bent.per_seed, 0.05)
    assert transient([], 0.05) == ""


def test_an_exponent_that_still_changes_refutes_no_limit():
    x = np.array([10.0, 100.0, 1000.0])
    power = power_law(x, x**-0.5)
    # x^-1/2 + 1: the exponent between neighbours falls to 0.
    bent = power_law(x, x**-0.5 + 0.1)
    assert curved(power, 0.05, "larger x") == ""
    assert curved(power, 0.05, "larger x", -0.6, exact=False) == ""
    assert curved(bent, 0.05, "larger x").endswith("larger x decide")
    theory = Theory(-0.5, "~", "x^-1/2", margin=0.05)
    assert unless_holds(power, theory, "why") == ""
    assert unless_holds(bent, theory, "why") == "why"
    assert unless_holds(bent, None, "why") == ""


def test_scattered_exponents_refute_no_limit_that_they_may_tend_to():
    x = 4.0 ** np.arange(4)
    # Between neighbours -0.26, -0.3, -0.34, the last off by up to 0.1: they tend to about -0.38.
    slopes = np.tile([-0.26, -0.3, -0.34], (6, 1))
    slopes[:, 2] += np.linspace(-0.1, 0.1, 6)
    y = np.exp(np.cumsum(np.c_[np.zeros(6), slopes * np.log(4.0)], axis=1))
    law = power_law(x, y)
    assert curved(law, 0.05, "larger x", -0.5, exact=False).endswith("larger x decide")
    assert curved(law, 0.05, "larger x", -0.7, exact=False) == ""


def test_errors_on_their_way_are_no_limit():
    assert "to 50%" in still_falling(np.array([[1.0, 0.5], [1.0, 0.5]]), "more sweeps")
    assert still_falling(np.array([[1.0, 0.95], [1.0, 0.9]]), "more sweeps") == ""
    assert still_falling(np.array([[1.0, NAN], [1.0, INF]]), "more sweeps") == ""
    assert "one iteration shows no limit" in still_falling(np.ones((2, 1)), "more sweeps")
