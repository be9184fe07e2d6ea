"""Orders, claims and figures of `continuous_limit`."""

from typing import Any

import numpy as np

from fineq.claims import Claim, Measured, Theory
from fineq.claims.counting import curved, over_seeds, unless_holds
from fineq.figures import Figure, Line, Panel
from fineq.figures import Theory as Drawn
from fineq.rates import PowerLaw, power_law
from fineq.studies.common import Slice, drawn_fit, on, small_multiples, titled
from fineq.studies.pift.claims import claim
from fineq.studies.pift.common import Study, alike, instances_words, slices
from fineq.studies.pift.config import PiftConfig
from fineq.studies.pift.drawn import VARIANCES

NAMES = {"forward": "σ² = b", "posterior": "posterior variance"}
ABOUT = {
    "value": "root mean square of V_0 − limit",
    "control": "root mean square of u* − limit",
    "shortfall": "root mean square of (σ²/b − 1) ∇V/β",
    "gap": "certificate of the chain less J*",
}
FITTED = ("value", "control", "gap")
GRID_ABOUT = {"value": "largest |V_0 − exact|", "control": "largest |u − exact| half-way"}
MARGIN = 0.1  # on an exponent seen over a finite range
NEWTON = 0.25  # on the order of the last step of policy iteration above rounding
ROUNDING = 1e-10  # policy iteration is at its limit
LEAST = 3  # points of a fitted order

Orders = list[dict[tuple[str, str], PowerLaw]]


def orders(study: Study, found: Any) -> Orders:
    """Orders in T, by variance and quantity, for each slice."""
    T = np.array(study.config.continuous.num_steps, float)

    def one(piece: Slice, i: int, kind: str, name: str) -> PowerLaw:
        words = (ABOUT[name], NAMES[kind], piece.label)
        values = np.asarray(getattr(found, name))[(i, *piece.index)]
        return power_law(T, values, quantity=", ".join(filter(None, words)))

    return [
        {
            (kind, name): one(piece, i, kind, name)
            for i, kind in enumerate(VARIANCES)
            for name in FITTED
        }
        for piece in slices(study.axes)
    ]


def claims(study: Study, found: Any, laws: Orders) -> list[Claim]:
    """Orders in T against theory's, and the certificate."""
    steps = study.config.continuous.num_steps
    if len(steps) < LEAST:
        return []
    T = np.array(steps, float)
    first = Theory(-1.0, "~", "1/T", margin=MARGIN)
    slow = power_law(T, np.log(T) / T).slope
    slow = Theory(slow, "<=", "log T/T over the same T", margin=MARGIN)
    posterior = VARIANCES.index("posterior")
    made = []
    for piece, by in zip(slices(study.axes), laws, strict=True):
        instance = on(piece, instances_words(study))
        control, short = (
            np.asarray(x)[(posterior, *piece.index)] for x in (found.control, found.shortfall)
        )
        near = power_law(T, short).slope
        near = Theory(near, "~", "(σ²/b - 1) ∇V/β over the same T", margin=MARGIN)
        made.append(
            claim(
                "pift/continuous-time",
                over_seeds(control[:, -1] / short[:, -1], alike(study)),
                Theory(1.0, "~", "|(σ²/b - 1) ∇V/β|", margin=MARGIN),
                instance=f"{instance}, T = {T[-1]:g}",
                what=f"{ABOUT['control']} over what its variance explains, {NAMES['posterior']}",
            )
        )
        for (kind, name), law in by.items():
            if name == "gap":
                continue
            other = near if name == "control" else slow
            theory = first if kind == "forward" else other
            made.append(
                claim(
                    "pift/continuous-time",
                    law,
                    theory,
                    instance=instance,
                    what=f"exponent in T of the {ABOUT[name]}, {NAMES[kind]}",
                    undecided=unless_holds(law, theory, curved(law, MARGIN, "larger T")),
                )
            )
        gaps = np.asarray(found.gap)[(slice(None), *piece.index)]
        made += [
            claim(
                "pift/certificate",
                Measured.exact(float(gaps.min())),
                Theory(0.0, ">=", "J <= E[β log E[e^{r/β} | Y_0]]"),
                instance=f"{instance}, all T, both variances",
                what="certificate less J of the optimum, least",
            ),
            claim(
                "pift/certificate",
                by["forward", "gap"],
                first,
                undecided=unless_holds(
                    by["forward", "gap"], first, curved(by["forward", "gap"], MARGIN, "larger T")
                ),
                instance=instance,
                what=f"exponent in T of the {ABOUT['gap']}, {NAMES['forward']}",
            ),
        ]
    return made


def newton_orders(iterates: np.ndarray) -> np.ndarray:
    """Order log e''/e' over log e'/e of the last errors above rounding, per grid `[G, I]`."""
    found = []
    for errors in iterates:
        last = int(np.sum(errors > ROUNDING)) - 1
        if last < 2:
            found.append(np.nan)
            continue
        e = np.log(errors[last - 2 : last + 1])
        found.append((e[2] - e[1]) / (e[1] - e[0]))
    return np.array(found)


def grid_claims(config: PiftConfig, refined: Any) -> list[Claim]:
    """The scheme's order, and that policy iteration squares its errors."""
    num = np.array(config.continuous.num_times, float)
    instance = f"mixture on a line, β = {config.beta:g}, {num[-1]:g} steps"
    made = []
    for name, text in GRID_ABOUT.items():
        law = power_law(num, np.asarray(getattr(refined, name)))
        made.append(
            claim(
                "pift/continuous-time",
                Measured.exact(float(law.local_slopes[-1])),
                Theory(-2.0, "~", "second-order scheme", margin=MARGIN),
                instance=instance,
                what=f"exponent of {text}, space and time refined together",
            )
        )
    iterates = np.asarray(refined.iterates)
    order = newton_orders(iterates)
    made.append(
        claim(
            "pift/continuous-time",
            Measured.exact(order[-1]),
            Theory(2.0, "~", "policy iteration is Newton's method", margin=NEWTON),
            instance=instance,
            what="order of convergence of policy iteration in continuous time",
            undecided=""
            if np.isfinite(order[-1])
            else "fewer than three errors lie above rounding: more of continuous.num_iterations "
            "or a smaller beta decide",
        )
    )
    return made


def figures(study: Study, laws: Orders) -> tuple[Figure, ...]:
    """Chains against the limit; the Bellman equation on grids."""
    pieces, continuous = slices(study.axes), study.config.continuous
    of = {piece.index: by for piece, by in zip(pieces, laws, strict=True)}

    def against(piece: Slice, name: str, title: str, exponents: dict[str, float]) -> Panel:
        by = of[piece.index]
        lines = tuple(
            Line(
                name,
                NAMES[kind],
                {**piece.at, "variance": kind},
                fit=drawn_fit(by[kind, name], continuous.num_steps),
            )
            for kind in VARIANCES
        )
        drawn = tuple(Drawn(k, exponent=v, line=0) for k, v in exponents.items())
        return Panel(
            "powerlaw",
            "num_steps",
            lines,
            drawn,
            title=titled(title, piece),
            xlabel="steps T",
            ylabel=ABOUT[name],
        )

    def limits(piece: Slice) -> list[Panel]:
        value = against(piece, "value", "Value at the start", {"1/T": -1.0})
        return [value, against(piece, "control", "Control", {"1/T": -1.0})]

    def gap(piece: Slice) -> list[Panel]:
        return [against(piece, "gap", "Certificate less J*", {"1/T": -1.0})]

    grids = tuple(
        Line("grid_iterates", f"{n:g} steps", {"num_times": n}) for n in continuous.num_times
    )
    texts = {"value": "value", "control": "control"}
    refinement = tuple(Line(f"grid_{name}", text) for name, text in texts.items())
    return (
        *small_multiples(
            "continuous_limit",
            pieces,
            limits,
            "Optimal chains of T steps against their limit in continuous time.",
        ),
        *small_multiples(
            "certificate", pieces, gap, "What the certificate leaves open at the optimum."
        ),
        Figure(
            "bellman",
            (
                Panel(
                    "convergence",
                    "iteration",
                    grids,
                    over=(),
                    title="Policy iteration, continuous time",
                    xlabel="iteration",
                    ylabel="largest |V − limit on the grid|",
                    ordered=True,
                ),
                Panel(
                    "powerlaw",
                    "num_times",
                    refinement,
                    (Drawn("second order", exponent=-2.0, line=0),),
                    over=(),
                    title="Refining space and time",
                    xlabel="time steps",
                    ylabel="largest error against quadrature",
                ),
            ),
            "The Bellman equation of a mixture on a line, against Hopf-Cole.",
        ),
    )
