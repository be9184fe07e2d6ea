"""Does it matter where descent starts (`nlqr/initialisation`; arXiv 2303.08431, Fig. 1a)?

Descent from K_lin, from a random policy and from zero, on the same systems and, for estimated
gradients, with the same random numbers.
"""

from collections.abc import Callable

import numpy as np

from fineq.claims import Claim, Theory
from fineq.claims.counting import over_seeds
from fineq.figures import Figure, Panel
from fineq.rates import median_interval
from fineq.results import StudyResult, status_of
from fineq.studies.common import small_multiples
from fineq.studies.nlqr.arrays import Slice, slices
from fineq.studies.nlqr.claims import claim
from fineq.studies.nlqr.config import NlqrConfig
from fineq.studies.nlqr.descents import STARTS
from fineq.studies.nlqr.instances import Given
from fineq.studies.nlqr.paper import Descents, bind, rounding, run_descents
from fineq.studies.nlqr.views import (
    START_LABELS,
    arrays_of,
    at_iteration,
    error_panel,
    hidden_at_start,
    named,
    pieces_of,
    rates_of,
    share_panel,
    unfinished,
    where,
)
from fineq.sweep.stages import Stages

EARLY = 50  # iterations after which Fig. 1a has all but converged


def run(config: NlqrConfig, given: Given, stages: Stages) -> StudyResult:
    """Descend from three starts on the same instances."""
    descents = run_descents(*bind(config, given, stages, starts=STARTS), starts=STARTS)
    arrays, coords = arrays_of(descents)
    pieces = pieces_of(descents)
    rates = [
        rate
        for number, start in enumerate(STARTS)
        for rate in rates_of(descents, f"from {start}, ", _from(number, pieces))
    ]
    return StudyResult(
        arrays,
        coords,
        (
            *(found for piece in pieces for found in _claims(descents, piece)),
            *(hidden_at_start(descents.study, piece) for piece in slices(descents.study.axes)),
        ),
        tuple(rates),
        _figures(config, pieces),
        status_of(descents.result.diverged),
        descents.notes,
    )


def _from(number: int, pieces: list[Slice]) -> list[Slice]:
    return [piece._replace(index=(number, *piece.index)) for piece in pieces]


def _claims(descents: Descents, piece: Slice) -> list[Claim]:
    ends = at_iteration(descents, descents.gap, descents.result.iterations[-1])
    iteration = min(EARLY, int(descents.result.iterations[-1]))
    early = at_iteration(descents, descents.left, iteration)
    instance = where(descents.study.config, piece.label, ends.shape[-1])
    found = [
        claim(
            "nlqr/initialisation",
            median_interval(
                _against_best(ends[(slice(None), *piece.index)], rounding(descents.study.config))
            ),
            Theory(1.0, "<=", "K_lin ends lowest"),
            instance=instance,
            what="Final gap from K_lin over the lower one from random or zero (median)",
            undecided=unfinished(descents.study.config),
        )
    ]
    for start in STARTS[1:]:
        measured = over_seeds(early[(STARTS.index(start), *piece.index)])
        used = where(descents.study.config, piece.label, measured.num_values, ends.shape[-1])
        what = f"Gap left after {iteration} iterations from the {start} start (median)"
        found.append(claim("nlqr/initialisation", measured, instance=used, what=what))
    return found


def _against_best(ends: np.ndarray, least: float) -> np.ndarray:
    """Final gaps `[start, seed]` as ratios `[seed]` of the first to the lowest of the others.

    `least` is the gap below which nothing is told apart.
    """
    linear, others = np.maximum(ends[0], least), np.maximum(ends[1:].min(axis=0), least)
    return np.where(np.isfinite(linear), linear / others, np.inf)


def _figures(config: NlqrConfig, pieces: list[Slice]) -> tuple[Figure, ...]:
    def lines(piece: Slice) -> list[tuple[str, dict]]:
        return [(START_LABELS[start], {"start": start, **piece.at}) for start in STARTS]

    def errors(name: str) -> Callable[[Slice], list[Panel]]:
        return lambda piece: [error_panel(name, lines(piece), named(config, piece.label))]

    def loops(piece: Slice) -> list[Panel]:
        shares = [("unstable", label, at) for label, at in lines(piece)]
        title = named(config, piece.label)
        return [share_panel("moment", shares, title, "share of loops not stable")]

    gaps = "Suboptimality of the T-step cost, three starts."
    left = "What is left of the gap at each start."
    stability = "Loops that are not stable, or diverged."
    return (
        *small_multiples("initialisation", pieces, errors("gap"), gaps),
        *small_multiples("gap_left", pieces, errors("left"), left),
        *small_multiples("stability", pieces, loops, stability),
    )
