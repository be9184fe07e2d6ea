"""Two runs beside each other: what made them otherwise, and what differs beyond its intervals.

    found = fineq.runs.compare(before, after)
    found.settings, found.made_with, found.claims, found.arrays, found.differs

A claim differs when its two intervals do not meet, or when its verdicts do; an array over seeds
when the intervals of its medians do not meet at more entries than chance would have. Numbers
without an interval differ when they do beyond rounding, half of the digits of their precision.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
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
# Of two intervals of 95% that are independent and of the same truth: ends 1.96 standard errors out
# lie apart where estimates do by 2.77 of those of their difference.
CHANCE = 0.006


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
    """

    first: Claim | None
    second: Claim | None
    apart: bool

    @property
    def differs(self) -> bool:
        """Whether numbers or verdicts do, or only one run has it."""
        if self.first is None or self.second is None:
            return True
        return self.apart or self.first["verdict"] != self.second["verdict"]


class ArrayPair(NamedTuple):
    """An array of both runs.

    Attributes:
        name: of the array.
        kind: `equal`, `rounding` (differs within it), `within` (medians over seeds are within
            their intervals), `few` (too few seeds to tell), `apart`, `shape` (cannot be laid side
            by side), or `first` and `second` for an array that only one run has.
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
        return self.kind in ("apart", "shape", "first", "second")


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
        tuple(_differing(counted(first.config), counted(second.config))),
        tuple(_differing(_made_with(first), _made_with(second))),
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


def _differing(first: Mapping[str, Any], second: Mapping[str, Any]) -> Iterator[Differing]:
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
        yield ClaimPair(claim, partner, partner is not None and _apart(claim, partner, rounding))
    for claim in left:
        yield ClaimPair(None, claim, False)


def _instance(claim: Claim) -> tuple[str, ...]:
    return (claim["id"], claim["statement"], claim.get("instance") or "")


def _without_seeds(claim: Claim) -> tuple[str, ...]:
    """The same for any number of seeds."""
    *names, instance = _instance(claim)
    return (*names, *(part for part in instance.split(", ") if "seed" not in part))


def _apart(first: Claim, second: Claim, rounding: float) -> bool:
    one, other = (_ends(claim["measured"] or {}) for claim in (first, second))
    if one is None or other is None:
        return one != other
    (low, high), (other_low, other_high) = one, other
    between = max(low, other_low) - min(high, other_high)
    return between > rounding * max(abs(low), abs(high), abs(other_low), abs(other_high))


def _ends(measured: Mapping[str, Any]) -> tuple[float, float] | None:
    """The interval of a measured number; itself where it has none, None where there is none."""
    value, low, high = (measured.get(name) for name in ("value", "low", "high"))
    if low is None and high is None:
        return None if value is None else (value, value)
    return (-np.inf if low is None else low, np.inf if high is None else high)


def _arrays(
    first: "xarray.Dataset", second: "xarray.Dataset", rounding: float
) -> Iterator[ArrayPair]:
    for name in dict.fromkeys((*map(str, first.data_vars), *map(str, second.data_vars))):
        if name not in second.data_vars:
            yield ArrayPair(name, "first")
        elif name not in first.data_vars:
            yield ArrayPair(name, "second")
        else:
            yield _array(name, first[name], second[name], rounding)


def _array(name: str, a: "xarray.DataArray", b: "xarray.DataArray", rounding: float) -> ArrayPair:
    if a.dtype.kind not in "biuf" or b.dtype.kind not in "biuf" or not _side_by_side(a, b):
        equal = a.dtype.kind == b.dtype.kind and a.equals(b)
        return ArrayPair(name, "equal" if equal else "shape")
    relative = _relative(a, b)
    if relative is not None and relative <= rounding:
        return ArrayPair(name, "rounding" if relative else "equal", relative)
    if "seed" not in a.dims:
        return ArrayPair(name, "apart", relative)
    one, other = _median_ends(a), _median_ends(b)
    if one is None or other is None:
        return ArrayPair(name, "few", relative)
    (low, high), (other_low, other_high) = one, other
    apart = int(np.sum((high < other_low) | (other_high < low)))
    kind = "apart" if apart > CHANCE * low.size else "within"
    return ArrayPair(name, kind, relative, low.size, apart)


def _side_by_side(a: "xarray.DataArray", b: "xarray.DataArray") -> bool:
    """Whether they have the same dimensions and, but for seeds, the same values along them."""
    others = [dim for dim in a.dims if dim != "seed"]
    return a.dims == b.dims and all(a[dim].equals(b[dim]) for dim in others)


def _relative(a: "xarray.DataArray", b: "xarray.DataArray") -> float | None:
    """The largest difference over the largest finite number; None for other seeds."""
    if a.shape != b.shape or ("seed" in a.dims and not a["seed"].equals(b["seed"])):
        return None
    x, y = a.values.astype(float), b.values.astype(float)
    same = (x == y) | (np.isnan(x) & np.isnan(y))
    if same.all():
        return 0.0
    finite = np.isfinite(x) & np.isfinite(y)
    if not finite[~same].all():
        return np.inf
    return float(np.max(np.abs(x - y)[~same]) / max(np.max(np.abs([x, y])[:, finite]), 1e-300))


def _median_ends(array: "xarray.DataArray") -> tuple[np.ndarray, np.ndarray] | None:
    """The intervals of the medians over seeds, `[...]` each; None where seeds are too few.

    A seed that has no number diverged, and is larger than all others.
    """
    from fineq.rates.intervals import median_interval

    values = np.moveaxis(array.values.astype(float), array.dims.index("seed"), -1)
    ordered = np.sort(np.where(np.isnan(values), np.inf, values), axis=-1)
    places = median_interval(np.arange(ordered.shape[-1]))
    if places.confidence < LEVEL:
        return None
    return ordered[..., int(places.low)], ordered[..., int(places.high)]


class Partners(NamedTuple):
    """Runs of two folders that belong together, and those that have no partner."""

    pairs: list[tuple[LoadedRun, LoadedRun]]
    first: list[LoadedRun]
    second: list[LoadedRun]


def partners(first: Sequence[LoadedRun], second: Sequence[LoadedRun]) -> Partners:
    """Pair the runs of two folders: by study and configuration, then by study and name alone.

    Args:
        first: runs, of which later ones are newer: of several alike the newest is paired.
        second: likewise.
    """
    left, right, pairs = list(reversed(first)), list(reversed(second)), []
    for key in (_asked, _named):
        for run in list(left):
            same = [other for other in right if key(other) == key(run)]
            if same:
                pairs.append((run, same[0]))
                left.remove(run)
                right.remove(same[0])
    return Partners(sorted(pairs, key=lambda pair: str(pair[0].path)), left[::-1], right[::-1])


def _named(run: LoadedRun) -> tuple[str, ...]:
    return (run.study, str(run.summary["name"]))


def _asked(run: LoadedRun) -> tuple[str, ...]:
    return (*_named(run), repr(sorted(counted(run.config).items())))
