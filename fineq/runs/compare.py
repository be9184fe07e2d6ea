"""Two runs beside each other: what made them otherwise, and what differs beyond its intervals.

    found = fineq.runs.compare(before, after)
    found.settings, found.made_with, found.claims, found.arrays, found.differs

A claim differs when its two intervals do not meet, or when its verdicts do; below `LEVEL`, or
without an interval, nothing is said of it. When an array does: `fineq.runs.array_pairs`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from fineq.confidence import LEVEL
from fineq.runs.array_pairs import ArrayPair, array_pairs
from fineq.runs.folders import LoadedRun
from fineq.runs.rounding import rounding_of
from fineq.settings.config import WITHOUT_EFFECT
from fineq.settings.fields import flatten

Claim = Mapping[str, Any]
MADE_WITH = ("platform", "devices", "machine", "precision", "flags", "commit", "versions")


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
        tuple(array_pairs(first.dataset, second.dataset, rounding)),
    )


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
