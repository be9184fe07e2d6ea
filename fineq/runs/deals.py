"""Whether arrays of two runs are of one law, by dealing the seeds of both anew.

Were they of one law, every deal of all seeds into two groups as large as the runs would be as
likely as the one that is there. An entry is apart where its means are, measured by how its values
spread, further apart than those of the entry furthest apart in nearly all deals. A seed is dealt
with all its entries, so that this happens at some entry with the chance asked for at most, whatever
the law, however many entries there are and however they depend on each other. Source: the
permutation test of the largest statistic, Westfall and Young (1993), chapter 2.
"""

from collections.abc import Sequence
from functools import cache
from itertools import combinations
from math import comb

import numpy as np

from fineq.runs.rounding import last_digits

DEALS = 1000  # at most: all there are of 6 and 6 seeds, 924; of more a draw
BLOCK = 4096  # entries at once
SAME = 1e-9  # two correlations that differ by less are one, however they were summed


def entries_apart(
    pairs: Sequence[tuple[np.ndarray, np.ndarray]], chance: float, rounding: float
) -> list[np.ndarray]:
    """Return of each array at which entries its two runs are apart.

    Args:
        pairs: of each array the values of both runs, `[n, ...]` and `[m, ...]`, of which the first
            axis is that of the seeds, the same for all arrays; no number: the seed diverged.
        chance: with which runs of one law are apart at some entry of some array, at most.
        rounding: relative difference that is none.

    Returns:
        Masks `[...]`, one for each array.
    """
    n, m = (len(values) for values in pairs[0])
    groups = _deals(n, m)
    columns = [_columns(np.concatenate(pair), rounding) for pair in pairs]
    found = [np.empty(values.shape[1]) for values in columns]
    furthest = np.zeros(len(groups))
    for values, there in zip(columns, found, strict=True):
        for begin in range(0, there.size, BLOCK):
            block = slice(begin, begin + BLOCK)
            away = np.abs(groups @ values[:, block])
            furthest = np.maximum(furthest, away.max(axis=1))
            there[block] = away[0]
    ordered = np.sort(furthest)
    as_far = [len(groups) - np.searchsorted(ordered, there - SAME) for there in found]
    masks = [number <= chance * len(groups) for number in as_far]
    return [mask.reshape(pair[0].shape[1:]) for mask, pair in zip(masks, pairs, strict=True)]


@cache
def _deals(n: int, m: int) -> np.ndarray:
    """Deals `[deal, n + m]`, the one that is there first, each centred and of length 1.

    Times a column that is so too, it is the correlation of a value and its run: as Student's t it
    grows with the distance of the means over the spread within, and it stays within 1.
    """
    if comb(n + m, n) <= DEALS:
        first = list(combinations(range(n + m), n))
    else:
        rng = np.random.default_rng(0)  # two runs compared again are compared alike
        first = [range(n), *(rng.permutation(n + m)[:n] for _ in range(DEALS - 1))]
    groups = np.full((len(first), n + m), -np.sqrt(n / m))
    for row, chosen in zip(groups, first, strict=True):
        row[[*chosen]] = np.sqrt(m / n)
    return groups / np.sqrt(n + m)


def _columns(values: np.ndarray, rounding: float) -> np.ndarray:
    """Values `[seed, ...]` as columns `[seed, entry]`, centred and of length 1; 0 where all alike.

    A seed that diverged lies beyond all others by as much as these spread.
    """
    columns = values.reshape(len(values), -1).astype(float)
    columns[np.isnan(columns)] = np.inf
    finite = np.isfinite(columns)
    size = np.max(np.abs(columns), axis=0, initial=0.0, where=finite)
    largest = np.max(size, initial=0.0)
    columns = columns / np.where(size > 0, size, 1.0)
    low = np.min(columns, axis=0, initial=1.0, where=finite)
    high = np.max(columns, axis=0, initial=-1.0, where=finite)
    step = np.where(high > low, high - low, 1.0)
    columns = np.clip(columns, low - step, high + step)
    # As of numbers that are not random: none below the last digits of the largest of all.
    alike = rounding + last_digits(rounding) * largest / np.where(size > 0, size, 1.0)
    columns = columns - columns.mean(axis=0)
    length = np.sqrt(np.sum(columns**2, axis=0))
    spread = np.ptp(columns, axis=0)
    return np.where(spread > alike, columns / np.where(length > 0, length, 1.0), 0.0)
