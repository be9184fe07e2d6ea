"""Figures of sample complexity: biases of the gradient, its noise, and the floors it sets."""

from collections.abc import Iterable, Sequence

import numpy as np

from fineq import figures
from fineq.rates import PowerLaw
from fineq.studies.nlqr import scans
from fineq.studies.recipe import Draw, View


def _grid(view: View) -> scans.Grid:
    return view.found.more.grid


def _at(view: View, dim: str) -> str:
    """What is held fixed in a scan along `dim`."""
    grid = _grid(view)
    if dim == "smoothing":
        return f"$J = {grid.num_rollouts}$"
    return ", ".join(
        f"$r = {grid.fixed_radius(name):g}$ ({scans.NAMES[name]})" for name in scans.NAMES
    )


def _biases(views: Sequence[View]) -> Iterable[figures.Figure]:
    """Error of the gradient against T, and ρ^(2T); bias against r, and r²."""
    truncation = figures.Panel(
        "convergence",
        "length",
        tuple(view.line("gradient_truncated", view.piece.label) for view in views),
        tuple(
            figures.Theory(
                r"$\rho^{2T}$, median $\rho$" if i == 0 else "",
                ratio=float(np.median(view("spectral_radius")) ** 2),
                line=i,
            )
            for i, view in enumerate(views)
        ),
        title="Truncation",
    )
    lines = tuple(
        view.line("smoothed", view.piece.label, fit=_Law("smoothing", _grid(view).radii))
        for view in views
    )
    square = (figures.Theory("$r^2$, slope only", exponent=2.0, line=0),)
    smoothing = figures.Panel("powerlaw", "smoothing", lines, square, title="Smoothing bias")
    caption = r"Bias of the gradient near $K_\mathrm{lin}$."
    yield figures.Figure("gradient_bias", (truncation, smoothing), caption)


class _Law:
    """A fitted line over the values it was fitted on."""

    def __init__(self, name: str, x: Sequence[float]):
        self.name, self.x = name, x

    def drawn(self, view: View) -> figures.Fit | None:
        """The line; None where there is none, or where it goes through two points only."""
        law = scans.fits_of(view).get(self.name)
        if not isinstance(law, PowerLaw):
            return None
        used = np.asarray(self.x, float)[law.points_used > 0]
        if used.size < 3 or not np.isfinite(law.slope):
            return None
        return figures.Fit(law.slope, law.low, law.high, float(used[0]), float(used[-1]))


def _scanned(view: View, what: str, dim: str) -> figures.Panel:
    """Noise or floor of both estimators against r or J, with what theory expects."""
    grid = _grid(view)
    key, x = ("radius", grid.radii) if dim == "smoothing" else ("count", grid.counts)

    def fit(name: str) -> _Law | None:
        # The lowest line of this panel has no room for a second line of text.
        hidden = (what, name, dim) == ("noise", "two_point", "rollouts")
        return None if hidden else _Law(f"{what}_{name}_{key}", x)

    lines = (
        view.line(f"{what}_{name}_{dim}", text, fit=fit(name)) for name, text in scans.NAMES.items()
    )
    if what == "floor":
        drawn = [
            view.theory(rf"$\eta\sigma^2/4$, {text}", f"expected_{name}_{dim}", line=i)
            for i, (name, text) in enumerate(scans.NAMES.items())
        ]
    else:
        label, exponent = ("$1/r$", -1.0) if dim == "smoothing" else (r"$1/\sqrt{J}$", -0.5)
        drawn = [figures.Theory(f"{label}, slope only", exponent=exponent, line=0)]
    title = f"{what.capitalize()}, {_at(view, dim)}"
    return view.panel("powerlaw", dim, lines, *drawn, title=title)


def _floors(view: View) -> list[figures.Panel]:
    """The floors, and the gap against iteration of the descents whose floor is measured."""
    lines = {f"gap_{name}": text for name, text in scans.NAMES.items()}
    title = f"Descents from $K^*$, {_at(view, 'smoothing')}"
    return [
        _scanned(view, "floor", "rollouts"),
        _scanned(view, "floor", "smoothing"),
        view.panel("convergence", "iteration", lines, title=title),
    ]


FIGURES = (
    _biases,
    Draw(
        "gradient_noise",
        lambda view: [_scanned(view, "noise", dim) for dim in ("smoothing", "rollouts")],
        r"Noise of gradient estimates near $K_\mathrm{lin}$.",
    ),
    Draw("final_accuracy", _floors, "What noise costs: descents that start at $K^*$."),
)
