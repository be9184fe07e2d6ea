"""The ids of all claims with their statements and sources; each area registers its own."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from fineq.claims.claim import Claim, Measured, Theory
from fineq.claims.reading import check_id


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
) -> Claim:
    """Return a claim with the statement and source registered for its id.

    Args:
        id: a registered id.
        measured: the number with its interval.
        theory: what is allowed; None for a measurement alone.
        instance: what it was measured on, in words or as names with values.
        sampled: the claim is about all x and only some were looked at.

    Raises:
        ValueError: for an id that is not registered.

    """
    if id not in REGISTRY:
        raise ValueError(f"claim {id!r} is not registered; known: {', '.join(sorted(REGISTRY))}")
    if not isinstance(instance, str):
        instance = ", ".join(f"{name}={value}" for name, value in instance.items())
    entry = REGISTRY[id]
    return Claim(id, entry.statement, entry.source, instance, measured, theory, sampled)
