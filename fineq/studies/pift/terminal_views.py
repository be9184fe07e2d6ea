"""Orders, claims and figures of `terminal_law`."""

import numpy as np

from fineq.claims import Claim, Measured, Theory
from fineq.claims.counting import curved, unless_holds
from fineq.figures import Figure, Line, Panel
from fineq.figures import Theory as Drawn
from fineq.pift.terminal import Terminal
from fineq.rates import PowerLaw, power_law
from fineq.studies.common import Slice, drawn_fit, first_alone, on, small_multiples, titled
from fineq.studies.pift.claims import claim
from fineq.studies.pift.common import Study, instances_words, slices
from fineq.studies.pift.drawn import VARIANCES

NAMES = {"forward": "σ² = b", "posterior": "posterior variance", "": ""}
TARGETS = ("own", "data")
ABOUT = {
    "own": "KL to the tilt of the chain's own law",
    "data": "KL to the tilt of the data law",
    "pretrained": "KL of the pre-trained law to the data",
}
LAWS = {
    "pretrained": "pre-trained",
    "optimal": "fine-tuned",
    "target": "tilt of the data law",
}
MARGIN = 0.1  # on an exponent seen over a finite range
LEAST = 3  # points of a fitted order

Orders = list[dict[tuple[str, str], PowerLaw]]


def fits(study: Study, found: Terminal, x: list, kinds: tuple[str, ...] = VARIANCES) -> Orders:
    """Orders in x of divergences `[variance, *axes, x]`, by variance and target, for each slice.

    Without variances, `kinds=()`, the divergences are `[*axes, x]` and the variance is "".
    """

    def one(piece: Slice, target: str, kind: str) -> PowerLaw:
        index = (*([kinds.index(kind)] if kind else []), *piece.index)
        words = (ABOUT[target], NAMES[kind], piece.label)
        values = np.asarray(getattr(found, target))[index]
        return power_law(np.array(x, float), values, quantity=", ".join(filter(None, words)))

    return [
        {(kind, target): one(piece, target, kind) for kind in kinds or ("",) for target in TARGETS}
        for piece in slices(study.axes)
    ]


def limit(law: PowerLaw) -> float:
    """Where the exponents between neighbouring points tend to, were they affine in 1/x."""
    return float(2 * law.local_slopes[-1] - law.local_slopes[-2])


def _logarithmic(steps: list) -> PowerLaw:
    """What (log T/T)² shows over these T."""
    T = np.array(steps, float)
    return power_law(T, (np.log(T) / T) ** 2)


def _instance(study: Study, piece: Slice) -> str:
    return on(piece, instances_words(study))


def step_claims(study: Study, laws: Orders) -> list[Claim]:
    """Orders in T against theory's.

    Of one instance there is no scatter, but a bend: its exponent is extrapolated to T = ∞ from the
    last three T, and so is theory's.
    """
    steps = study.config.terminal.num_steps
    if len(steps) < LEAST:
        return []
    one = len(study.axes[-1].values) == 1
    where = f", extrapolated from T = {steps[-3]:g} to {steps[-1]:g}" if one else ""
    shown = _logarithmic(steps)
    slow = limit(shown) if one else shown.slope
    slow = Theory(slow, "<=", "(log T/T)² over the same T", margin=MARGIN)
    exact = Theory(-2.0, "~", "T^-2", margin=MARGIN)
    found = []
    for piece, by in zip(slices(study.axes), laws, strict=True):
        for (kind, target), law in by.items():
            theory = exact if kind == "forward" else slow
            why = "" if one else curved(law, MARGIN, "larger T")
            found.append(
                claim(
                    "pift/terminal-law",
                    Measured.exact(limit(law)) if one else law,
                    theory,
                    instance=_instance(study, piece),
                    what=f"exponent in T of the {ABOUT[target]}, {NAMES[kind]}{where}",
                    undecided=unless_holds(law, theory, why),
                )
            )
    return found


def end_claims(study: Study, orders: Orders) -> list[Claim]:
    """Orders in ᾱ_end against theory's."""
    if len(study.config.terminal.ends) < LEAST:
        return []
    theory = Theory(2.0, "~", "ᾱ_end²", margin=MARGIN)
    return [
        claim(
            "pift/terminal-law",
            law,
            theory,
            instance=_instance(study, piece),
            what=f"exponent in ᾱ_end of the {ABOUT[target]}, continuous time, Y₀ ~ N(0, I)",
            undecided=unless_holds(law, theory, curved(law, MARGIN, "smaller terminal.ends")),
        )
        for piece, by in zip(slices(study.axes), orders, strict=True)
        for (_, target), law in by.items()
    ]


def steps_figure(study: Study, laws: Orders) -> tuple[Figure, ...]:
    """One panel per target, one line per variance."""
    pieces, steps = slices(study.axes), study.config.terminal.num_steps
    of = {piece.index: by for piece, by in zip(pieces, laws, strict=True)}

    def panel(piece: Slice, target: str, title: str) -> Panel:
        by = of[piece.index]
        lines = tuple(
            Line(
                target,
                NAMES[kind],
                {**piece.at, "variance": kind},
                fit=None if len(study.axes[-1].values) == 1 else drawn_fit(by[kind, target], steps),
            )
            for kind in VARIANCES
        )
        return Panel(
            "powerlaw",
            "num_steps",
            lines,
            (Drawn("T⁻²", exponent=-2.0, line=0),),
            title=titled(title, piece),
            xlabel="steps T",
            ylabel="KL divergence of the law of Y_T",
        )

    def panels(piece: Slice) -> list[Panel]:
        own = panel(piece, "own", "Tilt of the chain's own law")
        return [own, panel(piece, "data", "Tilt of the data law")]

    caption = "How far from its target the optimal chain ends."
    return small_multiples("terminal_law", pieces, panels, caption)


def end_figure(study: Study, orders: Orders) -> tuple[Figure, ...]:
    """Divergences in continuous time against ᾱ of the noisiest level."""
    pieces = slices(study.axes)
    of = {piece.index: by for piece, by in zip(pieces, orders, strict=True)}
    texts = {"own": "own law's tilt", "data": "data law's tilt"}
    ends = study.config.terminal.ends

    def panel(piece: Slice) -> list[Panel]:
        lines = tuple(
            Line(f"kept_{k}", text, piece.at, fit=drawn_fit(of[piece.index]["", k], ends))
            for k, text in texts.items()
        )
        kept = Panel(
            "powerlaw",
            "end",
            lines,
            (Drawn("ᾱ²", exponent=2.0, line=0),),
            title=titled("Cost of keeping Y₀ ~ N(0, I)", piece),
            xlabel="ᾱ of the noisiest level",
            ylabel="KL divergence of the law of Y_T",
        )
        return [kept]

    caption = "Continuous time: no step size, only the start is wrong."
    return small_multiples("start", pieces, panel, caption)


def density_figure(study: Study) -> Figure:
    """The laws of Y_T at the fewest steps, one panel per variance, at the first swept values."""
    config = study.config

    def panel(kind: str) -> Panel:
        at = {"variance": kind}
        lines = tuple(Line(f"density_{name}", text, at) for name, text in LAWS.items())
        return Panel(
            "curves",
            "y",
            lines,
            over=(),
            title=f"{min(config.terminal.num_steps)} steps, {NAMES[kind]}",
            xlabel="y",
            ylabel="density",
            xscale="linear",
            yscale="linear",
        )

    panels = tuple(panel(kind) for kind in VARIANCES)
    caption = "Y_T before and after fine-tuning, and its target."
    return Figure("densities", panels, caption, first_alone(slices(study.axes)))
