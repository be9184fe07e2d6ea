"""What the theory assumes, measured (`ntk/assumptions`).

The smallest eigenvalue of the Gram matrix and the decay of the others, the noise of the labels, the
Lipschitz constant of f*(t, ·), and the mass outside a ball with what cutting it off costs: over the
diffusion time, over the number of points, and over whatever is swept, T0 above all.
"""

import numpy as np

from fineq.claims import Claim, Measured, Theory
from fineq.figures import Figure, Line, Panel
from fineq.figures import Theory as Drawn
from fineq.rates import PowerLaw, normal_margin, pooled_interval, power_law
from fineq.results import Array as Named
from fineq.results import Arrays, StudyResult, status_of
from fineq.studies.common import Slice, dims_of, drawn_fit, named_arrays, small_multiples, titled
from fineq.studies.ntk.assumption_measures import (
    NUM_DRAWS,
    OverTime,
    diffusion_times,
    levels_of,
    made_exact,
    over_time,
    spectra,
)
from fineq.studies.ntk.claims import claim
from fineq.studies.ntk.common import (
    Study,
    coords_of,
    counting,
    make_study,
    median,
    slices,
    target_notes,
)
from fineq.studies.ntk.config import NtkConfig
from fineq.studies.ntk.instances import Given
from fineq.sweep import Axis
from fineq.sweep.stages import Stages

ABOUT = {
    "smallest": "smallest eigenvalue of K/N",
    "largest": "largest eigenvalue of K/N",
    "trace": "trace of K/N",
    "decay": "exponent b of λ_i ∝ i^-b",
}
OVER_TIME = {
    "noise": "label noise, root mean square per output",
    "signal": "signal f* - E X_0, root mean square per output",
    "lipschitz": "largest slope of f*(t, ·) found",
    "bound": "bound (a/h) diameter²/4",
}
IDENTITY = 0.01  # on the difference of losses over their constant


def run(config: NtkConfig, given: Given, stages: Stages) -> StudyResult:
    """Spectra against N, the target against t."""
    sizes = Axis("data.num", [int(n) for n in config.assumptions.sizes], static=True)
    study = make_study(config, given, stages, sizes)
    spectrum = spectra(study, sizes)
    t = diffusion_times(study)
    found: OverTime = stages.measure(
        "target", lambda member: over_time(study, t, member), study.axes
    )
    values = {name: np.asarray(x) for name, x in found._asdict().items()}
    values = made_exact(study, t, values)
    laws = _laws(study, spectrum)
    arrays, coords = _arrays(study, sizes, t, spectrum, values)
    return StudyResult(
        arrays,
        coords,
        tuple(_claims(study, spectrum, values, laws)),
        tuple(laws),
        _figures(study, laws),
        status=status_of(~np.isfinite(spectrum["largest"])),
        notes=target_notes(given),
    )


def _laws(study: Study, spectrum: dict[str, np.ndarray]) -> list[PowerLaw]:
    """Exponent in N of the smallest eigenvalue, for every slice."""
    sizes = np.asarray(study.config.assumptions.sizes)
    return [
        power_law(
            sizes,
            np.moveaxis(spectrum["smallest"][(slice(None), *piece.index)], 0, -1),
            quantity=f"{ABOUT['smallest']} in N, {piece.label}".removesuffix(", "),
        )
        for piece in slices(study.axes)
    ]


def _claims(
    study: Study,
    spectrum: dict[str, np.ndarray],
    values: dict[str, np.ndarray],
    laws: list[PowerLaw],
) -> list[Claim]:
    claims, about = [], counting(study)
    most = max(study.config.assumptions.sizes)
    for piece, law in zip(slices(study.axes), laws, strict=True):
        at = (-1, *piece.index)
        instance = f"{study.config.target.name}, {piece.label}".removesuffix(", ")
        decay = spectrum["decay"][at]
        eps = np.finfo(study.config.precision).eps
        rounding = float(most * eps * np.max(spectrum["largest"][at]))
        slope = values["lipschitz"][piece.index] / values["bound"][piece.index]
        slope = slope[np.isfinite(slope)]
        smallest = median(spectrum["smallest"][at])
        noise, signal = levels_of(study, piece)
        means, variances = values["identity"][piece.index].T
        claims += [
            about(
                "ntk/assumptions",
                smallest,
                Theory(rounding, ">=", "N eps λ_max: above rounding, K is positive definite"),
                undecided=""
                if not smallest.value < rounding
                else f"it lies below what {study.config.precision} can tell from 0: "
                "precision=float64 or fewer points decide",
                instance=f"{instance}, N = {most:g}",
                what="smallest eigenvalue of K/N",
            ),
            about(
                "ntk/assumptions",
                law,
                instance=instance,
                what="exponent in N of the smallest eigenvalue of K/N",
            ),
            about(
                "ntk/assumptions",
                median(decay),
                instance=f"{instance}, N = {most:g}",
                what="exponent b of the decay λ_i ∝ i^-b of K/N",
            ),
            about(
                "ntk/assumptions",
                median(-decay / (decay + 1)),
                instance=f"{instance}, N = {most:g}",
                what="exponent in N of the risk that the decay predicts, -b/(b + 1)",
            ),
            about(
                "ntk/assumptions",
                Measured.exact(float(slope.max()) if slope.size else np.nan),
                Theory(1.0, "<=", "(a/h) diameter²/4 of the cube"),
                instance=f"{instance}, all t and seeds",
                what="largest slope of f*(t, ·) over its bound",
                sampled=True,
            ),
            *(
                claim(
                    "ntk/assumptions",
                    level,
                    instance=f"{instance}, t {study.config.data.times.replace('_', '-')}",
                    what=f"{name} per output, root mean square over t",
                )
                for name, level in (("label noise", noise), ("signal f* - E X_0", signal))
            ),
            about(
                "ntk/score-identity",
                pooled_interval(means, normal_margin(np.sqrt(variances))),
                Theory(0.0, "~", "E w|f - X_0|² - E w|f - f*|² = E w|X_0 - f*|²", margin=IDENTITY),
                instance=f"{instance}, f(t, x) = a x, {study.config.data.weight} weight, interval "
                f"of the mean over {NUM_DRAWS} draws of each of {means.size} seeds",
                what="difference of the two losses over the constant, less 1",
            ),
        ]
    return claims


def _arrays(
    study: Study,
    sizes: Axis,
    t: np.ndarray,
    spectrum: dict[str, np.ndarray],
    values: dict[str, np.ndarray],
) -> tuple[Arrays, Arrays]:
    config, axes = study.config, [sizes, *study.axes]
    arrays = named_arrays(spectrum, dims_of(axes), ABOUT)
    arrays["eigenvalue"] = Named(
        spectrum["values"], (*dims_of(axes), "rank"), "1", "eigenvalue of K/N"
    )
    arrays |= named_arrays(values, dims_of(study.axes), OVER_TIME, last=("t",))
    dims = (*dims_of(study.axes), "radius", "t")
    arrays["outside"] = Named(values["outside"], dims, "1", "P(|X_t| > R)")
    arrays["cost"] = Named(values["cost"], dims, "1", "share of E|f*|² that cutting at R loses")
    more = {
        "rank": np.arange(1, spectrum["values"].shape[-1] + 1),
        "radius": np.array(config.assumptions.radii),
    }
    return arrays, coords_of(axes, config, t=t, **more)


def _figures(study: Study, laws: list[PowerLaw]) -> tuple[Figure, ...]:
    pieces = slices(study.axes)
    most = int(max(study.config.assumptions.sizes))
    # T0 only cuts the curves over time.
    over_time = [p for p in pieces if p.at.get("T0") == pieces[0].at.get("T0")]
    spectrum = Panel(
        "powerlaw",
        "rank",
        tuple(Line("eigenvalue", p.label, {**p.at, "num": most}) for p in pieces),
        title=f"Spectrum, N = {most}",
    )
    smallest = Panel(
        "powerlaw",
        "num",
        tuple(
            Line("smallest", p.label, p.at, fit=drawn_fit(law, study.config.assumptions.sizes))
            for p, law in zip(pieces, laws, strict=True)
        ),
        title="Conditioning",
    )
    return (
        Figure("spectrum", (spectrum, smallest), "Eigenvalues of the Gram matrix K/N."),
        *small_multiples(
            "target",
            over_time,
            lambda piece: [*_over_time(piece), _outside(study, piece)],
            "The target over time; T0 only cuts these curves.",
        ),
    )


def _over_time(piece: Slice) -> list[Panel]:
    levels = Panel(
        "curves",
        "t",
        (Line("noise", "label noise", piece.at), Line("signal", "signal f* - E X_0", piece.at)),
        title=titled("Labels", piece),
        xscale="log",
        ylabel="root mean square",
    )
    slopes = Panel(
        "curves",
        "t",
        (Line("lipschitz", "found", piece.at),),
        (Drawn("bound", variable="bound", line=0, at=piece.at),),
        title=titled("Slope of f*(t, ·)", piece),
        xscale="log",
        yscale="log",
    )
    return [levels, slopes]


def _outside(study: Study, piece: Slice) -> Panel:
    lines = tuple(
        Line("outside", f"R = {radius:g}", {**piece.at, "radius": radius})
        for radius in study.config.assumptions.radii
    )
    return Panel(
        "curves", "t", lines, title=titled("Mass outside", piece), xscale="log", ordered=True
    )
