"""Lipschitz constants of PI-FT's iterates beside their bounds (`pift/regularity`).

On a grid, everything the theory assumes or proves can be measured: constants of controls, values
and their gradients for every t and inner iteration, the contraction ratios ρ_t that follow from
them, the rates actually seen, and the smallest β at which each condition holds.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from fineq import claims, figures
from fineq.pift.grid.measures import Measures, Thresholds, measures, thresholds
from fineq.pift.grid.tensor import Grid
from fineq.studies.common import Named
from fineq.studies.pift import common
from fineq.studies.pift.gridded_convergence import NEAR
from fineq.studies.pift.grids import first_member, grid_of
from fineq.studies.recipe import Found, Quantity, Recipe, View
from fineq.sweep.stages import Member

# Suprema are over grid points, so a measured one is low by up to (spacing/2)² of its curvature.
GRID = 0.01
SHOWN = (0, 1, 2)  # inner iterations that are drawn
QUANTITIES = (
    Quantity("best_value", "Lip V*", ("t",)),
    Quantity("best_value_bound", "bound of Lip V*", ("t",)),
    Quantity("best_value_paper", "bound of Lip V* from V* itself", ("t",)),
    Quantity("best_slope", "Lip ∇V*", ("t",)),
    Quantity("best_slope_bound", "bound of Lip ∇V*", ("t",)),
    Quantity("best_slope_paper", "bound of Lip ∇V* from V* itself", ("t",)),
    Quantity("best_control", "Lip u*", ("t",)),
    Quantity("value_recursion", "bound of Lip V* from the reward alone", ("t",)),
    Quantity("slope_recursion", "bound of Lip ∇V* from the reward alone", ("t",)),
    Quantity("paper_ratio", "q = σ² Lip(∇V)/β", ("t",)),
    Quantity("ratio", "ρ = σ² Lip(∇V̄)/β", ("t",)),
    Quantity("local", "contraction ratio at the optimum", ("t",)),
    Quantity("upward", "σ²/β times the largest positive curvature of V̄", ("t",)),
    Quantity("rate", "measured ratio of the inner iteration", ("t",)),
    Quantity("value", "Lip V", ("t", "inner")),
    Quantity("value_bound", "bound of Lip V", ("t", "inner")),
    Quantity("slope", "Lip ∇V", ("t", "inner")),
    Quantity("control", "Lip u", ("t", "inner")),
    Quantity("control_bound", "bound of Lip u", ("t", "inner")),
    Quantity("distance", "|m − m*|, largest over t", ("iteration",)),
    Quantity("gap", "value gap J* − J", ("iteration",)),
    Quantity("largest_ratio", "max over t of ρ"),
    Quantity("largest_paper", "max over t of q"),
    Quantity("largest_upward", "max over t, upwards only"),
    Quantity("sweep_rate", "measured ratio of sweeps"),
)
THRESHOLDS = {
    "paper": "smallest β with max_t q_t < 1",
    "lipschitz": "smallest β with max_t ρ_t < 1",
    "local": "smallest β whose optimum is contracting everywhere",
    "well_posed": "smallest well-posed β",
    "plain": "smallest β at which plain PI-FT converges, tried",
}


def measure(study: common.Study) -> Found:
    """Measure constants, ratios and thresholds on one grid."""
    config, grid = study.config, grid_of(study)
    rule: Any = config.inner.rule

    def look(member: Member) -> Measures:
        instance = study.instance(member)
        return measures(
            instance.problem,
            instance.schedule.alphas,
            grid,
            num_inner=config.inner.num_inner,
            num_sweeps=config.inner.num_sweeps,
            rule=rule,
        )

    found: Measures = study.stages.measure("constants", look, study.axes)
    found = Measures(*(np.asarray(x) for x in found))
    limits = _limits(study, grid) if config.regularity.thresholds else None
    # The last policy is not evaluated any more.
    gap = np.concatenate([found.gap, np.full((*found.gap.shape[:-1], 1), np.nan)], -1)
    values = {
        **found._asdict(),
        "distance": found.to_best,
        "gap": np.maximum(gap, 0),
        "largest_ratio": found.ratio.max(-1),
        "largest_paper": found.paper_ratio.max(-1),
        "largest_upward": found.upward.max(-1),
    }
    known = {} if limits is None else limits._asdict()
    edges = {f"beta_{k}": Named(x.value, (), "1", THRESHOLDS[k]) for k, x in known.items()}
    coords = {
        "t": np.arange(found.ratio.shape[-1]),
        "inner": np.arange(config.inner.num_inner + 1),
        "iteration": np.arange(config.inner.num_sweeps + 1),
    }
    more = {"measures": found, "limits": limits}
    return Found(values, (), coords, ~found.solved, _notes(found), arrays=edges, more=more)


def _limits(study: common.Study, grid: Grid) -> Thresholds:
    """The thresholds of the first member."""
    config = study.config.regularity
    return thresholds(
        study.instance(first_member(study)).problem,
        grid,
        config.lowest,
        config.highest,
        precision=config.precision,
        trials=config.trials,
    )


def _claims(views: Sequence[View]) -> list[claims.Claim]:
    """Every measured number over its bound, the largest over members, steps and iterations."""
    study, found = views[0].study, views[0].found.more["measures"]
    posed = found.solved & (found.upward < 1).all(-1)
    at = Measures(*(x[posed] for x in found))
    if not posed.any():
        return []
    count = f"{int(posed.sum())} of {posed.size} members" if not posed.all() else ""
    swept = [f"{len(a.values)} values of {a.name}" for a in study.axes if len(a.values) > 1]
    instance = ", ".join([*swept, f"well posed: {count}"] if count else swept)
    pairs = (
        ("Lip V_t^i", at.value[..., 1:], at.value_bound[..., 1:], "Lm L0 (1+q^i(1-q^{i+1})/(1-q))"),
        ("Lip u_t^i", at.control[..., 1:], at.control_bound[..., 1:], "Lip s+√α/(1-α) q Lip m^i"),
        ("Lip V*_t", at.best_value, at.best_value_bound, "Lm L0 of V̄*_{t+1}"),
        ("Lip ∇V*_t", at.best_slope, at.best_slope_bound, "Lm² L1/(1-ρ) + Lm' L0 of V̄*_{t+1}"),
        ("Lip ∇V*_t (from V*)", at.best_slope, at.best_slope_paper, "Lm² L1/(1-q) + Lm' L0"),
        ("Lip V*_t (from r alone)", at.best_value, at.value_recursion, "Lm L0, recursively"),
        ("Lip ∇V*_t (from r alone)", at.best_slope, at.slope_recursion, "recursively"),
    )
    growth = at.slope[..., 1:].max(-1) / at.slope[..., -1]
    ratio = np.where(at.ratio < 1, at.ratio, np.inf)
    worst = ratio.max(-1)
    return [
        *(within_bound("pift/regularity", *pair, instance) for pair in pairs),
        claims.claim(
            "pift/regularity",
            claims.Measured.exact(float(growth.max())),
            instance=instance,
            what="Lip ∇V_t^i, largest over i, over its last; largest over t",
        ),
        *(
            within_bound(
                "pift/linear-convergence", f"ratio of {name}", measured, bound, text, instance
            )
            for name, measured, bound, text in (
                ("inner iterations", at.rate, ratio, "ρ_t"),
                ("whole sweeps", at.sweep_rate, worst, "max_t ρ_t"),
            )
        ),
    ]


def within_bound(
    id: str, name: str, measured: np.ndarray, bound: np.ndarray, formula: str, instance: str
) -> claims.Claim:
    """A measured number over its bound, the largest where there is a bound.

    A number that does not exist (NaN: one iteration is enough) is left out; an infinite one exceeds
    every bound.
    """
    known = np.isfinite(bound) & (bound > 0) & ~np.isnan(measured)
    share = measured[known] / bound[known]
    note = "" if known.all() else f"there are number and bound for {known.sum()} of {known.size}"
    return claims.claim(
        id,
        claims.Measured.exact(float(share.max()))
        if share.size
        else claims.Measured(None, None, None),
        claims.Theory(1.0, "<=", formula, margin=GRID, note=note),
        instance=f"{instance}; {note}" if note and instance else instance or note,
        what=f"{name} over its bound, largest",
        sampled=True,
        undecided=""
        if share.size
        else "no member has a bound, which needs ρ_t < 1: a larger beta decides",
    )


def _threshold_claims(views: Sequence[View]) -> list[claims.Claim]:
    """What was found of the first member's thresholds."""
    study, limits = views[0].study, views[0].found.more["limits"]
    if limits is None:
        return []
    swept = [axis.name for axis in study.axes if axis.name not in ("beta", "seed")]
    instance = "first member" if swept or study.config.seeds > 1 else "any β"
    inside = claims.Measured.between(limits.plain.value, limits.plain.low, limits.plain.high)
    made = [
        claims.claim(
            "pift/threshold",
            inside,
            claims.Theory(
                limits.lipschitz.value,
                "<=",
                "β with max_t ρ_t = 1",
                margin=limits.lipschitz.high - limits.lipschitz.value,
            ),
            instance=instance,
            decides="a smaller regularity.precision halves both",
            what="smallest β at which plain PI-FT converges, at most the sufficient one",
        )
    ]
    for name in ("paper", "lipschitz", "local", "well_posed"):
        limit = getattr(limits, name)
        made.append(
            claims.claim(
                "pift/threshold",
                claims.Measured.between(limit.value, limit.low, limit.high),
                instance=instance,
                what=THRESHOLDS[name],
            )
        )
    return made


def _notes(found: Measures) -> dict[str, str]:
    notes = {}
    worst = found.ratio.max(-1)
    if np.any(worst >= 1):
        step = int(found.ratio.reshape(-1, found.ratio.shape[-1]).max(0).argmax())
        notes["contraction"] = (
            f"{int((worst >= 1).sum())} of {worst.size} members lie beyond the sufficient "
            f"condition: max_t ρ_t up to {worst.max():.3g}, at step {step}"
        )
    if np.any(found.upward >= 1):
        posed = (found.upward < 1).all(-1)
        notes["well-posedness"] = (
            f"{int((~posed).sum())} of {posed.size} members need not have a unique optimum, and "
            "values with kinks are beyond any grid: raise beta"
        )
    return notes


def _figures(views: Sequence[View]) -> list[figures.Figure]:
    """The combination whose largest ratio is closest to one half: bounds are finite, and differ."""
    worst = np.array([float(view("ratio").max()) for view in views])
    view, others = views[int(np.argmin(np.abs(worst - 0.5)))], len(views) - 1
    note = f"drawn where max ρ is closest to 1/2; the data hold {others} more" if others else ""
    iterates = (_iterates(view, "value", "Values"), _iterates(view, "control", "Controls"))
    ratios, of_ratios = (_ratios(view), *_against_beta(views)), ("linear-convergence", "threshold")
    return [
        figures.Figure(
            "regularity", (*iterates, _best(view)), CONSTANTS, note, ("pift/regularity",)
        ),
        figures.Figure(
            "contraction", ratios, RATIOS, note, tuple(f"pift/{name}" for name in of_ratios)
        ),
    ]


def _iterates(view: View, name: str, title: str) -> figures.Panel:
    """Measured after i inner iterations, and the bound of each i >= 1 in its colour."""
    bounds = (
        view.theory("bounds" if i == SHOWN[-1] else "", f"{name}_bound", line=line, inner=i)
        for line, i in enumerate(SHOWN)
        if i
    )
    lines = (view.line(name, f"i = {i}", inner=i) for i in SHOWN)
    return view.panel("curves", "t", lines, *bounds, title=title, log="y")


def _best(view: View) -> figures.Panel:
    return view.panel(
        "curves",
        "t",
        {"best_slope": "measured"},
        view.theory("bound", "best_slope_bound", line=0),
        view.theory("bound from $V^*$ itself", "best_slope_paper"),
        title="Gradient of $V^*$",
        log="y",
        ylabel=r"Lip $\nabla V^*$",
    )


def _ratios(view: View) -> figures.Panel:
    lines = {"rate": "measured", "local": "at the optimum"}
    if np.allclose(view("rate"), view("local"), rtol=NEAR, atol=0):
        lines = {"rate": "measured, and at the optimum"}
    return view.panel(
        "curves",
        "t",
        lines,
        view.theory(r"$\rho_t$", "ratio", line=len(lines) - 1),
        view.theory("$q_t$", "paper_ratio"),
        title="Inner iteration",
        log="y",
        ylabel="ratio",
    )


def _against_beta(views: Sequence[View]) -> tuple[figures.Panel, ...]:
    study, limits = views[0].study, views[0].found.more["limits"]
    axes = [axis for axis in study.axes if axis.name != "seed"]
    if [axis.name for axis in axes] != ["beta"] or len(axes[0].values) < 2:
        return ()
    marks = [figures.Theory("1", level=1.0)]
    if limits is not None:
        marks.append(figures.Theory("plain PI-FT fails below", threshold=limits.plain.value))
    lines = (
        figures.Line("sweep_rate", "sweeps, measured"),
        figures.Line("largest_ratio", r"$\max_t\,\rho_t$"),
        figures.Line("largest_paper", r"$\max_t\,q_t$"),
    )
    title = "Whole sweeps against β"
    return (
        figures.Panel(
            "curves", "beta", lines, tuple(marks), title=title, xscale="log", yscale="log"
        ),
    )


CONSTANTS = (
    "Lipschitz constants along the generation after i inner iterations at each step, and their "
    "bounds."
)
RATIOS = (
    "Measured ratios of the iteration beside ρ_t = σ_t² Lip(∇V̄_{t+1})/β_t, V̄ the value smoothed by "
    "a step's noise, and q_t, the same of V_{t+1} itself: below 1 either is sufficient."
)
run = Recipe(
    bind=common.make_study,
    measure=measure,
    names=common.NAMES,
    quantities=QUANTITIES,
    claims=(_claims, _threshold_claims),
    figures=(_figures,),
)
