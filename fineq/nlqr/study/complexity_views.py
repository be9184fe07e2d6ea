"""Arrays and figures of sample_complexity."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fineq.figures import Figure, Fit, Line, Panel
from fineq.figures import Theory as Drawn
from fineq.nlqr.config import NlqrConfig
from fineq.nlqr.study.arrays import Slice, coords_of, dims_of
from fineq.nlqr.study.noise import Case
from fineq.nlqr.study.scans import NAMES, Found
from fineq.rates import PowerLaw
from fineq.results import Array as Named
from fineq.results import Arrays
from fineq.sweep import Axis

OVER = {
    "noise": "noise of the gradient / |∇C|",
    "floor": "floor of (C − C*)/C*",
    "expected": "floor expected, η σ²/(4 C*)",
}


def coords(found: Found, axes: Sequence[Axis], config: NlqrConfig) -> Arrays:
    """The coordinates: swept values and seeds, lengths T, radii r, rollouts J, iterations."""

    def one(name: str, values: Any, long_name: str) -> dict[str, Named]:
        return {name: Named(np.asarray(values), (name,), "1", long_name)}

    lengths = np.arange(1, found.probe.cost_truncated.shape[-1])
    return {
        **coords_of(axes, config),
        **one("length", lengths, "rollout length T"),
        **one("smoothing", found.grid.radii, "smoothing radius r"),
        **one("rollouts", found.grid.counts, "rollouts per estimate J"),
        **one("iteration", found.noise["one_point"].iterations, "iteration"),
    }


def arrays_of(found: Found, axes: Sequence[Axis]) -> Arrays:
    """Everything measured; what was not run or diverged is NaN."""
    dims, seen = dims_of(axes), found.probe

    def last(values: Any, dim: str, text: str) -> Named:
        return Named(values, (*dims, dim), "1", text)

    # What is below the rounding unit is rounding.
    cost, gradient = (
        np.maximum(values[..., :-1], np.finfo(np.asarray(values).dtype).eps)
        for values in (seen.cost_truncated, seen.gradient_truncated)
    )
    arrays = {
        "cost_truncated": last(cost, "length", "(C − C_T)/C"),
        "gradient_truncated": last(gradient, "length", "|∇C − ∇C_T| / |∇C|"),
        "smoothed": last(seen.smoothed, "smoothing", "|∇C_r − ∇C| / |∇C|"),
        "gradient_size": Named(seen.size, dims, "1", "size of the gradient |∇C|"),
        "spectral_radius": Named(seen.radius, dims, "1", "spectral radius of the closed loop"),
    }
    for name in NAMES:
        for dim, scan in (
            ("smoothing", found.over_radius[name]),
            ("rollouts", found.over_count[name]),
        ):
            for what, text in OVER.items():
                values = getattr(scan, what)
                arrays[f"{what}_{name}_{dim}"] = Named(values, (dim, *dims), "1", text)
        place = found.grid.cases(name).index(_reference(found, name))
        gap = found.noise[name].gap[place]
        arrays[f"gap_{name}"] = last(gap, "iteration", "relative suboptimality (C − C*)/C*")
        diverged = found.noise[name].diverged[place]
        arrays[f"diverged_{name}"] = Named(diverged, dims, "1", "descent diverged")
    return arrays


def _reference(found: Found, name: str) -> Case:
    """The descent shown against the iteration."""
    return Case(True, found.grid.num_rollouts, found.grid.fixed_radius(name))


def figures(
    found: Found, pieces: list[Slice], fits: Mapping[Any, Mapping[str, Any]]
) -> tuple[Figure, ...]:
    """Biases of the gradient, its noise, floors of descents."""
    views = _Views(found, pieces, fits)
    grid = found.grid
    one, two = (grid.fixed_radius(name) for name in NAMES)
    return (
        Figure(
            "gradient_bias",
            (views.truncation(), views.smoothing()),
            "Bias of the gradient near K_lin.",
        ),
        Figure(
            "gradient_noise",
            (
                views.scanned("noise", "smoothing", "radius", f"Noise, J = {grid.num_rollouts}"),
                views.scanned("noise", "rollouts", "count", f"Noise, r = {one:g} and r = {two:g}"),
            ),
            "Noise of gradient estimates near K_lin.",
        ),
        Figure(
            "final_accuracy",
            (
                views.scanned("floor", "rollouts", "count", f"Floor, r = {one:g} and r = {two:g}"),
                views.scanned("floor", "smoothing", "radius", f"Floor, J = {grid.num_rollouts}"),
                views.descents(),
            ),
            "What noise costs: descents that start at K*.",
        ),
    )


class _Views:
    """Panels, one line per combination of swept values (and estimator)."""

    def __init__(
        self, found: Found, pieces: list[Slice], fits: Mapping[Any, Mapping[str, Any]]
    ) -> None:
        self.found, self.pieces, self.fits = found, pieces, fits

    def truncation(self) -> Panel:
        """Error of the gradient against T, and ρ^(2T)."""
        lines, drawn = [], []
        for i, piece in enumerate(self.pieces):
            lines.append(Line("gradient_truncated", piece.label, piece.at))
            ratio = float(np.median(self.found.probe.radius[piece.index]) ** 2)
            drawn.append(Drawn("ρ^(2T), median ρ" if i == 0 else "", ratio=ratio, line=i))
        return Panel("convergence", "length", tuple(lines), tuple(drawn), title="Truncation")

    def smoothing(self) -> Panel:
        """Bias against r, and r²."""
        radii = self.found.grid.radii
        lines = [
            Line("smoothed", p.label, p.at, fit=_fit(self.fits[p.index]["smoothing"], radii))
            for p in self.pieces
        ]
        drawn = (Drawn("r²", exponent=2.0, line=0),)
        return Panel("powerlaw", "smoothing", tuple(lines), drawn, title="Smoothing bias")

    def scanned(self, what: str, dim: str, key: str, title: str) -> Panel:
        """Noise or floor of both estimators against r or J."""
        grid = self.found.grid
        x = grid.radii if dim == "smoothing" else grid.counts
        lines = [
            Line(
                f"{what}_{name}_{dim}",
                ", ".join(filter(None, [text, piece.label])),
                piece.at,
                fit=_fit(self.fits[piece.index].get(f"{what}_{name}_{key}"), x),
            )
            for name, text in NAMES.items()
            for piece in self.pieces
        ]
        exponent = -1.0 if dim == "smoothing" else -0.5
        drawn = (Drawn("1/r" if dim == "smoothing" else "1/√J", exponent=exponent, line=0),)
        if what == "floor":
            drawn = tuple(
                Drawn(
                    "ησ²/4" if i == 0 else "",
                    variable=f"expected_{name}_{dim}",
                    line=i * len(self.pieces) + j,
                    at=piece.at,
                )
                for i, name in enumerate(NAMES)
                for j, piece in enumerate(self.pieces)
            )
        return Panel("powerlaw", dim, tuple(lines), drawn, title=title)

    def descents(self) -> Panel:
        """Gap against iteration of the descents whose floor is measured."""
        lines = tuple(
            Line(f"gap_{name}", ", ".join(filter(None, [text, piece.label])), piece.at)
            for name, text in NAMES.items()
            for piece in self.pieces
        )
        title = f"Descents from K*, J = {self.found.grid.num_rollouts}"
        return Panel("convergence", "iteration", lines, title=title)


def _fit(law: PowerLaw | None, x: Sequence[float]) -> Fit | None:
    """The fitted line over the values it was fitted on; None where there is none."""
    if law is None:
        return None
    used = np.asarray(x, float)[law.points_used > 0]
    if used.size < 2 or not np.isfinite(law.slope):
        return None
    return Fit(law.slope, law.low, law.high, float(used[0]), float(used[-1]))
