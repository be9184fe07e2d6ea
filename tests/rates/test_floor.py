"""Where a floor begins, at the edges of what is asked of one."""

import numpy as np
import pytest

from fineq.rates.floor import candidates, find_floor


@pytest.mark.parametrize(("length", "found"), [(13, True), (12, False)])
def test_a_floor_outlasts_three_of_the_waves_before_it(length, found):
    """Waves of four iterations: the flat end spans twelve, or eleven, which may be a trough."""
    k = np.arange(20.0)
    descent = -0.5 * k + 1.2 * np.sin(np.pi * k / 2)
    y = np.concatenate([descent, np.full(length, descent[-1] - 0.5)])
    floor = find_floor(np.arange(y.size, dtype=float), y)
    assert (floor is not None) is found
    if floor is not None:
        assert floor.level == pytest.approx(descent[-1] - 0.5)


def test_of_five_records_at_a_floor_one_may_dip():
    y = np.concatenate([-0.5 * np.arange(10), [-5.0, -9.0, -5.0, -4.97, -5.01]])
    floor = find_floor(np.arange(15.0), y)
    assert floor is not None
    assert floor.level == pytest.approx(-5.0, abs=0.05)


def test_candidates_are_all_indices_or_as_many_as_asked_for():
    np.testing.assert_array_equal(candidates(64, 64), np.arange(64))
    some = candidates(1000, 64)
    assert some[0] == 0
    assert some[-1] == 999
    assert len(some) <= 64
    # Every one at the start, and gaps of 999/31 at the end.
    np.testing.assert_array_equal(some[:4], [0, 1, 2, 3])
    assert np.diff(some).max() == 33
