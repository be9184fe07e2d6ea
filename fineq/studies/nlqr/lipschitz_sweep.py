"""How nonlinear may the system be (`nlqr/lipschitz-sweep`; arXiv 2303.08431, Fig. 1b)?

Descent from K_lin for a range of ℓ. The paper draws one curve per ℓ; here every ℓ meets the same
random systems, and shares of them are counted.
"""

import numpy as np

from fineq.claims import Claim, Theory
from fineq.claims.counting import share
from fineq.errors import InputError
from fineq.figures import Figure, Panel
from fineq.results import StudyResult, status_of
from fineq.settings.fields import flatten
from fineq.studies.common import small_multiples
from fineq.studies.nlqr.arrays import Slice, slices
from fineq.studies.nlqr.claims import claim
from fineq.studies.nlqr.config import NlqrConfig
from fineq.studies.nlqr.instances import Given
from fineq.studies.nlqr.paper import Descents, bind, run_descents
from fineq.studies.nlqr.views import (
    above_optimum,
    arrays_of,
    error_panel,
    hidden_at_start,
    lowered,
    named,
    nothing_to_lower,
    pieces_of,
    rates_of,
    share_panel,
    unfinished,
    where,
)
from fineq.sweep.stages import Stages

LIPSCHITZ = "system.lipschitz"
CONVERGED, FAILED = 4.0, 5.0  # largest ℓ at which the paper saw convergence, smallest at which not
HALF = "half: the typical system"  # what one curve per ℓ can say of many systems


def run(config: NlqrConfig, given: Given, stages: Stages) -> StudyResult:
    """Descend from `descent.start` for every ℓ.

    Raises:
        InputError: when ℓ is not swept.
    """
    if LIPSCHITZ not in flatten(config.sweep):
        raise InputError(
            f"lipschitz_sweep needs values of ℓ to compare: give sweep.{LIPSCHITZ}=[...] instead "
            f"of {LIPSCHITZ}="
        )
    descents = run_descents(*bind(config, given, stages))
    arrays, coords = arrays_of(descents)
    return StudyResult(
        arrays,
        coords,
        tuple(_claims(descents)),
        rates_of(descents, "", pieces_of(descents)),
        _figures(config, descents),
        status_of(descents.result.diverged),
        descents.notes,
    )


def _claims(descents: Descents) -> list[Claim]:
    found = []
    for other in pieces_of(descents, LIPSCHITZ):
        same = [p for p in pieces_of(descents) if p.at.items() >= other.at.items()]
        found += _about(descents, [p for p in same if p.at["lipschitz"] <= CONVERGED], True)
        found += _about(descents, [p for p in same if p.at["lipschitz"] >= FAILED], False)
    near = [p for p in slices(descents.study.axes) if p.at["lipschitz"] <= CONVERGED]
    return found + [hidden_at_start(descents.study, piece) for piece in near[-1:]]


def _about(descents: Descents, pieces: list[Slice], converges: bool) -> list[Claim]:
    """What holds at the least favourable of these values of ℓ, if there are any."""
    if not pieces:
        return []
    bound = f"ℓ <= {CONVERGED:g}" if converges else f"ℓ >= {FAILED:g}"
    few, most = Theory(0.5, "<=", HALF), Theory(0.5, ">=", HALF)
    diverged, falls = descents.result.diverged, lowered(descents)
    every, above = np.ones_like(falls), above_optimum(descents)

    def about(what: str, mask: np.ndarray, theory: Theory, among: np.ndarray = every) -> Claim:
        pick = max if theory.relation == "<=" else min
        known = [p for p in pieces if among[p.index].any()]
        # `among` leaves some at every value tried, or nothing is judged.
        piece = pick(
            known, key=lambda p: float(mask[p.index][among[p.index]].mean()), default=pieces[0]
        )
        holds = mask[piece.index][among[piece.index]]
        seeds = among[piece.index].size
        instance = where(descents.study.config, piece.label, holds.size, seeds)
        return claim(
            "nlqr/lipschitz-sweep",
            share(holds, descents.alone),
            theory,
            instance=instance,
            what=what,
            undecided=nothing_to_lower(among[piece.index]) or unfinished(descents.study.config),
        )

    if not converges:
        return [about(f"Descents that diverge, at the least of {bound} (share)", diverged, most)]
    return [
        about(f"Descents that diverge, at the most of {bound} (share)", diverged, few),
        about(f"Descents that lower the cost, at the least of {bound} (share)", falls, most, above),
    ]


def _figures(config: NlqrConfig, descents: Descents) -> tuple[Figure, ...]:
    others, pieces = pieces_of(descents, LIPSCHITZ), pieces_of(descents)

    def left(other: Slice) -> list[Panel]:
        lines = [
            (f"ℓ = {p.at['lipschitz']:g}", p.at) for p in pieces if p.at.items() >= other.at.items()
        ]
        return [error_panel("left", lines, named(config, other.label), ordered=True)]

    diverged = share_panel(
        "lipschitz",
        [("diverged", other.label or "diverged", other.at) for other in others],
        f"{config.setting}: descents that diverged",
        "share diverged",
    )

    def loops(other: Slice) -> list[Panel]:
        shares = [("unstable_start", "start", other.at), ("unstable_end", "end", other.at)]
        title = named(config, other.label)
        return [share_panel("lipschitz", shares, title, "share of loops not stable")]

    stability = "Loops that are not stable, or diverged."
    return (
        *small_multiples("lipschitz_sweep", others, left, "Gap left, by ℓ.", [diverged]),
        *small_multiples("stability", others, loops, stability),
    )
