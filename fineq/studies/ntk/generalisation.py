"""Error at the stopping time against the number of data (`ntk/generalisation`)."""

import numpy as np

from fineq.claims import Claim, Theory
from fineq.figures import Figure, Line, Panel
from fineq.figures import Theory as Drawn
from fineq.ntk.rules import RULES, Rules
from fineq.rates import PowerLaw, power_law
from fineq.results import StudyResult, status_of
from fineq.studies.common import Slice, drawn_fit, small_multiples, titled
from fineq.studies.ntk.common import (
    Study,
    counting,
    divergence_note,
    make_study,
    median,
    named_instance,
    over,
    slices,
    target_notes,
    times_of,
    with_losses,
)
from fineq.studies.ntk.config import NtkConfig
from fineq.studies.ntk.early_stopping import (
    OVER_TIME,
    arrays_of,
    clipped_note,
    ending_note,
    stops,
)
from fineq.studies.ntk.instances import Given
from fineq.sweep import Axis
from fineq.sweep.stages import Stages

DRAWN = ("oracle", "gcv", "unit")  # lines of four rules with slopes would hide each other


def run(config: NtkConfig, given: Given, stages: Stages) -> StudyResult:
    """Stop by every rule at every N; fit exponents."""
    sizes = Axis("data.num", [int(n) for n in config.generalisation.sizes], static=True)
    study = make_study(config, given, stages, sizes)
    times = times_of(config)

    axes = [sizes, *study.axes]
    found: Rules = stages.measure("rules", stops(study, times), axes)
    values = {name: np.asarray(x) for name, x in found._asdict().items()}
    values = with_losses(values, "risk")
    # A member that diverged at any N is left out at all.
    lost = np.any(values["diverged"], axis=0)
    values["stopped"] = np.where(lost[None, ..., None], np.nan, values["stopped"])
    laws = _laws(study, values)
    return StudyResult(
        *arrays_of(study, axes, times, values, {"risk": OVER_TIME["risk"]}),
        tuple(_claims(study, values, laws)),
        tuple(law for by in laws for law in by.values()),
        _figures(study, values, laws),
        status=status_of(values["diverged"]),
        notes={
            **target_notes(given),
            **divergence_note(values["diverged"]),
            **clipped_note(values),
            **ending_note(times, values["risk"], values["diverged"]),
        },
    )


def _laws(study: Study, values: dict[str, np.ndarray]) -> list[dict[str, PowerLaw]]:
    """Exponent in N of the risk at each rule's stopping time, for every slice."""
    sizes = np.asarray(study.config.generalisation.sizes, float)
    return [
        {
            name: power_law(
                sizes,
                np.moveaxis(values["stopped"][(slice(None), *piece.index)][..., i], 0, -1),
                quantity=f"risk, {text}, {piece.label}".removesuffix(", "),
            )
            for i, (name, text) in enumerate(RULES.items())
        }
        for piece in slices(study.axes)
    ]


def _claims(
    study: Study, values: dict[str, np.ndarray], laws: list[dict[str, PowerLaw]]
) -> list[Claim]:
    claims, about = [], counting(study)
    sizes = study.config.generalisation.sizes
    oracle = list(RULES).index("oracle")
    for piece, by in zip(slices(study.axes), laws, strict=True):
        instance = named_instance(study, piece, f"N = {sizes[0]:g} to {sizes[-1]:g}")
        good = ~np.any(values["diverged"][(slice(None), *piece.index)], axis=0)
        if not good.any():
            continue
        decay = values["decay"][(-1, *piece.index)]
        decay = decay[good & np.isfinite(decay)]
        for name, text in RULES.items():
            # The score's own oracle stops for another loss.
            if name == "score":
                continue
            claims.append(
                about(
                    "ntk/generalisation",
                    by[name],
                    Theory(0.0, "<=", "the risk falls with N"),
                    instance=instance,
                    what=f"exponent in N of the risk E w|f - f*|², {text}",
                )
            )
        claims.append(
            about(
                "ntk/generalisation",
                median(-decay / (decay + 1)),
                instance=f"{instance}; b at N = {sizes[-1]:g}",
                what="exponent in N that the eigenvalues' decay predicts, -b/(b + 1)",
            )
        )
        for i, (name, text) in enumerate(RULES.items()):
            if name in ("oracle", "score"):
                continue
            for place, N in ((0, sizes[0]), (-1, sizes[-1])):
                stopped = values["stopped"][(place, *piece.index)][good]
                claims.append(
                    about(
                        "ntk/early-stopping",
                        median(over(stopped[:, i], stopped[:, oracle])),
                        instance=named_instance(study, piece, f"N = {N:g}"),
                        what=f"{text}: risk over the oracle's",
                    )
                )
    return claims


def _figures(
    study: Study, values: dict[str, np.ndarray], laws: list[dict[str, PowerLaw]]
) -> tuple[Figure, ...]:
    of = {piece.index: by for piece, by in zip(slices(study.axes), laws, strict=True)}
    return small_multiples(
        "generalisation",
        slices(study.axes),
        lambda piece: _panels(study, values, piece, of[piece.index]),
        "Kernel descent on noisy labels, stopped.",
    )


def _panels(
    study: Study, values: dict[str, np.ndarray], piece: Slice, by: dict[str, PowerLaw]
) -> list[Panel]:
    decay = float(np.median(values["decay"][(-1, *piece.index)]))
    lines = tuple(
        Line(
            "stopped",
            RULES[name],
            {**piece.at, "rule": name},
            fit=drawn_fit(by[name], study.config.generalisation.sizes),
        )
        for name in DRAWN
    )
    predicted = Drawn("∝ N^(-b/(b+1))", exponent=-decay / (decay + 1), line=0)
    title = titled("Risk at the stopping time", piece)
    risk = Panel("powerlaw", "num", lines, (predicted,), title=title, ylabel="E w|f - f*|²")
    stops = tuple(Line("stopping_time", RULES[name], {**piece.at, "rule": name}) for name in DRAWN)
    when = Panel(
        "curves",
        "num",
        stops,
        title=titled("Stopping time", piece),
        xscale="log",
        yscale="log",
        ylabel="steps τ",
    )
    return [risk, when]
