"""Two runs beside each other: what made them otherwise, and what differs beyond its intervals.

    found = fineq.runs.compare(before, after)
    found.settings, found.made_with, found.claims, found.arrays, found.differs

A claim differs when its two intervals do not meet, or when its verdicts do; below `LEVEL`, or
without an interval, nothing is said of it. An array over seeds differs when the intervals of its
medians do not meet at some entry. Runs of one law have such an array with a probability of at most
`FALSE_ALARMS`, whatever the law and however entries depend on each other: the intervals are those
at which it is that over the number of all entries (`interval_depths`). Numbers of which nothing is
random differ beyond rounding, entry by entry: half of the digits of their precision.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fineq.confidence import LEVEL
from fineq.runs.folders import LoadedRun
from fineq.settings.config import WITHOUT_EFFECT
from fineq.settings.fields import flatten

if TYPE_CHECKING:
    import xarray

Claim = Mapping[str, Any]
MADE_WITH = ("platform", "devices", "machine", "precision", "flags", "commit", "versions")
#: How often two runs of one law, with seeds of their own, have an array that differs, at most.
FALSE_ALARMS = 0.05
# A landscape's probes call the axis of its seeds by what they draw.
SEEDS = ("seed", "instance")


class Differing(NamedTuple):
    """A setting, or something that a run was made with, by name; None where one has it not."""

    name: str
    first: Any
    second: Any


class ClaimPair(NamedTuple):
    """A claim of both runs, or of one: the other is None.

    Attributes:
        first: as in `summary.json`.
        second: likewise.
        apart: whether their numbers differ beyond their intervals.
        few: whether seeds are too few to tell.
    """

    first: Claim | None
    second: Claim | None
    apart: bool
    few: bool = False

    @property
    def differs(self) -> bool:
        """Whether numbers or verdicts do, or only one run has it."""
        if self.first is None or self.second is None:
            return True
        if self.few:
            return False
        return self.apart or self.first["verdict"] != self.second["verdict"]


class ArrayPair(NamedTuple):
    """An array of both runs.

    Attributes:
        name: of the array.
        kind: `equal`, `rounding` (differs within it), `within` (medians over seeds are within
            their intervals), `few` (too few seeds to tell), `apart`, `words` (other words), `shape`
            (cannot be laid side by side), or `first` and `second` for one that only one run has.
        relative: the largest difference over the largest number; None where they have none.
        entries: how many medians were compared.
        apart: of how many of them the intervals do not meet.
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


@dataclass(frozen=True)
class Comparison:
    """What two runs have in common and in what they differ.

    Attributes:
        first: a run.
        second: another.
        settings: fields of the configuration that count and differ.
        made_with: versions, platform, devices, precision, sources.
        claims: all of either run.
        arrays: all of either run.
    """

    first: LoadedRun
    second: LoadedRun
    settings: tuple[Differing, ...]
    made_with: tuple[Differing, ...]
    claims: tuple[ClaimPair, ...]
    arrays: tuple[ArrayPair, ...]

    @property
    def differs(self) -> bool:
        """Whether what they found does: status, a claim or an array."""
        found = (*self.claims, *self.arrays)
        return self.first.status != self.second.status or any(pair.differs for pair in found)


def compare(first: LoadedRun, second: LoadedRun) -> Comparison:
    """Lay two runs side by side."""
    precisions = [str(run.config.get("precision", "float32")) for run in (first, second)]
    rounding = max(rounding_of(name) for name in precisions)
    return Comparison(
        first,
        second,
        tuple(differing(counted(first.config), counted(second.config))),
        tuple(differing(_made_with(first), _made_with(second))),
        tuple(_claims(first.summary["claims"], second.summary["claims"], rounding)),
        tuple(_arrays(first.dataset, second.dataset, rounding)),
    )


def rounding_of(precision: str) -> float:
    """Relative difference that rounding may make: half of the digits."""
    known = precision if precision in ("float32", "float64") else "float32"
    return float(np.sqrt(np.finfo(known).eps))


def counted(config: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a configuration that change results, by dotted path."""
    return {k: v for k, v in flatten(dict(config)).items() if k not in WITHOUT_EFFECT}


def _made_with(run: LoadedRun) -> dict[str, Any]:
    about = {name: run.summary["environment"].get(name) for name in MADE_WITH}
    versions = about.pop("versions") or {}
    computing = str(run.summary.get("sources", {}).get("computing", ""))[:8]
    return {**about, **versions, "sources": computing}


def differing(first: Mapping[str, Any], second: Mapping[str, Any]) -> Iterator[Differing]:
    """What the two have not the same, by name."""
    for name in dict.fromkeys((*first, *second)):
        if first.get(name) != second.get(name):
            yield Differing(name, first.get(name), second.get(name))


def _claims(
    first: Sequence[Claim], second: Sequence[Claim], rounding: float
) -> Iterator[ClaimPair]:
    """Each claim of the first run with that of the second on the same instance, then the rest."""
    left = list(second)
    pairs: list[tuple[Claim, Claim | None]] = [(claim, None) for claim in first]
    for key in (_instance, _without_seeds):
        for place, (claim, partner) in enumerate(pairs):
            same = [other for other in left if partner is None and key(other) == key(claim)]
            if same:
                pairs[place] = (claim, same[0])
                left.remove(same[0])
    for claim, partner in pairs:
        if partner is None:
            yield ClaimPair(claim, None, False)
        elif _few(claim) or _few(partner):
            yield ClaimPair(claim, partner, False, True)
        else:
            yield ClaimPair(claim, partner, _apart(claim, partner, rounding))
    for claim in left:
        yield ClaimPair(None, claim, False)


def _instance(claim: Claim) -> tuple[str, ...]:
    return (claim["id"], claim["statement"], claim.get("instance") or "")


def _without_seeds(claim: Claim) -> tuple[str, ...]:
    """The same for any number of seeds."""
    *names, instance = _instance(claim)
    return (*names, *(part for part in instance.split(", ") if "seed" not in part))


def _few(claim: Claim) -> bool:
    """Whether its number has no interval, or one that covers less often than a verdict needs."""
    measured = claim["measured"] or {}
    if measured.get("value") is None and _ends(measured) is None:
        return False
    bare = measured.get("low") is None and measured.get("high") is None
    return bare or (claim.get("confidence") or 0.0) < LEVEL


def _apart(first: Claim, second: Claim, rounding: float) -> bool:
    one, other = (_ends(claim["measured"] or {}) for claim in (first, second))
    if one is None or other is None:
        return one != other
    (low, high), (other_low, other_high) = one, other
    # The ends that face each other; the far ones may be infinite.
    above, below = max(low, other_low), min(high, other_high)
    return above > below and above - below > rounding * max(abs(above), abs(below))


def _ends(measured: Mapping[str, Any]) -> tuple[float, float] | None:
    """The interval of a measured number; itself where it has none, None where there is none."""
    value, low, high = (measured.get(name) for name in ("value", "low", "high"))
    if low is None and high is None:
        return None if value is None else (value, value)
    return (-np.inf if low is None else low, np.inf if high is None else high)


def _arrays(
    first: "xarray.Dataset", second: "xarray.Dataset", rounding: float
) -> Iterator[ArrayPair]:
    names = dict.fromkeys((*map(str, first.data_vars), *map(str, second.data_vars)))
    both = [name for name in names if name in first.data_vars and name in second.data_vars]
    entries = sum(_entries(first[name], second[name], rounding) for name in both)
    for name in names:
        if name not in second.data_vars:
            yield ArrayPair(name, "first")
        elif name not in first.data_vars:
            yield ArrayPair(name, "second")
        else:
            chance = FALSE_ALARMS / max(entries, 1)
            yield _array(name, first[name], second[name], rounding, chance)


def _entries(a: "xarray.DataArray", b: "xarray.DataArray", rounding: float) -> int:
    """How many medians over seeds there are to compare; 0 where there are none."""
    seeds = _seeds(a)
    if seeds is None or not _side_by_side(a, b, rounding) or not a.sizes[seeds]:
        return 0
    return a.size // a.sizes[seeds]


def _array(
    name: str, a: "xarray.DataArray", b: "xarray.DataArray", rounding: float, chance: float
) -> ArrayPair:
    if not _side_by_side(a, b, rounding):
        return ArrayPair(name, "shape")
    seeds = _seeds(a)
    if a.dtype.kind not in "biuf":
        equal = a.shape == b.shape and bool((a.values == b.values).all())
        return ArrayPair(name, "equal" if equal else "words")
    relative, rounded = None, False
    if seeds is None or _alike(a[seeds].values, b[seeds].values, rounding):
        relative, rounded = _difference(a.values, b.values, rounding)
    if rounded:
        return ArrayPair(name, "rounding" if relative else "equal", relative)
    if seeds is None:
        return ArrayPair(name, "apart", relative)
    depths = interval_depths(a.sizes[seeds], b.sizes[seeds], chance)
    if depths is None:
        return ArrayPair(name, "few", relative)
    (low, high), (other_low, other_high) = (
        _median_ends(array, seeds, depth) for array, depth in zip((a, b), depths, strict=True)
    )
    apart = int(np.sum((high < other_low) | (other_high < low)))
    return ArrayPair(name, "apart" if apart else "within", relative, low.size, apart)


def _seeds(array: "xarray.DataArray") -> str | None:
    """The dimension along which seeds lie."""
    return next((dim for dim in SEEDS if dim in array.dims), None)


def _side_by_side(a: "xarray.DataArray", b: "xarray.DataArray", rounding: float) -> bool:
    """Whether both are numbers or words, with the same values along all dimensions but seeds."""
    numbers = [array.dtype.kind in "biuf" for array in (a, b)]
    others = [dim for dim in a.dims if dim != _seeds(a)]
    return (
        a.dims == b.dims
        and numbers[0] == numbers[1]
        and all(_alike(a[dim].values, b[dim].values, rounding) for dim in others)
    )


def _alike(a: np.ndarray, b: np.ndarray, rounding: float) -> bool:
    """Whether coordinates are the same up to a few of the last digits."""
    if a.shape != b.shape:
        return False
    if a.dtype.kind not in "biuf" or b.dtype.kind not in "biuf":
        return bool((a == b).all())
    return bool(np.allclose(a, b, rtol=_last_digits(rounding), atol=0.0, equal_nan=True))


def _last_digits(rounding: float) -> float:
    """A few units in the last place, of the precision of which half of the digits is `rounding`."""
    return 8 * rounding**2


def _difference(a: np.ndarray, b: np.ndarray, rounding: float) -> tuple[float, bool]:
    """The largest difference over the largest number, and whether all entries agree to rounding.

    An entry does by its own digits; below the last digits of the largest of all there are none.
    """
    x, y = a.astype(float), b.astype(float)
    same = (x == y) | (np.isnan(x) & np.isnan(y))
    if same.all():
        return 0.0, True
    finite = np.isfinite(x) & np.isfinite(y)
    if not finite[~same].all():
        return np.inf, False
    size = np.maximum(np.abs(x), np.abs(y))
    largest = max(float(np.max(size[finite])), 1e-300)
    away = np.abs(x - y)[~same]
    allowed = rounding * size[~same] + _last_digits(rounding) * largest
    return float(np.max(away)) / largest, bool((away <= allowed).all())


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


def _median_ends(
    array: "xarray.DataArray", seeds: str, depth: int
) -> tuple[np.ndarray, np.ndarray]:
    """From the `depth`-th smallest to the `depth`-th largest over seeds, `[...]` each.

    A seed that has no number diverged, and is larger than all others.
    """
    values = np.moveaxis(array.values.astype(float), array.dims.index(seeds), -1)
    ordered = np.sort(np.where(np.isnan(values), np.inf, values), axis=-1)
    return ordered[..., depth - 1], ordered[..., -depth]
