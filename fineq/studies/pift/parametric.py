"""Parametrised controls: which class reaches what, and how fast (`pift/parametric`).

Whole-trajectory PI-FT by regression on simulated value gradients, with polynomials, random Fourier
features, radial functions and a network, against the exact optimum: of Gaussian data by the
Riccati recursion, of data on a line by quadrature. Linear classes are compared with their own best
member, the projection of the exact costate under the optimal law; the network with stochastic
gradient ascent on J from the same number of paths. What each control may still gain is bounded
without knowing the optimum (`pift/certificate`).
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from fineq import claims, figures
from fineq.pift.certificates import ENOUGH, Gap
from fineq.rates import pooled_interval
from fineq.results import status_of
from fineq.studies import statistics
from fineq.studies.pift import common, parametric_fits
from fineq.studies.pift.config import PiftConfig
from fineq.studies.pift.instances import Given
from fineq.studies.pift.parametric_fits import networks
from fineq.studies.recipe import Draw, Found, Quantity, Recipe, Row, View
from fineq.sweep import Axis, Table
from fineq.sweep.stages import Stages

NEAR = 2.0  # a class is reached when the error is at most so many times its best
ROUNDING = 1e-12  # of relative errors, below which nothing is compared
ERROR = "relative control error"
ENDS = {"value": "bound on what is left to gain", "low": "its lower end", "high": "upper end"}
QUANTITIES = (
    Quantity("error", ERROR, ("sweep",), ("class",)),
    Quantity("best", "relative error of the best of the class", (), ("class",)),
    Quantity("network_error", ERROR, ("network_sweep",), ("network",)),
    *(Quantity(f"gap_{end}", text, (), ("policy",)) for end, text in ENDS.items()),
    Quantity("floor", ERROR, (), ("target", "num_paths")),
)
FLOOR = statistics.Exponent(
    "floor",
    "num_paths",
    0.15,
    "larger parametric.batches",
    words="error of affine controls in N, raw targets",
)


def bind(config: PiftConfig, given: Given, stages: Stages) -> common.Study:
    """Paths and networks are drawn by seed, whatever the problem is."""
    return common.make_study(config, given, stages, random=True)


def measure(study: common.Study) -> Found:
    """Fit every class, and measure the statistical error of affine controls.

    Raises:
        InputError: for a problem without an exact reference here.
    """
    p, stages, exact = study.config.parametric, study.stages, parametric_fits.exact_costate(study)
    facing = stages.measure(
        "reference", partial(parametric_fits.facing_of, study, exact), study.axes
    )
    classes = Axis("class", p.classes, static=True)
    target: Any = p.target
    swept = stages.sweep(
        "classes",
        lambda static: parametric_fits.linear_fit(study, static["class"], p.num_paths, target),
        [classes, *study.axes],
        inputs={"facing": Table(study.axes, facing)},
    )
    trained = networks(study, facing)
    bounds = parametric_fits.certificates(study, facing, swept, trained)
    kinds = Axis("network", list(trained), static=True)
    axes = [classes, kinds, Axis("policy", list(bounds), static=True)]
    values = {
        "error": swept.metrics["error"],
        "best": swept.metrics["in_class"][..., 0],
        "network_error": np.stack([found.metrics["error"] for found in trained.values()]),
        **{f"gap_{end}": np.stack([getattr(b, end) for b in bounds.values()]) for end in ENDS},
    }
    if exact is None:
        axes += [Axis("target", parametric_fits.TARGETS, static=True), Axis("num_paths", p.batches)]
        values["floor"] = parametric_fits.floors(study, facing)
    diverged = [swept.diverged, *(found.diverged for found in trained.values())]
    sweeps = next(iter(trained.values())).iterations
    said = "E Σ_t |σ_t⁻¹(m_t - m*_t)|² on paths of the optimum, over that of m = m0"
    return Found(
        values,
        axes,
        {"sweep": swept.iterations, "network_sweep": sweeps},
        notes={"error": said},
        status=status_of(np.concatenate([x.ravel() for x in diverged])),
        more=bounds,
    )


def _data(view: View) -> str:
    config = view.study.config
    return f"{config.data.name} data, β = {config.beta:g}, T = {config.schedule.num_steps}"


def _of_class(view: View) -> str:
    return f"{view.at['class']}, {_data(view)}, N = {view.study.config.parametric.num_paths}"


def _of_network(view: View) -> str:
    p = view.study.config.parametric
    layers = f"{p.depth} layers of {p.width}"
    return f"{view.at['network']}, {layers}, {_data(view)}, {p.network_sweeps} sweeps"


def _holds_optimum(view: View) -> bool:
    return bool(np.median(view("best")) < ROUNDING)


def _has_floors(view: View) -> bool:
    return "floor" in view.found.values and len(view.study.config.parametric.batches) > 1


def _certified(views: Sequence[View]) -> list[claims.Claim]:
    return [
        certified(name, bound, _data(view))
        for view in views
        for name, bound in view.found.more.items()
    ]


def certified(name: str, bound: Gap, data: str) -> claims.Claim:
    """β log E e^{r/β} less J of a control, a mean over the seeds' problems.

    The interval is that of the simulation; the problems are what they are.
    """
    value, high = np.asarray(bound.value), np.asarray(bound.high)
    kept = np.isfinite(value) & np.isfinite(high)
    effective = float(np.min(np.asarray(bound.effective)[kept], initial=np.inf))
    return claims.claim(
        "pift/certificate",
        pooled_interval(value[kept], (high - value)[kept]),
        claims.Theory(0.0, ">=", "β log E e^{r/β} - J(u) >= 0") if effective >= ENOUGH else None,
        instance=f"{name}, {data}, mean of {int(kept.sum())} of {kept.size} seeds, 95% of the "
        f"simulation, {effective:.0f} effective paths or more",
        what="what the fitted control may still gain at most, β log E e^{r/β} - J(u)",
        decides="more of parametric.certificate_paths narrow it",
    )


def _panels(view: View) -> list[figures.Panel]:
    """Errors along the sweeps, and the statistical error."""
    p, classes = view.study.config.parametric, view.values_of("class").tolist()
    best = [float(np.median(view.chosen(**{"class": name})("best"))) for name in classes]
    levels = tuple(
        figures.Theory("best of the class" if i == 0 else "", level=level, line=i)
        for i, level in enumerate(best)
        if level > ROUNDING
    )
    lines = tuple(view.line("error", name, **{"class": name}) for name in classes)
    names = view.values_of("network").tolist()
    networks = tuple(view.line("network_error", name, network=name) for name in names)
    title = f"Network, {p.depth} layers of {p.width}"
    panels = [
        figures.Panel(
            "convergence", "sweep", lines, levels, title="Linear features", xlabel="sweep"
        ),
        figures.Panel("convergence", "network_sweep", networks, title=title, xlabel="sweep"),
    ]
    if _has_floors(view):
        drawn = (view.line("floor", "raw", fit=FLOOR, target="raw"),)
        theory = (figures.Theory("slope of 1/N", exponent=-1.0, line=0),)
        title = "Affine controls after the last sweep"
        panels.append(
            figures.Panel("powerlaw", "num_paths", drawn, theory, title=title, xlabel="paths N")
        )
    return panels


run = Recipe(
    bind=bind,
    measure=measure,
    names=common.NAMES,
    quantities=QUANTITIES,
    claims=(
        Row(
            "pift/parametric",
            "relative control error after the last sweep; the class holds the optimum",
            statistics.Last("error"),
            each=("class",),
            where=_of_class,
            when=_holds_optimum,
        ),
        Row(
            "pift/parametric",
            "control error after the last sweep, over that of the best of the class",
            statistics.Last("error", over="best", longer="more of parametric.num_sweeps"),
            claims.Theory(NEAR, "<=", "the best of the class, times 2"),
            each=("class",),
            where=_of_class,
            when=lambda view: not _holds_optimum(view),
        ),
        Row(
            "pift/parametric",
            "relative control error of a network after training",
            statistics.Last("network_error"),
            each=("network",),
            where=_of_network,
        ),
        _certified,
        Row(
            "pift/parametric",
            "exponent in N of the squared error with raw targets",
            lambda view: FLOOR(view.chosen(target="raw")),
            claims.Theory(-1.0, "~", "variance of a mean of N", margin=FLOOR.margin),
            where=lambda view: f"affine, {_data(view)}",
            when=_has_floors,
            undecided=lambda view, got: "",
        ),
    ),
    figures=(
        Draw(
            "parametric",
            _panels,
            "Control error of parametrised PI-FT against the exact optimum, over that of the "
            "pre-trained policy.",
            claims=("pift/parametric",),
        ),
    ),
)
