"""What the price β buys: speed against reward (`pift/beta-tradeoff`).

On linear-quadratic instances the ratio of a sweep, the path divergence, the reward and the distance
of the terminal law from the tilt p_pre e^{r/β}/Z of the pre-trained one are exact for every β.
Beside them, densities and controls of one mixture in the plane, solved on a grid.
"""

from typing import Any

import numpy as np

from fineq import figures
from fineq.claims import Theory
from fineq.errors import InputError
from fineq.pift import terminal
from fineq.results import Array as Named
from fineq.studies import statistics
from fineq.studies.pift import affine, common
from fineq.studies.pift.picture import (
    check_picture,
    draw_picture,
    picture_arrays,
    picture_claims,
    picture_figures,
)
from fineq.studies.recipe import Draw, Found, Quantity, Recipe, Row, View
from fineq.sweep.stages import Stages

LARGE = 4  # so many of the largest β show the limit β → ∞
MARGIN = 0.05  # on exponents, limits seen over finitely many values
QUANTITIES = (
    Quantity("ratio", "ratio of a sweep, max_t ρ_t"),
    Quantity("divergence", "path divergence Σ KL_t [nat]"),
    Quantity("gain", "reward gained over the pre-trained model"),
    Quantity("value", "J*"),
    Quantity("to_tilt", "KL of Y_T to the tilted law [nat]"),
    *affine.of_means("best", "the optimal m*"),
)
# Quantity, its exponent in β as β → ∞, what a larger β does, the panel's title, theory's power.
FALLS = (
    ("ratio", -1.0, "sweeps contract faster", "Speed", r"\beta^{-1}"),
    ("divergence", -2.0, "the path divergence is smaller", "Closeness", r"\beta^{-2}"),
    ("gain", -1.0, "the reward is smaller", "Reward", r"\beta^{-1}"),
)
LABELS = {
    "ratio": r"ratio of a sweep, $\max_t\,\rho_t$",
    "divergence": r"path divergence $\sum_t \mathrm{KL}_t$ [nat]",
    "gain": "reward gained",
    "to_tilt": "KL of $Y_T$ to the tilted law [nat]",
}
POWERS = {
    name: statistics.Exponent(
        *(name, "beta", MARGIN, "larger β", LARGE, exponent), exact=True, lost=False
    )
    for name, exponent, *_ in FALLS
}


def bind(config: Any, given: Any, stages: Stages) -> common.Study:
    """A study along β.

    Raises:
        InputError: unless β, and nothing else, is swept over `LARGE` rising values or more.
    """
    study = common.make_study(config, given, stages)
    *swept, _ = study.axes
    if [axis.name for axis in swept] != ["beta"] or len(swept[0]) < LARGE:
        raise InputError(f"study=beta needs sweep.beta=[...] of {LARGE} values or more, alone")
    if list(swept[0].values) != sorted(swept[0].values):
        raise InputError(f"sweep.beta must rise when study=beta, got {list(swept[0].values)}")
    if config.picture.betas:
        check_picture(config)
    return study._replace(own=tuple(swept), axes=study.axes[-1:])


def measure(study: common.Study) -> Found:
    """Solve every instance at every β, and one mixture in the plane at some."""
    axes = [*study.own, *study.axes]
    facts = affine.facts_of(study, axes)
    posed = np.asarray(facts.solution.well_posed)

    def to_tilt(member: Any) -> Any:
        instance = study.instance(member)
        return terminal.of_chain(instance.problem, instance.law).own  # type: ignore[arg-type]

    values = {
        "ratio": np.asarray(facts.ratio),
        "divergence": np.asarray(facts.divergence),
        "gain": np.asarray(facts.reward) - np.asarray(facts.pretrained),
        "value": np.asarray(facts.value),
        "to_tilt": np.asarray(study.stages.measure("tilt", to_tilt, axes)),
        **affine.means("best", facts.solution.policy),
    }
    picture = draw_picture(study) if study.config.picture.betas else None
    typical = [np.median(row[np.isfinite(row)]) for row in values["divergence"]]
    frontier = Named(np.array(typical), ("beta",), "nat", "path divergence Σ KL_t (median)")
    return Found(
        values,
        study.own,
        {"t": np.arange(np.shape(facts.ratios)[-1])},
        lost=~posed,
        notes=_notes(facts, posed),
        arrays={"frontier": frontier} | picture_arrays(picture),
        more=picture,
    )


def _notes(facts: affine.Facts, posed: np.ndarray) -> dict[str, str]:
    beyond, notes = np.asarray(facts.ratio) >= 1, {}
    if beyond.any():
        notes["contraction"] = f"{int(beyond.sum())} of {posed.size} members lie beyond contraction"
    if not posed.all():
        notes["well-posedness"] = (
            f"{int((~posed).sum())} of {posed.size} members are not well posed: infinite value"
        )
    return notes


def _range(view: View, first: int = 0) -> str:
    betas = view.values_of("beta")
    return f"β = {betas[first]:g} to {betas[-1]:g}"


def _falls(name: str) -> statistics.Share:
    return statistics.Share(
        lambda view: np.all(np.diff(view(name, lost=False), axis=0) < 0, axis=0), True
    )


def _at_smallest(view: View) -> np.ndarray:
    smallest = view("to_tilt")[0]
    return smallest[np.isfinite(smallest)]


def _power(view: View, name: str, exponent: float, title: str, power: str) -> figures.Panel:
    if not view.kept.any():
        return view.panel("powerlaw", "beta", {name: ""}, title=title, ylabel=LABELS[name])
    start = float(view.values_of("beta")[-LARGE])
    label = rf"$\propto {power}$, slope only"
    theory = figures.Theory(label, exponent=exponent, line=0, start=start)
    line = view.line(name, fit=POWERS[name])
    return view.panel("powerlaw", "beta", [line], theory, title=title, ylabel=LABELS[name])


def _frontier(view: View) -> list[figures.Panel]:
    # As β → ∞ the reward falls as 1/β and the divergence as its square.
    square_root = figures.Theory(r"$\propto \mathrm{KL}^{1/2}$, slope only", exponent=0.5, line=0)
    return [
        view.panel(
            "curves",
            "frontier",
            {"gain": ""},
            square_root,
            title="Reward against divergence",
            log="xy",
            xlabel=LABELS["divergence"].replace(" [nat]", ", median [nat]"),
            ylabel=LABELS["gain"],
        ),
        view.panel(
            "powerlaw",
            "beta",
            {"to_tilt": ""},
            title="Distance from the tilted law",
            ylabel=LABELS["to_tilt"],
        ),
    ]


def _posed(view: View) -> bool:
    return bool(view.kept.any())


EVERYWHERE = {"who": "well posed at every β", "when": _posed}
run = Recipe(
    bind=bind,
    measure=measure,
    names=common.NAMES,
    words=lambda study, piece: "",
    quantities=QUANTITIES,
    claims=(
        *(
            Row(
                "pift/beta-tradeoff",
                f"the larger β, {falls}: share of instances",
                _falls(name),
                Theory(1.0, ">=", "every instance"),
                where=_range,
                sampled=True,
                **EVERYWHERE,
            )
            for name, _, falls, *_ in FALLS
        ),
        *(
            Row(
                "pift/beta-tradeoff",
                f"exponent in β: {quantity.text}",
                POWERS[name],
                Theory(exponent, "~", "β → ∞", margin=MARGIN),
                where=lambda view: _range(view, -LARGE),
                **EVERYWHERE,
            )
            for (name, exponent, *_), quantity in zip(FALLS, QUANTITIES, strict=False)
        ),
        Row(
            "pift/terminal-law",
            "KL of Y_T to the tilt of the pre-trained law, smallest β (median)",
            statistics.Median(_at_smallest),
            where=lambda view: (
                f"β = {view.values_of('beta')[0]:g}, T = {view.study.config.schedule.num_steps}"
            ),
            unit="nat",
            who="well posed",
            when=_posed,
        ),
        picture_claims,
    ),
    figures=(
        Draw(
            "beta",
            lambda view: [
                _power(view, name, exponent, title, power)
                for name, exponent, _, title, power in FALLS
            ],
            "What the price β buys, exact on linear-quadratic instances.",
            claims=("pift/beta-tradeoff",),
        ),
        Draw(
            "frontier",
            _frontier,
            "Every point is one β.",
            claims=("pift/beta-tradeoff", "pift/terminal-law"),
        ),
        picture_figures,
    ),
)
