"""Claims and figures of the study landscape: the theorem, orders in ℓ, balls around K_lin."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import numpy as np

from fineq import claims, figures
from fineq.claims import counting
from fineq.studies.common import Slice
from fineq.studies.nlqr.claims import claim
from fineq.studies.nlqr.common import slices
from fineq.studies.recipe import Draw, Row, View
from fineq.studies.statistics import LimitingOrder

LIPSCHITZ = "system.lipschitz"
SMALL = 0.3  # orders are those of ℓ → 0: fitted up to here
MARGIN = 0.15  # of an exponent: the orders beyond the first correction still show
OF_BALL = ("nlqr/landscape",)  # what figures show that say nothing of ℓ → 0
THEOREM_MULTIPLE = 3.0  # the theorem wants |K* - K_lin| <= δ/3

# What is fitted, with the order expected as ℓ falls to 0.
EXPECTED = {"K1_part": 1.0, "K2_part": 0.0, "joint_part": 1.0, "gap": 2.0, "sigma_x": 2.0}
ORDERS = {name: LimitingOrder(name, "lipschitz", SMALL) for name in EXPECTED}
CLAIMED = {
    "K1_part": "K_lin's distance from K* in K1 is of order ℓ (exponent)",
    "K2_part": "K_lin's distance from K* in K2 tends to a constant (exponent)",
    "gap": "The relative cost gap of K_lin is of order ℓ² (exponent)",
}


def along(view: View) -> bool:
    """Whether ℓ is swept over two values or more."""
    return bool(view.found.axes) and len(view.values_of("lipschitz")) > 1


def _known(order: LimitingOrder) -> Callable[[View], bool]:
    return lambda view: along(view) and order.known(view)


ORDER_ROWS = tuple(
    Row(
        "nlqr/small-lipschitz",
        what,
        ORDERS[name],
        claims.Theory(EXPECTED[name], "~", "order as ℓ → 0", margin=MARGIN),
        where=f"ℓ ≤ {SMALL:g} extrapolated",
        who="with K* at every ℓ",
        when=_known(ORDERS[name]),
    )
    for name, what in CLAIMED.items()
)


def fitted(view: View) -> Iterable:
    """The power laws behind the orders."""
    return (order.law(view) for order in ORDERS.values() if _known(order)(view))


def theorem_claims(views: Sequence[View]) -> list[claims.Claim]:
    """What the theorem says of μ and of a ball, and how far its conditions are; of all members."""
    study, values = views[0].study, views[0].found.values
    seeds = len(study.axes[-1])
    where = f"all swept values, {counting.seeds_words(seeds, seeds, alike=study.alike)}"
    return [
        claim(
            "nlqr/landscape",
            extreme(np.min, values["tightness"]),
            claims.Theory(1.0, ">=", "μ ≥ σ_x σ"),
            instance=where,
            what="μ at K* over the bound σ_x σ (least of all members)",
            sampled=True,
            undecided=outside(values["off_lipschitz"], values["tightness"] < 1),
        ),
        *_ball(views[0]),
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


def extreme(pick: Callable[[np.ndarray], float], values: np.ndarray) -> claims.Measured:
    """The least or the largest of the finite values, an exact number."""
    finite = values[np.isfinite(values)]
    return claims.Measured.exact(float(pick(finite)) if finite.size else np.nan)


def _ball(view: View) -> list[claims.Claim]:
    """Strong convexity on the smallest ball the theorem could speak of, as far as was looked."""
    multiples, probed = list(view.study.config.landscape.multiples), view.found.more
    if THEOREM_MULTIPLE not in multiples:
        return []
    mu = probed.values["mu_found"][..., multiples.index(THEOREM_MULTIPLE)]
    known = ~np.isnan(mu)
    if not known.any():
        return []
    off = view.found.values["off_lipschitz"][
        ..., : mu.shape[-1]
    ]  # the first seeds are those looked at
    return [
        claim(
            "nlqr/landscape",
            counting.share_tried(mu[known] > 0),
            claims.Theory(1.0, ">=", "all members", note=_met(off[known])),
            instance=f"{counting.counted(int(known.sum()), 'member')}, "
            + counting.counted(len(probed.axes[-1]), "seed"),
            what="No point with μ ≤ 0 found within 3 |K* - K_lin| of K_lin (share)",
            sampled=True,
            undecided=outside(off[known], mu[known] <= 0),
        )
    ]


def _met(off: np.ndarray) -> str:
    """How many members are within the theorem: outside it, a failure does not refute it."""
    return f"{int(np.sum(off <= 0))} of {off.size} members meet the theorem's condition on ℓ"


def outside(off: np.ndarray, broken: np.ndarray) -> str:
    """Why members that are not as the theorem says refute nothing, where none is within it.

    Args:
        off: log10 of ℓ over the largest that the theorem allows, of every member.
        broken: whether the member is not as the theorem says.
    """
    if not np.any(broken) or np.any(broken & (off <= 0)):
        return ""
    return (
        f"it does not hold on {counting.counted(int(np.sum(broken)), 'member')}, none of which "
        f"meets the theorem's condition ({_met(off)}): members that do decide"
    )


def _against(draw: Callable[[View], figures.Panel]) -> Callable[[View], list[figures.Panel]]:
    """A panel against ℓ, where it is swept over positive values."""

    def panels(view: View) -> list[figures.Panel]:
        if not along(view) or min(view.values_of("lipschitz")) <= 0:
            return []
        panel = draw(view)
        return [replace(panel, title=panel.title.replace("radius", "$|x_0|$"))]

    return panels


def _curvature(view: View) -> figures.Panel:
    lines = {"h": "$h$", "mu": r"$\mu$", "lower_bound": r"bound $\sigma_x \sigma$"}
    title, ylabel = "At $K^*$", "Hessian eigenvalue"
    return view.panel("powerlaw", "lipschitz", lines, title=title, ylabel=ylabel)


def _distances(view: View) -> figures.Panel:
    # K1 + ℓ K2 is left out: its line covers that of K1.
    texts = {"K2_part": "$K_2$", "K1_part": "$K_1$", "gap": "cost gap"}
    theory = {"K2_part": r"$\propto 1$", "K1_part": r"$\propto \ell$", "gap": r"$\propto \ell^2$"}
    shown = {k: text for k, text in texts.items() if np.any(np.isfinite(view(k)))}
    return view.panel(
        "powerlaw",
        "lipschitz",
        [view.line(name, text, fit=ORDERS[name]) for name, text in shown.items()],
        *(
            figures.Theory(theory[name], exponent=EXPECTED[name], line=i)
            for i, name in enumerate(shown)
        ),
        title=r"$K_\mathrm{lin} - K^*$, theory: slope only",
        ylabel="distance; relative cost gap",
    )


def _theorem(view: View) -> figures.Panel:
    lines = {
        "off_gradient": r"$\ell'$",
        "off_lipschitz": r"$\ell$",
        "off_h": "$h$",
        "off_delta": r"$\delta$",
    }
    known = {name: text for name, text in lines.items() if np.any(np.isfinite(view(name)))}
    return view.panel(
        "curves",
        "lipschitz",
        known,
        figures.Theory("met", level=0.0),
        title="The theorem's constants",
        log="x",
        ylabel="orders of magnitude off",
    )


def _around(views: Sequence[View]) -> Iterable[figures.Figure]:
    """Worst curvature found against the radius of the ball, at the largest |x0|."""
    probed = views[0].found.more
    at_most = max((view.piece.at.get("radius", 0.0) for view in views), default=0.0)
    chosen = [
        piece
        for piece in slices(probed.axes[:-1])
        if piece.at.get("radius", at_most) == at_most
        and np.mean(np.isfinite(probed.values["mu_share"][piece.index])) > 0.5
    ]
    where = "" if at_most == 0 else f"$|x_0| = {at_most:g}$"
    multiple = rf"${THEOREM_MULTIPLE:g}\,|K^* - K_\mathrm{{lin}}|$: the theorem's ball"

    def panel(name: str, text: str) -> figures.Panel:
        return figures.Panel(
            "curves",
            "multiple",
            tuple(
                figures.Line(name, _without_radius(piece), piece.at, missing="no longer convex")
                for piece in chosen
            ),
            (
                figures.Theory("at $K^*$", level=1.0),
                figures.Theory(multiple, threshold=THEOREM_MULTIPLE),
            ),
            over=("instance",),
            xlabel=r"radius of the ball around $K_\mathrm{lin}$, in $|K^* - K_\mathrm{lin}|$",
            ylabel=text,
            title=where,
            yscale="log" if name == "h_share" else "",
            ordered=True,
        )

    panels = (
        panel("mu_share", r"smallest $\mu$ found / $\mu$ at $K^*$"),
        panel("h_share", "largest $h$ found / $h$ at $K^*$"),
    )
    caption = "Curvature in balls around the linear policy, as far as it was searched."
    return (figures.Figure("around", panels, caption, claims=OF_BALL),) if chosen else ()


def _without_radius(piece: Slice) -> str:
    return ", ".join(word for word in piece.label.split(", ") if not word.startswith("radius"))


FIGURES = (
    Draw(
        "landscape", _against(_curvature), "Curvature of the cost at the optimum.", claims=OF_BALL
    ),
    Draw(
        "distances",
        _against(_distances),
        "How far the linear policy is from the optimum.",
        claims=("nlqr/small-lipschitz",),
    ),
    Draw(
        "theorem",
        _against(_theorem),
        "How far the theorem's constants are from the instances.",
        claims=OF_BALL,
    ),
    _around,
)
