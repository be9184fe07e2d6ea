"""How close networks stay to kernel descent, against their width (`ntk/coupling`).

Both descend on the same noisy labels with the same step size; the distance on fresh points is
followed over training, for networks that start at output 0 and for those that do not.
"""

import numpy as np

from fineq.claims import Claim, Theory
from fineq.claims.counting import curved, unless_holds
from fineq.errors import InputError
from fineq.figures import Figure, Line, Panel
from fineq.figures import Theory as Drawn
from fineq.rates import PowerLaw, power_law
from fineq.results import Array as Named
from fineq.results import StudyResult, status_of
from fineq.studies.common import Slice, dims_of, drawn_fit, small_multiples, titled
from fineq.studies.ntk.common import (
    Study,
    coords_of,
    counting,
    divergence_note,
    make_study,
    median,
    named_instance,
    slices,
    target_notes,
    widths_of,
)
from fineq.studies.ntk.config import NtkConfig
from fineq.studies.ntk.instances import Given
from fineq.studies.ntk.networks import (
    kernel_errors,
    network_errors,
    recorded,
    times_with_networks,
)
from fineq.sweep.stages import Stages

SHORT = 0.1  # of the horizon: where slopes are fitted a second time
MARGIN = 0.05  # on the exponent -1/2
STARTS = {"symmetric": "output 0 at start", "subtracted": "f_0 subtracted", "plain": "f_0 kept"}


def run(config: NtkConfig, given: Given, stages: Stages) -> StudyResult:
    """Train networks of every width from the configured start, and from a plain one.

    Raises:
        InputError: for fewer than two widths.
    """
    study = make_study(config, given, stages)
    widths = widths_of(config)
    if len(widths) < 2:
        raise InputError(f"coupling needs 2 widths or more, got {config.network.widths}")
    times = times_with_networks(config)
    kernel = kernel_errors(study, times)
    starts = list(dict.fromkeys([config.network.start, "plain"]))
    apart = np.stack([network_errors(study, times, kernel, start)["coupling"] for start in starts])
    steps = recorded(study, times)
    lost = np.asarray(kernel.diverged)
    apart = np.where(lost[..., None], np.nan, apart)
    few = steps[steps <= max(SHORT * steps[-1], steps[0])]
    gaps, short = (np.max(apart[..., : len(part)], axis=-1) for part in (steps, few))
    laws = [
        {
            (start, name): power_law(
                np.asarray(widths, float),
                np.moveaxis(values[(i, slice(None), *piece.index)], 0, -1),
                quantity=f"distance in m, {STARTS[start]}, {name} horizon, {piece.label}",
            )
            for i, start in enumerate(starts)
            for name, values in (("whole", gaps), ("short", short))
        }
        for piece in slices(study.axes)
    ]
    dims = ("start", "width", *dims_of(study.axes))
    about = "distance of network and kernel descent"
    arrays = {
        "distance": Named(apart, (*dims, "time"), "1", f"{about}, root mean square"),
        "gap": Named(gaps, dims, "1", f"{about}, largest over training"),
    }
    coords = coords_of(study.axes, config, time=steps, width=np.asarray(widths))
    coords["start"] = Named(np.array(starts), ("start",), "1", "initialisation")
    return StudyResult(
        arrays,
        coords,
        tuple(_claims(study, starts, gaps, laws, {"whole": steps[-1], "short": few[-1]})),
        tuple(law for by in laws for law in by.values()),
        _figures(study, starts, laws),
        status_of(~np.isfinite(gaps)),
        {**target_notes(given), **divergence_note(lost)},
    )


def _claims(
    study: Study,
    starts: list[str],
    gaps: np.ndarray,
    laws: list[dict[tuple[str, str], PowerLaw]],
    horizons: dict[str, int],
) -> list[Claim]:
    claims, about = [], counting(study)
    widths = widths_of(study.config)
    for piece, by in zip(slices(study.axes), laws, strict=True):
        instance = f"{named_instance(study, piece)}, m = {widths[0]} to {widths[-1]}"
        for i, start in enumerate(starts):
            # What f_0 leaves is there from the start: one horizon is enough.
            for name, steps in list(horizons.items())[: 1 if start == "plain" else 2]:
                theory = Theory(-0.5, "~", "m^-½", margin=MARGIN) if start != "plain" else None
                law = by[start, name]
                claims.append(
                    about(
                        "ntk/coupling",
                        law,
                        theory,
                        instance=f"{instance}, {steps} steps",
                        what=f"exponent in m of the largest distance, {STARTS[start]}",
                        undecided=unless_holds(
                            law, theory, curved(law, MARGIN, "larger network.widths")
                        ),
                    )
                )
            last = gaps[(i, -1, *piece.index)]
            last = np.where(np.isfinite(last), last, np.inf)
            claims.append(
                about(
                    "ntk/coupling",
                    by[start, "whole"],
                    Theory(0.0, "<=", "the distance falls with m") if start != "plain" else None,
                    instance=f"{instance}, {horizons['whole']} steps",
                    what=f"whether the largest distance falls: exponent in m, {STARTS[start]}",
                )
            )
            claims.append(
                about(
                    "ntk/coupling",
                    median(last),
                    instance=f"{named_instance(study, piece)}, m = {widths[-1]}",
                    what=f"largest distance, {STARTS[start]}",
                )
            )
    return claims


def _figures(
    study: Study, starts: list[str], laws: list[dict[tuple[str, str], PowerLaw]]
) -> tuple[Figure, ...]:
    of = {piece.index: by for piece, by in zip(slices(study.axes), laws, strict=True)}
    caption = "Network and kernel descent, fresh points."
    return small_multiples(
        "coupling",
        slices(study.axes),
        lambda piece: _panels(study, starts, piece, of[piece.index]),
        caption,
    )


def _panels(
    study: Study, starts: list[str], piece: Slice, by: dict[tuple[str, str], PowerLaw]
) -> list[Panel]:
    """Against the width, and over training."""
    lines = tuple(
        Line(
            "gap",
            STARTS[start],
            {**piece.at, "start": start},
            fit=drawn_fit(by[start, "whole"], widths_of(study.config)),
        )
        for start in starts
    )
    widths = Panel(
        "powerlaw",
        "width",
        lines,
        (Drawn("∝ m^-½", exponent=-0.5, line=0),),
        title=titled("Largest distance", piece),
        ylabel="distance, root mean square",
    )
    over_time = Panel(
        "curves",
        "time",
        tuple(
            Line("distance", f"m = {m}", {**piece.at, "start": starts[0], "width": m})
            for m in widths_of(study.config)
        ),
        title=titled(f"Over training, {STARTS[starts[0]]}", piece),
        ylabel="distance, root mean square",
        xscale="log",
        yscale="log",
        ordered=True,
    )
    return [widths, over_time]
