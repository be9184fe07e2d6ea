"""The table of claims: what was judged first, what was only measured after it.

A large sweep makes the same claim at every value. Here a measured quantity has one row, with the
range of its values, and so has a verdict that one claim earns more than a few times; `summary.json`
holds every row.
"""

import math
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from fineq.confidence import LARGEST, LEVEL

FEW = 4  # judged claims that differ only in their numbers have rows of their own up to here
NARROW = 64  # columns below which a table would break its numbers
NOTHING = "–"
_RELATIONS = {"<=": "≤", ">=": "≥", "~": "≈"}

Claim = Mapping[str, Any]


class Row(NamedTuple):
    """One row of the table, in words; `stands_for` is the number of claims.

    `reason` is why a verdict is `inconclusive`, of several the first's.
    """

    id: str
    about: str
    measured: str
    theory: str
    verdict: str | None
    stands_for: int = 1
    reason: str = ""

    @property
    def ending(self) -> str:
        """The verdict, and how often it was earned."""
        often = f" ({self.stands_for})" if self.stands_for > 1 else ""
        return (self.verdict or NOTHING) + often


def rows_of(claims: Iterable[Claim]) -> tuple[list[Row], list[Row]]:
    """Return the rows of the claims that were judged and of those that were only measured."""
    claims = list(claims)
    judged = [claim for claim in claims if claim["verdict"]]
    alone = [claim for claim in claims if not claim["verdict"]]
    return _gathered(judged, _judgement, FEW), _gathered(alone, _quantity, 1)


def _quantity(claim: Claim) -> Hashable:
    return claim["id"], claim["statement"], (claim["measured"] or {}).get("unit")


def _judgement(claim: Claim) -> Hashable:
    theory = claim["theory"] or {}
    allowed = (theory.get("relation"), theory.get("formula"), theory.get("value") is None)
    return (_quantity(claim), allowed, claim["verdict"])


def _gathered(claims: list[Claim], key: Callable[[Claim], Hashable], most: int) -> list[Row]:
    groups: dict[Hashable, list[Claim]] = {}
    for claim in claims:
        groups.setdefault(key(claim), []).append(claim)
    rows = []
    for group in groups.values():
        rows += [_row(group)] if len(group) > most else [_row([claim]) for claim in group]
    return rows


def _row(claims: Sequence[Claim]) -> Row:
    first = claims[0]
    where = instances_words([claim.get("instance") or "" for claim in claims])
    about = f"{first['statement']} ({where})" if where else first["statement"]
    return Row(
        first["id"],
        about,
        measured_words(*(_with(claim, "measured", "confidence") for claim in claims)),
        theory_words(*(_with(claim, "theory", "margin") for claim in claims)),
        first["verdict"],
        len(claims),
        first.get("reason", "") if first["verdict"] == "inconclusive" else "",
    )


def _with(claim: Claim, part: str, name: str) -> Claim | None:
    """A part of a claim with what the claim says of it."""
    return claim[part] and {**claim[part], name: claim.get(name)}


def instances_words(instances: Sequence[str]) -> str:
    """Say on what several claims were measured: what they share, and the range of the rest.

    Instances are lists such as `ℓ = 0.3, 8 seeds`; where they do not match part by part, the first
    and the last stand for all.
    """
    lists = [instance.split(", ") for instance in dict.fromkeys(instances)]
    if len({len(parts) for parts in lists}) > 1:
        return f"{instances[0]} … {instances[-1]}"
    return ", ".join(_span(list(dict.fromkeys(parts))) for parts in zip(*lists, strict=True))


def _span(parts: list[str]) -> str:
    """One part of instances: itself, `name = low … high` for numbers, else the first and last."""
    if len(parts) == 1:
        return parts[0]
    names, equals, values = zip(*(part.rpartition(" = ") for part in parts), strict=True)
    if len({*names}) > 1 or not all(equals):
        return f"{parts[0]} … {parts[-1]}"
    try:
        ordered = sorted(values, key=float)
    except ValueError:
        ordered = list(values)
    return f"{names[0]} = {ordered[0]} … {ordered[-1]}"


def measured_words(*measured: Mapping[str, Any] | None) -> str:
    """Return the value with its unit and, on a second line, the interval; exact ones have none.

    Of several measurements: the range of the values, and what holds all their intervals. The
    least confidence of these is written where it is not 95%. What is sure to lie between two
    numbers, a bracket by bisection, has a range and no interval.
    """
    known = [one for one in measured if one is not None]
    if not known:
        return NOTHING
    unit = known[0].get("unit")
    words = _range([_value(one) for one in known])
    words += f" {unit}" if unit not in (None, "", "1") else ""
    lows, highs = ([one.get(end) for one in known] for end in ("low", "high"))
    if all(end is None for end in (*lows, *highs)) or all(map(_is_exact, known)):
        return words
    low, high = _number(_outermost(lows, min)), _number(_outermost(highs, max))
    if all(one.get("confidence") == 1 for one in known):
        return f"{words}\nrange {low} … {high}"
    within = "within " if len(known) > 1 else ""
    return f"{words}\n{within}[{low}, {high}]{_confidence_words(known)}"


def _is_exact(one: Claim) -> bool:
    """No interval to speak of: a number without uncertainty, an infinite one, or none at all."""
    low, high = one.get("low"), one.get("high")
    return low == high or (low == LARGEST and high is None)


def _value(one: Claim) -> float | None:
    return math.inf if one.get("low") == LARGEST else one.get("value")


def _confidence_words(measured: Sequence[Claim]) -> str:
    ranges = [one for one in measured if one.get("low") != one.get("high")]
    known = _finite([one.get("confidence") for one in ranges])
    return f" {min(known):.0%}" if known and not math.isclose(min(known), LEVEL) else ""


def theory_words(*theories: Mapping[str, Any] | None) -> str:
    """Return `relation value`, what counts as equal, and the formula when there is one."""
    known = [theory for theory in theories if theory is not None]
    if not known:
        return NOTHING
    first = known[0]
    relation = _RELATIONS.get(first["relation"], first["relation"])
    words = f"{relation} {_range([theory['value'] for theory in known])}"
    margins = [theory.get("margin") for theory in known]
    if first["relation"] == "~" and any(margins):
        words += f" ± {_range(margins)}"
    return f"{words}\n{first['formula']}" if first.get("formula") else words


def _range(values: Sequence[float | None]) -> str:
    """The value, or the smallest and the largest; values that are not there are counted."""
    known = [value for value in values if value is not None and not math.isnan(value)]
    ends = (
        list(dict.fromkeys(_number(end) for end in (min(known), max(known))))
        if known
        else [NOTHING]
    )
    lost = len(values) - len(known)
    return " … ".join(ends) + (f" (– {lost} times)" if known and lost else "")


def _outermost(ends: Sequence[float | None], pick: Callable[[Any], float]) -> float | None:
    """The end that holds all others; none where one is not known."""
    known = _finite(ends)
    return pick(known) if len(known) == len(ends) else None


def _finite(values: Sequence[float | None]) -> list[float]:
    return [value for value in values if value is not None and math.isfinite(value)]


def _number(value: float | None) -> str:
    if value == math.inf:
        return "infinite"
    return NOTHING if value is None or not math.isfinite(value) else f"{value:.4g}"
