"""What the theory assumes, measured (`ntk/assumptions`).

The smallest eigenvalue of the Gram matrix and the decay of the others, the noise of the labels, the
Lipschitz constant of f*(t, ·), and the mass outside a ball with what cutting it off costs: over the
diffusion time, over the number of points, and over whatever is swept, T0 above all.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fineq import figures
from fineq.claims import Theory
from fineq.rates import normal_margin, pooled_interval
from fineq.studies import statistics
from fineq.studies.common import Slice, listed
from fineq.studies.ntk import assumption_measures, common
from fineq.studies.ntk.config import NtkConfig
from fineq.studies.ntk.generalisation import predicted
from fineq.studies.recipe import Draw, Found, Quantity, Recipe, Row, View, drawn
from fineq.sweep import Axis
from fineq.sweep.stages import Stages

IDENTITY = 0.01  # on the difference of losses over their constant
ID = "ntk/assumptions"
SHOWN = (ID,)  # the losses' difference is a number, and in no figure
SMALLEST = "smallest eigenvalue of K/N"
SLOPE = statistics.Exponent("smallest", "num", words=f"{SMALLEST} in N")
QUANTITIES = (
    Quantity("smallest", SMALLEST),
    Quantity("largest", "largest eigenvalue of K/N"),
    Quantity("trace", "trace of K/N"),
    Quantity("decay", "exponent b of λ_i ∝ i^-b"),
    Quantity("eigenvalue", "eigenvalue of K/N", ("rank",)),
    Quantity("noise", "label noise, root mean square per output", ("t",), ()),
    Quantity("signal", "signal f* - E X_0, root mean square per output", ("t",), ()),
    Quantity("lipschitz", "largest slope of f*(t, ·) found", ("t",), ()),
    Quantity("bound", "bound (a/h) diameter²/4", ("t",), ()),
    Quantity("outside", "P(|X_t| > R)", ("radius", "t"), ()),
    Quantity("cost", "share of E|f*|² that cutting at R loses", ("radius", "t"), ()),
    Quantity("identity", "mean and variance of the losses' difference", ("moment",), ()),
)


def bind(config: NtkConfig, given: Any, stages: Stages) -> common.Study:
    """A study along N.

    Raises:
        InputError: as `make_study`.
    """
    sizes = [int(n) for n in config.assumptions.sizes]
    return common.make_study(config, given, stages, Axis("data.num", sizes, static=True))


def measure(study: common.Study) -> Found:
    """Spectra against N, the target against t."""
    spectrum, t = (
        assumption_measures.spectra(study, study.own[0]),
        assumption_measures.diffusion_times(study),
    )
    found = study.stages.measure(
        "target", lambda member: assumption_measures.over_time(study, t, member), study.axes
    )
    values = {name: np.asarray(x) for name, x in found._asdict().items()}
    eigenvalues = spectrum.pop("values")
    return Found(
        {**spectrum, "eigenvalue": eigenvalues, **assumption_measures.made_exact(study, t, values)},
        study.own,
        {
            "t": t,
            "rank": np.arange(1, eigenvalues.shape[-1] + 1),
            "radius": np.array(study.config.assumptions.radii),
        },
        ~np.isfinite(spectrum["largest"]),
        common.target_notes(study.given),
        more={
            piece.index: assumption_measures.levels_of(study, piece)
            for piece in common.slices(study.axes)
        },
    )


def _rounding(view: View) -> float:
    eps = np.finfo(view.study.config.precision).eps
    return float(view.values_of("num")[-1] * eps * np.max(view("largest")[-1]))


def _above_rounding(view: View) -> Theory:
    return Theory(_rounding(view), ">=", "N eps λ_max: above rounding, K is positive definite")


def _cannot_tell(view: View, got: statistics.Got) -> str:
    if not got.measured.value < _rounding(view):  # type: ignore[operator]
        return ""
    return (
        f"it lies below what {view.study.config.precision} can tell from 0: "
        "precision=float64 or fewer points decide"
    )


def _steepest(view: View) -> float:
    with np.errstate(invalid="ignore"):  # 0 by 0 where α rounds to 0
        slope = view("lipschitz") / view("bound")
    return np.nanmax(slope) if np.isfinite(slope).any() else np.nan


def _level(name: str) -> Callable[[View], statistics.Got]:
    return lambda view: statistics.Got(getattr(view.found.more[view.piece.index], name), said="")


def _difference(view: View) -> statistics.Got:
    means, variances = view("identity").T
    found = pooled_interval(means, normal_margin(np.sqrt(variances)))
    return statistics.Got(found, found.num_values)


def _drawn_words(view: View) -> str:
    return (
        f"f(t, x) = a x, {view.study.config.data.weight} weight, interval of the mean over "
        f"{assumption_measures.NUM_DRAWS} draws of each of {len(view('identity'))} seeds"
    )


def _instance(study: common.Study, piece: Slice) -> str:
    return listed(study.config.target.name, piece.label)


def _spectrum(views: Sequence[View]) -> list[figures.Figure]:
    most = int(views[0].values_of("num")[-1])
    eigenvalues = figures.Panel(
        "powerlaw",
        "rank",
        tuple(view.line("eigenvalue", view.piece.label, num=most) for view in views),
        title=f"Spectrum, N = {most}",
        ylabel="eigenvalue of $K/N$",
    )
    smallest = figures.Panel(
        "powerlaw",
        "num",
        tuple(view.line("smallest", view.piece.label, fit=SLOPE) for view in views),
        title="Conditioning",
        ylabel="smallest eigenvalue of $K/N$",
    )
    panels = (eigenvalues, smallest)
    return [figures.Figure("spectrum", panels, "Eigenvalues of the Gram matrix K/N.", claims=SHOWN)]


def _target(views: Sequence[View]) -> tuple[figures.Figure, ...]:
    # T0 only cuts the curves over time.
    first = views[0].piece.at.get("T0")
    caption = "The target over time; T0 only cuts these curves."
    return drawn(
        Draw("target", _over_time, caption, claims=SHOWN),
        [v for v in views if v.piece.at.get("T0") == first],
    )


def _over_time(view: View) -> list[figures.Panel]:
    radii = view.values_of("radius").tolist()
    return [
        view.panel(
            "curves",
            "t",
            {"noise": "label noise", "signal": r"signal $f^* - \mathrm{E}X_0$"},
            title="Labels",
            log="x",
            ylabel="root mean square",
        ),
        view.panel(
            "curves",
            "t",
            {"lipschitz": "found"},
            view.theory("bound", "bound", line=0),
            title=r"Slope of $f^*(t, \cdot)$",
            log="xy",
            ylabel="largest slope",
        ),
        view.panel(
            "curves",
            "t",
            [view.line("outside", f"R = {radius:g}", radius=radius) for radius in radii],
            title="Mass outside a ball",
            log="x",
            ylabel="$P(|X_t| > R)$",
            ordered=True,
        ),
    ]


run = Recipe(
    bind=bind,
    measure=measure,
    names=common.NAMES,
    words=_instance,
    quantities=QUANTITIES,
    claims=(
        Row(
            *(ID, SMALLEST, statistics.Median(lambda view: view("smallest")[-1]), _above_rounding),
            where=common.largest_in_words,
            undecided=_cannot_tell,
        ),
        Row(ID, f"exponent in N of the {SMALLEST}", SLOPE),
        Row(
            *(ID, "exponent b of the decay λ_i ∝ i^-b of K/N"),
            statistics.Median(lambda view: view("decay")[-1]),
            where=common.largest_in_words,
        ),
        Row(
            *(ID, "exponent in N of the risk that the decay predicts, -b/(b + 1)"),
            statistics.Median(predicted),
            where=common.largest_in_words,
        ),
        Row(
            *(ID, "largest slope of f*(t, ·) over its bound", statistics.Exact(_steepest, said="")),
            Theory(1.0, "<=", "(a/h) diameter²/4 of the cube"),
            where="all t and seeds",
            sampled=True,
        ),
        *(
            Row(
                *(ID, f"{text} per output, root mean square over t", _level(name)),
                where=lambda view: f"t {view.study.config.data.times.replace('_', '-')}",
            )
            for name, text in (("noise", "label noise"), ("signal", "signal f* - E X_0"))
        ),
        Row(
            "ntk/score-identity",
            "difference of the two losses over the constant, less 1",
            _difference,
            Theory(0.0, "~", "E w|f - X_0|² - E w|f - f*|² = E w|X_0 - f*|²", margin=IDENTITY),
            where=_drawn_words,
        ),
    ),
    figures=(_spectrum, _target),
)
