"""Claims by what they say, wherever they stand."""

from collections.abc import Iterable
from typing import Any

from fineq.claims import Claim


def said(claims: Iterable[Claim], *words: str) -> Any:
    """The one `Claim` whose id, statement and instance hold all the words."""

    def holds(claim: Claim) -> bool:
        text = f"{claim.id} {claim.statement} {claim.instance}"
        return all(word in text for word in words)

    (found,) = filter(holds, claims)
    return found
