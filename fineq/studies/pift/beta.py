"""What the price β buys: speed against reward (`pift/beta-tradeoff`).

On linear-quadratic instances the ratio of a sweep, the path divergence, the reward and the distance
of the terminal law from the tilt p_pre e^{r/β}/Z of the pre-trained one are exact for every β.
Beside them, densities and controls of one mixture in the plane, solved on a grid.
"""

import numpy as np
from jax import Array

from fineq.claims import Claim, Theory
from fineq.claims.counting import curved, over_seeds, seeds_words, share_tried, unless_holds
from fineq.errors import InputError
from fineq.figures import Figure, Fit, Line, Panel
from fineq.figures import Theory as Drawn
from fineq.pift import terminal
from fineq.rates import PowerLaw, power_law
from fineq.results import Arrays, StudyResult, status_of
from fineq.studies.common import dims_of, named_arrays
from fineq.studies.pift.affine import Facts, facts_of
from fineq.studies.pift.claims import claim
from fineq.studies.pift.common import Study, alike, coords_of, make_study
from fineq.studies.pift.config import PiftConfig
from fineq.studies.pift.instances import Given
from fineq.studies.pift.linear_convergence import median
from fineq.studies.pift.picture import (
    Picture,
    check_picture,
    draw_picture,
    picture_arrays,
    picture_claims,
    picture_figures,
)
from fineq.sweep.stages import Member, Stages

BETA = "beta"
ABOUT = {
    "ratio": "ratio of a sweep, max_t ρ_t",
    "divergence": "path divergence Σ KL_t [nat]",
    "gain": "reward gained over the pre-trained model",
    "value": "J*",
    "to_tilt": "KL of Y_T to the tilted law [nat]",
}
POWERS = {-1.0: "∝ β⁻¹", -2.0: "∝ β⁻²"}
LARGE = 4  # so many of the largest β show the limit β → ∞
MARGIN = 0.05  # on exponents, limits seen over finitely many values


def run(config: PiftConfig, given: Given, stages: Stages) -> StudyResult:
    """Solve every instance at every β, and one mixture in the plane at some.

    Raises:
        InputError: unless β, and nothing else, is swept over `LARGE` values or more.
    """
    study = make_study(config, given, stages)
    if [axis.name for axis in study.axes[:-1]] != [BETA] or len(study.axes[0]) < LARGE:
        raise InputError(f"study=beta needs sweep.beta=[...] of {LARGE} values or more, alone")
    if list(study.axes[0].values) != sorted(study.axes[0].values):
        raise InputError(f"sweep.beta must rise when study=beta, got {list(study.axes[0].values)}")
    if config.picture.betas:
        check_picture(config)
    facts = facts_of(study)
    to_tilt = stages.measure("tilt", lambda member: _tilt(study, member), study.axes)
    values = {
        "ratio": np.asarray(facts.ratio),
        "divergence": np.asarray(facts.divergence),
        "gain": np.asarray(facts.reward) - np.asarray(facts.pretrained),
        "value": np.asarray(facts.value),
        "to_tilt": np.asarray(to_tilt),
    }
    posed = np.asarray(np.all(np.asarray(facts.solution.well_posed), axis=0))
    laws = _laws(study, values, posed) if posed.any() else {}
    picture = draw_picture(study) if config.picture.betas else None
    arrays, coords = _arrays(study, values, picture)
    return StudyResult(
        arrays,
        coords,
        (
            *(_claims(study, values, laws, posed) if laws else ()),
            *(picture_claims(picture) if picture is not None else ()),
        ),
        tuple(laws.values()),
        _figures(study, laws, picture),
        status_of(~np.asarray(facts.solution.well_posed)),
        _notes(facts),
    )


def _tilt(study: Study, member: Member) -> Array:
    instance = study.instance(member)
    return terminal.of_chain(instance.problem, instance.law).own  # type: ignore[arg-type]


def _betas(study: Study) -> np.ndarray:
    return np.asarray(study.axes[0].values)


def _laws(study: Study, values: dict[str, np.ndarray], posed: np.ndarray) -> dict[str, PowerLaw]:
    """Exponents in β over the largest ones, of the seeds that are well posed at every β."""
    betas = _betas(study)
    return {
        name: power_law(
            betas[-LARGE:], values[name][-LARGE:, posed].T, quantity=f"{ABOUT[name]} in β"
        )
        for name in ("ratio", "divergence", "gain")
    }


def _claims(
    study: Study, values: dict[str, np.ndarray], laws: dict[str, PowerLaw], posed: np.ndarray
) -> list[Claim]:
    betas = _betas(study)
    same = alike(study)
    seeds = seeds_words(int(posed.sum()), posed.size, "well posed at every β", same)
    instance = f"β = {betas[0]:g} to {betas[-1]:g}, {seeds}"
    found = []
    for name, what in (
        ("ratio", "sweeps contract faster"),
        ("divergence", "the path divergence is smaller"),
        ("gain", "the reward is smaller"),
    ):
        falls = np.all(np.diff(values[name][:, posed], axis=0) < 0, axis=0)
        found.append(
            claim(
                "pift/beta-tradeoff",
                share_tried(falls),
                Theory(1.0, ">=", "every instance"),
                instance=instance,
                what=f"the larger β, {what}: share of instances",
                sampled=True,
            )
        )
    for name, exponent in (("ratio", -1.0), ("divergence", -2.0), ("gain", -1.0)):
        law, theory = laws[name], Theory(exponent, "~", "β → ∞", margin=MARGIN)
        # Exact numbers: what the fit of one seed misses is the way to the limit, and no scatter.
        slopes = over_seeds(law.seed_slopes, same)
        seeds = seeds_words(law.seeds_used, posed.size, "well posed at every β", same)
        why = curved(law, MARGIN, "larger β", exponent)
        found.append(
            claim(
                "pift/beta-tradeoff",
                slopes,
                theory,
                instance=f"β = {betas[-LARGE]:g} to {betas[-1]:g}, {seeds}",
                what=f"exponent in β: {ABOUT[name].partition(' [')[0]}",
                undecided=unless_holds(slopes, theory, why),
            )
        )
    smallest = values["to_tilt"][0]
    found.append(
        claim(
            "pift/terminal-law",
            over_seeds(smallest[np.isfinite(smallest)], same),
            instance=f"β = {betas[0]:g}, T = {study.config.schedule.num_steps}, "
            + seeds_words(int(np.isfinite(smallest).sum()), smallest.size, "well posed", same),
            what="KL of Y_T to the tilt of the pre-trained law, smallest β (median)",
            unit="nat",
        )
    )
    return found


def _notes(facts: Facts) -> dict[str, str]:
    posed = np.asarray(facts.solution.well_posed)
    beyond = np.asarray(facts.ratio) >= 1
    notes = {}
    if beyond.any():
        notes["contraction"] = f"{int(beyond.sum())} of {posed.size} members lie beyond contraction"
    if not posed.all():
        notes["well-posedness"] = (
            f"{int((~posed).sum())} of {posed.size} members are not well posed: infinite value"
        )
    return notes


def _arrays(
    study: Study, values: dict[str, np.ndarray], picture: Picture | None
) -> tuple[Arrays, Arrays]:
    arrays = named_arrays(values, dims_of(study.axes), ABOUT)
    medians = {"frontier": np.array([median(of_beta) for of_beta in values["divergence"]])}
    arrays |= named_arrays(medians, (BETA,), {"frontier": "path divergence Σ KL_t (median) [nat]"})
    coords = coords_of(study.axes, study.config)
    if picture is not None:
        more, axes = picture_arrays(picture)
        arrays, coords = arrays | more, coords | axes
    return arrays, coords


def _figures(
    study: Study, laws: dict[str, PowerLaw], picture: Picture | None
) -> tuple[Figure, ...]:
    betas = _betas(study)
    start = float(betas[-LARGE])

    def power(name: str, exponent: float, title: str) -> Panel:
        if name not in laws:
            return Panel("powerlaw", BETA, (Line(name),), title=title)
        law = laws[name]
        fit = Fit(law.value, law.low, law.high, start=start)
        drawn = (Drawn(POWERS[exponent], exponent=exponent, line=0, start=start),)
        return Panel("powerlaw", BETA, (Line(name, fit=fit),), drawn, title=title)

    frontier = Panel(
        "curves",
        "frontier",
        (Line("gain"),),
        title="Reward against divergence",
        xscale="log",
        yscale="log",
    )
    tilt = Panel("powerlaw", BETA, (Line("to_tilt"),), title="Distance from the tilted law")
    figures = (
        Figure(
            "beta",
            (
                power("ratio", -1, "Speed"),
                power("divergence", -2, "Closeness"),
                power("gain", -1, "Reward"),
            ),
            "What the price β buys, exact on linear-quadratic instances.",
        ),
        Figure("frontier", (frontier, tilt), "Every point is one β."),
    )
    return figures + (() if picture is None else picture_figures(picture))
