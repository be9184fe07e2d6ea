"""Arrays of two runs beside each other: equal, within rounding or chance, or apart.

Over seeds an array differs where the intervals of its medians do not meet at some entry, each as
wide as all entries together ask for (`interval_depths`); where there are more entries than so many
seeds have intervals for, where its means are apart whichever way the seeds of both are dealt anew
(`fineq.runs.deals`). Runs of one law have such an array with a probability of at most
`FALSE_ALARMS`, whatever the law and however entries depend on each other. Numbers of which nothing
is random differ beyond rounding, entry by entry: half of the digits of their precision.
"""

from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from fineq.confidence import LEVEL
from fineq.runs import deals
from fineq.runs.rounding import alike, difference

if TYPE_CHECKING:
    import xarray

#: How often two runs of one law, with seeds of their own, have an array that differs, at most.
FALSE_ALARMS = 0.05
# A landscape's probes call the axis of its seeds by what they draw.
SEEDS = ("seed", "instance")


class ArrayPair(NamedTuple):
    """An array of both runs.

    Attributes:
        name: of the array.
        kind: `equal`, `rounding` (differs within it), `within` (over seeds they differ by
            chance at most), `few` (too few seeds to tell), `apart`, `words` (other words), `shape`
            (cannot be laid side by side), or `first` and `second` for one that only one run has.
        relative: the largest difference over the largest number; None where they have none.
        entries: how many were compared over seeds.
        apart: at how many of them the runs are.
    """

    name: str
    kind: str
    relative: float | None = None
    entries: int = 0
    apart: int = 0

    @property
    def differs(self) -> bool:
        """Whether it is more than rounding, chance or too few seeds."""
        return self.kind in ("apart", "words", "shape", "first", "second")


def array_pairs(
    first: "xarray.Dataset", second: "xarray.Dataset", rounding: float
) -> Iterator[ArrayPair]:
    """Lay every array of either run beside that of the other.

    Args:
        first: the arrays of a run.
        second: of another.
        rounding: relative difference that is none, of numbers that are not random.
    """
    apart = _over_seeds(first, second, rounding)
    for name in dict.fromkeys((*map(str, first.data_vars), *map(str, second.data_vars))):
        if name not in second.data_vars:
            yield ArrayPair(name, "first")
        elif name not in first.data_vars:
            yield ArrayPair(name, "second")
        else:
            yield _array(name, first[name], second[name], rounding, apart.get(name))


def _array(
    name: str,
    a: "xarray.DataArray",
    b: "xarray.DataArray",
    rounding: float,
    apart: np.ndarray | None,
) -> ArrayPair:
    """`apart`: at which entries they are, over seeds; None: there are none, or too few."""
    if not _side_by_side(a, b, rounding):
        return ArrayPair(name, "shape")
    seeds = _seeds(a)
    if a.dtype.kind not in "biuf":
        equal = a.shape == b.shape and bool((a.values == b.values).all())
        return ArrayPair(name, "equal" if equal else "words")
    relative, rounded = None, False
    if seeds is None or alike(a[seeds].values, b[seeds].values, rounding):
        relative, rounded = difference(a.values, b.values, rounding)
    if rounded:
        return ArrayPair(name, "rounding" if relative else "equal", relative)
    if seeds is None:
        return ArrayPair(name, "apart", relative)
    if apart is None:
        return ArrayPair(name, "few", relative)
    number = int(np.sum(apart))
    return ArrayPair(name, "apart" if number else "within", relative, apart.size, number)


def _over_seeds(
    first: "xarray.Dataset", second: "xarray.Dataset", rounding: float
) -> dict[str, np.ndarray]:
    """By the name of each array over seeds at which entries it is apart; none of too few seeds."""
    of: dict[str, list[str]] = {}
    for name in (str(name) for name in first.data_vars if name in second.data_vars):
        a, b = first[name], second[name]
        seeds = _seeds(a)
        if seeds and a.dtype.kind in "biuf" and _side_by_side(a, b, rounding):
            of.setdefault(seeds, []).append(name)
    found: dict[str, np.ndarray] = {}
    for seeds, names in of.items():
        pairs = [(_by_seed(first[n], seeds), _by_seed(second[n], seeds)) for n in names]
        n, m = map(len, pairs[0])
        if interval_depths(n, m, 1.0) is None:
            continue
        chance = FALSE_ALARMS / len(of)
        depths = interval_depths(n, m, chance / max(sum(a[0].size for a, _ in pairs), 1))
        masks = (
            deals.entries_apart(pairs, chance, rounding)
            if depths is None
            else [_medians_apart(*pair, depths) for pair in pairs]
        )
        found |= zip(names, masks, strict=True)
    return found


def _seeds(array: "xarray.DataArray") -> str | None:
    """The dimension along which seeds lie."""
    return next((dim for dim in SEEDS if dim in array.dims), None)


def _by_seed(array: "xarray.DataArray", seeds: str) -> np.ndarray:
    """Its values `[seed, ...]`; a seed without a number diverged, and is larger than all others."""
    values = np.moveaxis(array.values.astype(float), array.dims.index(seeds), 0)
    return np.where(np.isnan(values), np.inf, values)


def _side_by_side(a: "xarray.DataArray", b: "xarray.DataArray", rounding: float) -> bool:
    """Whether both are numbers or words, with the same values along all dimensions but seeds."""
    numbers = [array.dtype.kind in "biuf" for array in (a, b)]
    others = [dim for dim in a.dims if dim != _seeds(a)]
    return (
        a.dims == b.dims
        and numbers[0] == numbers[1]
        and all(alike(a[dim].values, b[dim].values, rounding) for dim in others)
    )


@cache
def interval_depths(first: int, second: int, chance: float) -> tuple[int, int] | None:
    """Which smallest and largest values bound the two intervals of a median; None below enough.

    The deepest that cover the median with `LEVEL` and, for independent values of one law, do not
    meet with a probability of at most `chance`: then all orders of both together are equally
    likely, and the r-th of n lies below the s-th of m where r or more of the first r + s - 1 of
    both are of the n, which is hypergeometric. Ties only make it rarer. Source: the precedence
    test, Balakrishnan and Ng (2006), chapter 3.
    """
    from scipy.stats import binom, hypergeom

    n, m = sorted((first, second))
    tails = binom.cdf(np.arange(m), m, 0.5)
    for k in range(n // 2, 0, -1):
        tail = float(binom.cdf(k - 1, n, 0.5))
        # As sure of the median for both; the same depth for as many seeds, whatever is rounded.
        j = int(np.sum(tails <= tail * (1 + 1e-9)))
        below = hypergeom.sf(n - k, n + m, n, n - k + j)
        above = hypergeom.sf(m - j, n + m, m, m - j + k)
        if 1 - 2 * tail >= LEVEL and below + above <= chance:
            return (k, j) if first <= second else (j, k)
    return None


def _medians_apart(first: np.ndarray, second: np.ndarray, depths: tuple[int, int]) -> np.ndarray:
    """Where the intervals from the smallest to the largest but so many over seeds do not meet."""
    (low, high), (other_low, other_high) = (
        (ordered[depth - 1], ordered[-depth])
        for ordered, depth in zip((np.sort(first, 0), np.sort(second, 0)), depths, strict=True)
    )
    return (high < other_low) | (other_high < low)
