"""Arrays and figures of sample_complexity."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fineq.figures import Figure, Fit, Line, Panel
from fineq.figures import Theory as Drawn
from fineq.rates import PowerLaw
from fineq.results import Array as Named
from fineq.results import Arrays
from fineq.studies.common import small_multiples
from fineq.studies.nlqr.arrays import Slice, coords_of, dims_of
from fineq.studies.nlqr.config import NlqrConfig
from fineq.studies.nlqr.noise import Case
from fineq.studies.nlqr.scans import NAMES, Found
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
    """Biases of the gradient; for each combination of swept values its noise, and the floors."""
    made = [
        Figure(
            "gradient_bias",
            (_truncation(found, pieces), _smoothing(found, pieces, fits)),
            "Bias of the gradient near K_lin.",
        )
    ]
    of = {piece.index: _of_piece(found, piece, fits[piece.index]) for piece in pieces}
    noise = "Noise of gradient estimates near K_lin."
    floors = "What noise costs: descents that start at K*."
    made += small_multiples("gradient_noise", pieces, lambda p: of[p.index][0], noise)
    made += small_multiples("final_accuracy", pieces, lambda p: of[p.index][1], floors)
    return tuple(made)


def _of_piece(
    found: Found, piece: Slice, fits: Mapping[str, Any]
) -> tuple[list[Panel], list[Panel]]:
    """The panels of the noise, and of what it costs."""
    one, two = (found.grid.fixed_radius(name) for name in NAMES)
    label = ", ".join(filter(None, ["", piece.label]))
    over_count = f"r = {one:g} and r = {two:g}{label}"
    over_radius = f"J = {found.grid.num_rollouts}{label}"
    return [
        _scanned(found, piece, fits, "noise", "smoothing", f"Noise, {over_radius}"),
        _scanned(found, piece, fits, "noise", "rollouts", f"Noise, {over_count}"),
    ], [
        _scanned(found, piece, fits, "floor", "rollouts", f"Floor, {over_count}"),
        _scanned(found, piece, fits, "floor", "smoothing", f"Floor, {over_radius}"),
        _descents(piece, f"Descents from K*, {over_radius}"),
    ]


def _truncation(found: Found, pieces: list[Slice]) -> Panel:
    """Error of the gradient against T, and ρ^(2T)."""
    lines, drawn = [], []
    for i, piece in enumerate(pieces):
        lines.append(Line("gradient_truncated", piece.label, piece.at))
        ratio = float(np.median(found.probe.radius[piece.index]) ** 2)
        drawn.append(Drawn("ρ^(2T), median ρ" if i == 0 else "", ratio=ratio, line=i))
    return Panel("convergence", "length", tuple(lines), tuple(drawn), title="Truncation")


def _smoothing(found: Found, pieces: list[Slice], fits: Mapping[Any, Mapping[str, Any]]) -> Panel:
    """Bias against r, and r²."""
    lines = tuple(
        Line("smoothed", p.label, p.at, fit=_fit(fits[p.index]["smoothing"], found.grid.radii))
        for p in pieces
    )
    drawn = (Drawn("r²", exponent=2.0, line=0),)
    return Panel("powerlaw", "smoothing", lines, drawn, title="Smoothing bias")


def _scanned(
    found: Found, piece: Slice, fits: Mapping[str, Any], what: str, dim: str, title: str
) -> Panel:
    """Noise or floor of both estimators against r or J, with what theory expects."""
    key, x = ("radius", found.grid.radii) if dim == "smoothing" else ("count", found.grid.counts)

    def fit(name: str) -> Fit | None:
        # The lowest line of this panel has no room for a second line of text.
        hidden = (what, name, dim) == ("noise", "two_point", "rollouts")
        return None if hidden else _fit(fits.get(f"{what}_{name}_{key}"), x)

    lines = tuple(
        Line(f"{what}_{name}_{dim}", text, piece.at, fit=fit(name)) for name, text in NAMES.items()
    )
    if what == "floor":
        drawn = tuple(
            Drawn("ησ²/4" if i == 0 else "", variable=f"expected_{name}_{dim}", line=i, at=piece.at)
            for i, name in enumerate(NAMES)
        )
    else:
        label, exponent = ("1/r", -1.0) if dim == "smoothing" else ("1/√J", -0.5)
        drawn = (Drawn(label, exponent=exponent, line=0),)
    return Panel("powerlaw", dim, lines, drawn, title=title)


def _descents(piece: Slice, title: str) -> Panel:
    """Gap against iteration of the descents whose floor is measured."""
    lines = tuple(Line(f"gap_{name}", text, piece.at) for name, text in NAMES.items())
    return Panel("convergence", "iteration", lines, title=title)


def _fit(law: PowerLaw | None, x: Sequence[float]) -> Fit | None:
    """The fitted line over the values it was fitted on; None where there is none."""
    if law is None:
        return None
    used = np.asarray(x, float)[law.points_used > 0]
    if used.size < 2 or not np.isfinite(law.slope):
        return None
    return Fit(law.slope, law.low, law.high, float(used[0]), float(used[-1]))
