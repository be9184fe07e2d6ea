"""The ids of all claims with their statements and sources; each area registers its own."""

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
    """Return a claim with the source registered for its id, and its statement.

    Args:
        id: a registered id.
        measured: the number with its interval.
        theory: what is allowed; None for a measurement alone.
        instance: what it was measured on, in words or as names with values.
        what: what exactly was measured, in place of the registered statement.
        unit: of a number that has none of its own.
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
    if not isinstance(measured, Measured):
        measured = Measured.of(measured, unit)
    entry = REGISTRY[id]
    if theory is None:
        undecided = ""
    elif not undecided:
        found = judge(measured, theory, sampled, decides)
        undecided = found.reason if found.verdict == "inconclusive" else ""
    statement = what or entry.statement
    return Claim(id, statement, entry.source, instance, measured, theory, sampled, undecided)
