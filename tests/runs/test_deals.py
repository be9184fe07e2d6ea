"""Seeds dealt anew: as exact as a test of one number, and of many entries no oftener wrong."""

import numpy as np
import pytest

from fineq.runs.deals import DEALS, entries_apart

ROUNDING = 1e-8


def apart(first: np.ndarray, second: np.ndarray, chance: float = 0.05) -> np.ndarray:
    (mask,) = entries_apart([(first, second)], chance, ROUNDING)
    return mask


@pytest.mark.parametrize(("n", "m"), [(6, 6), (4, 7)])
def test_of_one_entry_it_is_the_permutation_test_of_the_means(n, m):
    """Where SciPy's p-value, of all deals, is the chance, and nowhere below."""
    from scipy.stats import permutation_test

    rng = np.random.default_rng(0)
    for shift in (0.5, 1.0, 1.5):
        x, y = rng.normal(size=n), rng.normal(size=m) + shift

        def distance(a, b, axis):
            return np.abs(np.mean(a, axis=axis) - np.mean(b, axis=axis))

        p = permutation_test((x, y), distance, vectorized=True, alternative="greater").pvalue
        assert apart(x[:, None], y[:, None], p * (1 + 1e-9)).all()
        assert not apart(x[:, None], y[:, None], p * (1 - 1e-9)).any()


@pytest.mark.parametrize(
    ("draw", "seeds"),
    [
        (lambda rng, shape: rng.normal(size=shape), (6, 6)),
        (lambda rng, shape: rng.standard_cauchy(size=shape), (6, 9)),
        (lambda rng, shape: np.where(rng.random(shape) < 0.2, np.inf, rng.random(shape)), (7, 8)),
        (lambda rng, shape: np.repeat(rng.normal(size=(shape[0], 1)), shape[1], 1), (6, 6)),
    ],
    ids=["independent", "heavy tails", "some diverged", "all the same"],
)
def test_of_one_law_some_entry_is_apart_in_at_most_a_twentieth(draw, seeds):
    rng, many = np.random.default_rng(1), 300
    alarms = sum(apart(*(draw(rng, (size, 50)) for size in seeds)).any() for _ in range(many))
    # A binomial number of share 0.05 is above 27 of 300 in one case of a thousand.
    assert alarms <= 27


def test_an_entry_that_is_far_apart_is_found_among_thousands_and_no_other():
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=(2, 6, 5000))
    y[:, 4321] += 30
    assert np.flatnonzero(apart(x, y)).tolist() == [4321]


def test_arrays_are_judged_together_and_keep_their_shape():
    """The entry furthest apart of all arrays is the measure of each."""
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(2, 6, 2, 3))
    other = rng.normal(size=(2, 6, 2000))
    shift = 2.5
    (alone,) = entries_apart([(x, y + shift)], 0.05, ROUNDING)
    one, many = entries_apart([(x, y + shift), tuple(other)], 0.05, ROUNDING)
    assert alone.shape == one.shape == (2, 3)
    assert alone.any()
    assert not one.any()
    assert not many.any()


def test_units_count_for_nothing_and_rounding_neither():
    rng = np.random.default_rng(4)
    x, y = rng.normal(size=(2, 6, 40))
    y[:, :5] += 9
    expected = [0, 1, 2, 3, 4]
    with np.errstate(all="raise", under="ignore"):
        for scale in (1e-300, 1.0, 1e300):
            assert np.flatnonzero(apart(x * scale, y * scale)).tolist() == expected
    same = np.full((6, 3), 2.0)
    assert not apart(same, same * (1 + 1e-10)).any()
    assert apart(same, same * (1 + 1e-4)).all()


def test_seeds_that_diverged_count_as_far_away():
    rng = np.random.default_rng(5)
    x, y = rng.normal(size=(2, 8, 4))
    y[:, 2] = np.nan
    assert np.flatnonzero(apart(x, y)).tolist() == [2]
    x[:, 2] = np.nan
    assert not apart(x, y).any()


def test_of_many_seeds_a_draw_of_deals_is_enough():
    rng = np.random.default_rng(6)
    x, y = rng.normal(size=(30, 20)), rng.normal(size=(40, 20))
    y[:, 1] += 3
    assert np.flatnonzero(apart(x, y)).tolist() == [1]
    assert not apart(x, y, 0.5 / DEALS).any()  # less than one deal of those drawn
