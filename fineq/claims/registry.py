"""The ids of all claims with their statements and sources; each area registers its own."""

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from fineq.claims.claim import Claim
from fineq.claims.measured import HasInterval, Measured, Theory
from fineq.claims.reading import check_id
from fineq.claims.verdict import MORE_SEEDS, judge


class Entry(NamedTuple):
    """A registered claim.

    Attributes:
        id: `area/claim`.
        statement: the claim in plain words.
        source: the paper (and figure) it is from, or `fineq`.
        relation: what is compared with what, in symbols.

    """

    id: str
    statement: str
    source: str
    relation: str


_entries: dict[str, Entry] = {}
#: All registered claims by id; an area's are there once its `claims` module is imported.
REGISTRY: Mapping[str, Entry] = MappingProxyType(_entries)


def register(*entries: Entry) -> None:
    """Register claims; registering the same entry again changes nothing.

    Raises:
        ValueError: for an id that is not of the form `area/claim`, or is taken by another entry.

    """
    for entry in entries:
        check_id(entry.id)
        if _entries.setdefault(entry.id, entry) != entry:
            raise ValueError(f"claim {entry.id!r} is already registered otherwise")


def make_claim(
    id: str,
    measured: Measured,
    theory: Theory | None = None,
    *,
    instance: str | Mapping[str, Any],
    sampled: bool = False,
    undecided: str = "",
    decides: str = MORE_SEEDS,
) -> Claim:
    """Return a claim with the statement and source registered for its id.

    Args:
        id: a registered id.
        measured: the number with its interval.
        theory: what is allowed; None for a measurement alone.
        instance: what it was measured on, in words or as names with values.
        sampled: the claim is about all x and only some were looked at.
        undecided: why the numbers cannot say either, and what would decide it; makes the verdict
            `inconclusive`.
        decides: what narrows the interval, said where it holds allowed and other numbers.

    Raises:
        ValueError: for an id that is not registered.

    """
    if id not in REGISTRY:
        raise ValueError(f"claim {id!r} is not registered; known: {', '.join(sorted(REGISTRY))}")
    if not isinstance(instance, str):
        instance = ", ".join(f"{name}={value}" for name, value in instance.items())
    entry = REGISTRY[id]
    if theory is None:
        undecided = ""
    elif not undecided:
        found = judge(measured, theory, sampled, decides)
        undecided = found.reason if found.verdict == "inconclusive" else ""
    return Claim(id, entry.statement, entry.source, instance, measured, theory, sampled, undecided)


def claim(
    id: str,
    measured: HasInterval | Measured,
    theory: Theory | None = None,
    *,
    instance: str | Mapping[str, Any],
    what: str = "",
    unit: str = "1",
    sampled: bool = False,
    undecided: str = "",
    decides: str = MORE_SEEDS,
) -> Claim:
    """Make a registered claim; `what` says what exactly was measured, in place of its statement.

    Args:
        id: a registered id.
        measured: a number with its interval.
        theory: what is allowed; None for a measurement alone.
        instance: what it was measured on.
        what: replaces the registered statement.
        unit: of the measured number.
        sampled: the claim is about all x, and only some were looked at.
        undecided: why the numbers cannot say either; see `make_claim`.
        decides: what narrows the interval; see `make_claim`.
    """
    number = measured if isinstance(measured, Measured) else Measured.of(measured, unit)
    made = make_claim(
        id,
        number,
        theory,
        instance=instance,
        sampled=sampled,
        undecided=undecided,
        decides=decides,
    )
    return dataclasses.replace(made, statement=what or made.statement)
