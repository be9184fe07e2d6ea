"""Does descent from K_lin help whatever the system (`nlqr/robustness`; arXiv 2303.08431, Fig. 2)?

Many random systems, each drawn as a line of its own; and what their loops do beyond T steps.
"""

from fineq.claims import Claim, Theory
from fineq.claims.counting import over_seeds, share_tried
from fineq.figures import Figure, Panel
from fineq.results import StudyResult, status_of
from fineq.studies.common import small_multiples
from fineq.studies.nlqr.arrays import Slice, slices
from fineq.studies.nlqr.claims import claim
from fineq.studies.nlqr.common import independent
from fineq.studies.nlqr.config import NlqrConfig
from fineq.studies.nlqr.instances import Given
from fineq.studies.nlqr.paper import Descents, bind, run_descents
from fineq.studies.nlqr.views import (
    above_optimum,
    arrays_of,
    at_iteration,
    error_panel,
    hidden,
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


def run(config: NlqrConfig, given: Given, stages: Stages) -> StudyResult:
    """Descend from `descent.start` on every system."""
    descents = run_descents(*bind(config, given, stages))
    arrays, coords = arrays_of(descents)
    pieces = pieces_of(descents)
    return StudyResult(
        arrays,
        coords,
        (
            *(found for piece in pieces for found in _claims(descents, piece)),
            *(_at_optimum(descents, piece) for piece in slices(descents.study.axes)),
        ),
        rates_of(descents, "", pieces),
        _figures(config, pieces),
        status_of(descents.result.diverged),
        descents.notes,
    )


def _claims(descents: Descents, piece: Slice) -> list[Claim]:
    last = descents.result.iterations[-1]
    above = above_optimum(descents)[piece.index]
    falls = lowered(descents)[piece.index][above]
    left = at_iteration(descents, descents.left, last)[piece.index][above]
    end = descents.unstable[piece.index][..., -1] & ~descents.result.diverged[piece.index]
    instance = where(descents.study.config, piece.label, falls.size, above.size)
    alone = descents.alone
    return [
        claim(
            "nlqr/robustness",
            share_tried(falls),
            Theory(1.0, ">=", "all systems"),
            instance=instance,
            what="Descent from K_lin lowers the T-step cost (share of systems)",
            sampled=True,
            undecided=nothing_to_lower(above) or unfinished(descents.study.config),
        ),
        claim(
            "nlqr/robustness",
            over_seeds(left, alone),
            instance=instance,
            what=f"Gap left after {last} iterations (median)",
        ),
        hidden(end, "end of descent", where(descents.study.config, piece.label, end.size), alone),
    ]


def _at_optimum(descents: Descents, piece: Slice) -> Claim:
    mask = descents.star_unstable[piece.index]
    mask = mask[independent(descents.study)]
    about = where(descents.study.config, piece.label, mask.size)
    return hidden(mask, "K*", about, descents.study.alike)


def _figures(config: NlqrConfig, pieces: list[Slice]) -> tuple[Figure, ...]:
    def left(piece: Slice) -> list[Panel]:
        title = named(config, piece.label)
        return [error_panel("left", [("median", piece.at)], title, traces=True)]

    loops = share_panel(
        "moment",
        [("unstable", piece.label, piece.at) for piece in pieces],
        f"{config.setting}: loops not stable",
        "share of systems",
    )
    caption = "Every line is one system."
    return small_multiples("robustness", pieces, left, caption, [loops])
