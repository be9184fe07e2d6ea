"""Fits, claims and figures of the study landscape, from its measured arrays."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from fineq.claims import Claim, Measured, Theory
from fineq.claims.counting import counted, over_seeds, seeds_words, share_tried
from fineq.figures import Figure, Fit, Line, Panel
from fineq.figures import Theory as Drawn
from fineq.rates import Interval, PowerLaw, power_law
from fineq.studies.common import small_multiples
from fineq.studies.nlqr.arrays import Slice, slices
from fineq.studies.nlqr.claims import claim
from fineq.studies.nlqr.common import Study
from fineq.studies.nlqr.probing import Probed
from fineq.sweep import Axis

LIPSCHITZ = "system.lipschitz"
SMALL = 0.3  # orders are those of ℓ → 0: fitted up to here
MARGIN = 0.15  # of an exponent: the orders beyond the first correction still show
THEOREM_MULTIPLE = 3.0  # the theorem wants |K* - K_lin| <= δ/3

# What is fitted, with the order expected as ℓ falls to 0.
ORDERS = {"K1_part": 1.0, "K2_part": 0.0, "joint_part": 1.0, "gap": 2.0, "sigma_x": 2.0}
CLAIMED = {
    "K1_part": "K_lin's distance from K* in K1 is of order ℓ (exponent)",
    "K2_part": "K_lin's distance from K* in K2 tends to a constant (exponent)",
    "gap": "The relative cost gap of K_lin is of order ℓ² (exponent)",
}


class Trend(NamedTuple):
    """One combination of the swept values other than ℓ.

    Attributes:
        piece: which one; `piece.at` selects it in the data.
        fits: quantity to the power law fitted over the small ℓ.
        orders: quantity to its order as ℓ → 0, see `limiting_order`.
    """

    piece: Slice
    fits: Mapping[str, PowerLaw]
    orders: Mapping[str, Interval]


def trends(
    axes: Sequence[Axis], values: Mapping[str, np.ndarray], alike: bool = False
) -> list[Trend]:
    """Orders in ℓ over its small values; none where ℓ is not swept over two of them.

    Args:
        axes: of the values, the seeds last.
        values: the quantities of `ORDERS`, `[*axes]`.
        alike: the one seed is a plant that was given, nothing random.
    """
    names = [axis.name for axis in axes]
    if LIPSCHITZ not in names:
        return []
    position = names.index(LIPSCHITZ)
    known = axes[position].coords
    order = [i for i in np.argsort(known) if 0 < known[i] <= SMALL]
    if len(order) < 2:
        return []
    moved = {name: np.moveaxis(values[name], position, -1)[..., order] for name in ORDERS}
    others = [axis for axis in axes if axis.name != LIPSCHITZ]
    return [_trend(piece, known[order], moved, alike) for piece in slices(others)]


def _trend(piece: Slice, x: np.ndarray, moved: Mapping[str, np.ndarray], alike: bool) -> Trend:
    rows = {name: moved[name][piece.index] for name in ORDERS}
    rows = {name: y for name, y in rows.items() if np.any(np.isfinite(y))}
    where = f" ({piece.label})" if piece.label else ""
    return Trend(
        piece,
        {name: power_law(x, y, quantity=f"{name} against ℓ{where}") for name, y in rows.items()},
        {name: limiting_order(x, y, alike) for name, y in rows.items()},
    )


def limiting_order(x: np.ndarray, y: np.ndarray, alike: bool = False) -> Interval:
    """The exponent of y `[S, L]` as x → 0: exponents between neighbours, extrapolated linearly.

    Quantities here are powers of ℓ times 1 + O(ℓ), so that exponents between neighbours miss the
    limit by O(ℓ), and a fit over the whole range does too. Median over seeds with its interval.
    With two points there is nothing to extrapolate, and their exponent stands.
    """
    usable = np.all(np.isfinite(y) & (y > 0), axis=1)
    local = np.diff(np.log(y[usable]), axis=1) / np.diff(np.log(x))
    middle = np.sqrt(x[1:] * x[:-1])
    degree = min(1, len(middle) - 1)
    return over_seeds(np.array([np.polyfit(middle, row, degree)[-1] for row in local]), alike)


def claims(
    study: Study, values: Mapping[str, np.ndarray], probed: Probed, found: list[Trend]
) -> list[Claim]:
    """What the theorem says of μ and of a ball, how far its conditions are, and the orders."""
    seeds = len(study.axes[-1])
    where = f"all swept values, {seeds_words(seeds, seeds, alike=study.alike)}"
    theorem = [
        claim(
            "nlqr/landscape",
            extreme(np.min, values["tightness"]),
            Theory(1.0, ">=", "μ ≥ σ_x σ"),
            instance=where,
            what="μ at K* over the bound σ_x σ (least of all members)",
            sampled=True,
            undecided=_outside(values["off_lipschitz"], values["tightness"] < 1),
        ),
        *_ball(study, values, probed),
        *(
            claim(
                "nlqr/landscape",
                extreme(pick, values["off_lipschitz"]),
                instance=where,
                what=f"log10 of ℓ over the largest ℓ the theorem allows ({word} of all members)",
            )
            for pick, word in ((np.min, "least"), (np.max, "largest"))
        ),
    ]
    return theorem + [
        _order(trend, name, seeds, study.alike)
        for trend in found
        for name in CLAIMED
        if name in trend.fits
    ]


def extreme(pick: Callable[[np.ndarray], float], values: np.ndarray) -> Measured:
    """The least or the largest of the finite values, an exact number."""
    finite = values[np.isfinite(values)]
    return Measured.exact(float(pick(finite)) if finite.size else np.nan)


def _ball(study: Study, values: Mapping[str, np.ndarray], probed: Probed) -> list[Claim]:
    """Strong convexity on the smallest ball the theorem could speak of, as far as was looked."""
    multiples = list(study.config.landscape.multiples)
    if THEOREM_MULTIPLE not in multiples:
        return []
    mu = probed.values["mu_found"][..., multiples.index(THEOREM_MULTIPLE)]
    known = ~np.isnan(mu)
    if not known.any():
        return []
    off = values["off_lipschitz"][..., : mu.shape[-1]]  # the first seeds are those looked at
    return [
        claim(
            "nlqr/landscape",
            share_tried(mu[known] > 0),
            Theory(1.0, ">=", "all members", note=_met(off[known])),
            instance=f"{counted(int(known.sum()), 'member')}, "
            + counted(len(probed.axes[-1]), "seed"),
            what="No point with μ ≤ 0 found within 3 |K* - K_lin| of K_lin (share)",
            sampled=True,
            undecided=_outside(off[known], mu[known] <= 0),
        )
    ]


def _met(off: np.ndarray) -> str:
    """How many members are within the theorem: outside it, a failure does not refute it."""
    return f"{int(np.sum(off <= 0))} of {off.size} members meet the theorem's condition on ℓ"


def _outside(off: np.ndarray, broken: np.ndarray) -> str:
    """Why members that are not as the theorem says refute nothing, where none is within it.

    Args:
        off: log10 of ℓ over the largest that the theorem allows, of every member.
        broken: whether the member is not as the theorem says.
    """
    if not np.any(broken) or np.any(broken & (off <= 0)):
        return ""
    return (
        f"it does not hold on {counted(int(np.sum(broken)), 'member')}, none of which meets the "
        f"theorem's condition ({_met(off)}): members that do decide"
    )


def _order(trend: Trend, name: str, seeds: int, alike: bool) -> Claim:
    found = trend.orders[name]
    theory = Theory(ORDERS[name], "~", "order as ℓ → 0", margin=MARGIN)
    words = seeds_words(found.num_values, seeds, "with K* at every ℓ", alike)
    instance = _titled(f"ℓ ≤ {SMALL:g} extrapolated, {words}", trend.piece)
    return claim("nlqr/small-lipschitz", found, theory, instance=instance, what=CLAIMED[name])


def figures(
    study: Study, values: Mapping[str, np.ndarray], probed: Probed, found: list[Trend]
) -> tuple[Figure, ...]:
    """Curvature, distances, distance from the theorem, and what lies around K_lin."""
    swept = [axis for axis in study.axes if axis.name == LIPSCHITZ]
    around = _around(study, probed)
    if not (found or (swept and len(swept[0]) > 1 and min(swept[0].values) > 0)):
        return around
    pieces = slices([axis for axis in study.axes if axis.name != LIPSCHITZ])
    fits = {trend.piece.label: trend.fits for trend in found}

    def distances(piece: Slice) -> list[Panel]:
        return [_distances(piece, fits.get(piece.label, {}), values)]

    curvature = "Curvature of the cost at the optimum."
    far = "How far the linear policy is from the optimum."
    theorem = "How far the theorem's constants are from the instances."
    return (
        *small_multiples("landscape", pieces, lambda piece: [_curvature(piece)], curvature),
        *small_multiples("distances", pieces, distances, far),
        *small_multiples("theorem", pieces, lambda piece: [_theorem(piece)], theorem),
        *around,
    )


def _curvature(piece: Slice) -> Panel:
    lines = {"h": "h", "mu": "μ", "lower_bound": "σ_x σ"}
    return Panel(
        "powerlaw",
        "lipschitz",
        tuple(Line(name, text, piece.at) for name, text in lines.items()),
        title=_titled("At K*", piece),
        ylabel="Hessian eigenvalue",
    )


def _titled(text: str, piece: Slice) -> str:
    return ", ".join(filter(None, (text, piece.label.replace("radius", "|x0|"))))


def _distances(
    piece: Slice, fits: Mapping[str, PowerLaw], values: Mapping[str, np.ndarray]
) -> Panel:
    # K1 + ℓ K2 is left out: its line covers that of K1.
    texts = {"K2_part": "K2", "K1_part": "K1", "gap": "cost gap"}
    shown = {k: text for k, text in texts.items() if np.any(np.isfinite(values[k]))}
    lines = [
        Line(name, text, piece.at, fit=_drawn_fit(fits.get(name))) for name, text in shown.items()
    ]
    return Panel(
        "powerlaw",
        "lipschitz",
        tuple(lines),
        title=_titled("K_lin − K*", piece),
        ylabel="distance; relative cost gap",
    )


def _drawn_fit(fit: PowerLaw | None) -> Fit | None:
    return None if fit is None else Fit(fit.value, fit.low, fit.high, stop=SMALL)


def _theorem(piece: Slice) -> Panel:
    lines = {"off_gradient": "ℓ′", "off_lipschitz": "ℓ", "off_h": "h", "off_delta": "δ"}
    return Panel(
        "curves",
        "lipschitz",
        tuple(Line(name, text, piece.at) for name, text in lines.items()),
        (Drawn("met", level=0.0),),
        title=_titled("Theorem", piece),
        xscale="log",
        ylabel="orders of magnitude off",
    )


def _around(study: Study, probed: Probed) -> tuple[Figure, ...]:
    """Worst curvature found against the radius of the ball, at the configured |x0|."""
    at_most = _largest(study, "radius")
    chosen = [
        piece
        for piece in slices(study.axes)
        if piece.at.get("radius", at_most) == at_most
        and np.mean(np.isfinite(probed.values["mu_share"][piece.index])) > 0.5
    ]
    where = "" if at_most == 0 else f"|x0| = {at_most:g}"

    def panel(name: str, text: str) -> Panel:
        return Panel(
            "curves",
            "multiple",
            tuple(Line(name, _without_radius(piece), piece.at) for piece in chosen),
            (Drawn("at K*", level=1.0), Drawn("", threshold=THEOREM_MULTIPLE)),
            over=("instance",),
            xlabel="radius of the ball around K_lin, in |K* − K_lin|",
            ylabel=text,
            title=where,
            yscale="log" if name == "h_share" else "",
            ordered=True,
        )

    panels = (
        panel("mu_share", "smallest μ found / μ at K*"),
        panel("h_share", "largest h found / h at K*"),
    )
    caption = "Curvature in balls around the linear policy, as far as it was searched."
    return (Figure("around", panels, caption),) if chosen else ()


def _without_radius(piece: Slice) -> str:
    return ", ".join(word for word in piece.label.split(", ") if not word.startswith("radius"))


def _largest(study: Study, dim: str) -> float:
    axes: list[Axis] = [axis for axis in study.axes if axis.name.rpartition(".")[2] == dim]
    return float(max(axes[0].values)) if axes else 0.0
