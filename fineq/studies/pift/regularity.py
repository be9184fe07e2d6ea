"""Lipschitz constants of PI-FT's iterates beside their bounds (`pift/regularity`).

On a grid, everything the theory assumes or proves can be measured: constants of controls, values
and their gradients for every t and inner iteration, the contraction ratios ρ_t that follow from
them, the rates actually seen, and the smallest β at which each condition holds.
"""

import numpy as np

from fineq.claims import Claim, Measured, Theory
from fineq.figures import Figure, Line, Panel
from fineq.figures import Theory as Drawn
from fineq.results import Array as Named
from fineq.results import Arrays, StudyResult, status_of
from fineq.studies.common import Slice, dims_of, named_arrays, titled
from fineq.studies.pift.claims import claim
from fineq.studies.pift.common import Study, coords_of, make_study, slices
from fineq.studies.pift.config import PiftConfig
from fineq.studies.pift.instances import Given
from fineq.studies.pift.regularity_measures import (
    Measures,
    Thresholds,
    grid_of,
    measures,
    thresholds,
)
from fineq.sweep.stages import Stages

# Suprema are over grid points, so a measured one is low by up to (spacing/2)² of its curvature.
GRID = 0.01
SHOWN = (0, 1, 2)  # inner iterations that are drawn
PER_STEP = {
    "best_value": "Lip V*",
    "best_value_bound": "bound of Lip V*",
    "best_value_paper": "bound of Lip V* from V* itself",
    "best_slope": "Lip ∇V*",
    "best_slope_bound": "bound of Lip ∇V*",
    "best_slope_paper": "bound of Lip ∇V* from V* itself",
    "best_control": "Lip u*",
    "value_recursion": "bound of Lip V* from the reward alone",
    "slope_recursion": "bound of Lip ∇V* from the reward alone",
    "paper_ratio": "q = σ² Lip(∇V)/β",
    "ratio": "ρ = σ² Lip(∇V̄)/β",
    "local": "contraction ratio at the optimum",
    "upward": "σ²/β times the largest positive curvature of V̄",
    "rate": "measured ratio of the inner iteration",
}
PER_ITERATION = {
    "value": "Lip V",
    "value_bound": "bound of Lip V",
    "slope": "Lip ∇V",
    "control": "Lip u",
    "control_bound": "bound of Lip u",
}
THRESHOLDS = {
    "paper": "smallest β with max_t q_t < 1",
    "lipschitz": "smallest β with max_t ρ_t < 1",
    "local": "smallest β whose optimum is contracting everywhere",
    "well_posed": "smallest well-posed β",
    "plain": "smallest β at which plain PI-FT converges, tried",
}


def run(config: PiftConfig, given: Given, stages: Stages) -> StudyResult:
    """Measure constants, ratios and thresholds on one grid."""
    study = make_study(config, given, stages)
    grid = grid_of(study)
    found: Measures = stages.measure(
        "constants", lambda member: measures(study.instance(member), grid, config), study.axes
    )
    found = Measures(*(np.asarray(x) for x in found))
    limits = thresholds(study, grid) if config.regularity.thresholds else None
    num_steps = found.ratio.shape[-1]
    return StudyResult(
        _arrays(study, found, limits),
        coords_of(
            study.axes,
            config,
            t=np.arange(num_steps),
            inner=np.arange(config.inner.num_inner + 1),
            iteration=np.arange(config.inner.num_sweeps + 1),
        ),
        (*_claims(study, found), *(_threshold_claims(study, limits) if limits else ())),
        (),
        _figures(study, found, limits),
        status_of(~found.solved),
        _notes(found),
    )


def _claims(study: Study, found: Measures) -> list[Claim]:
    """Every measured number over its bound, the largest over members, steps and iterations."""
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
        *(_within("pift/regularity", *pair, instance) for pair in pairs),
        claim(
            "pift/regularity",
            Measured.exact(float(growth.max())),
            instance=instance,
            what="Lip ∇V_t^i, largest over i, over its last; largest over t",
        ),
        *(
            _within("pift/linear-convergence", f"ratio of {name}", measured, bound, text, instance)
            for name, measured, bound, text in (
                ("inner iterations", at.rate, ratio, "ρ_t"),
                ("whole sweeps", at.sweep_rate, worst, "max_t ρ_t"),
            )
        ),
    ]


def _within(
    id: str, name: str, measured: np.ndarray, bound: np.ndarray, formula: str, instance: str
) -> Claim:
    """A measured number over its bound, the largest where there is a bound.

    A number that does not exist (NaN: one iteration is enough) is left out; an infinite one exceeds
    every bound.
    """
    known = np.isfinite(bound) & (bound > 0) & ~np.isnan(measured)
    share = measured[known] / bound[known]
    note = "" if known.all() else f"there are number and bound for {known.sum()} of {known.size}"
    return claim(
        id,
        Measured.exact(float(share.max())) if share.size else Measured(None, None, None),
        Theory(1.0, "<=", formula, margin=GRID, note=note),
        instance=f"{instance}; {note}" if note and instance else instance or note,
        what=f"{name} over its bound, largest",
        sampled=True,
        undecided=""
        if share.size
        else "no member has a bound, which needs ρ_t < 1: a larger beta decides",
    )


def _threshold_claims(study: Study, limits: Thresholds) -> list[Claim]:
    swept = [axis.name for axis in study.axes if axis.name not in ("beta", "seed")]
    instance = "first member" if swept or study.config.seeds > 1 else "any β"
    inside = Measured.between(limits.plain.value, limits.plain.low, limits.plain.high)
    claims = [
        claim(
            "pift/threshold",
            inside,
            Theory(
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
        claims.append(
            claim(
                "pift/threshold",
                Measured.between(limit.value, limit.low, limit.high),
                instance=instance,
                what=THRESHOLDS[name],
            )
        )
    return claims


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


def _arrays(study: Study, found: Measures, limits: Thresholds | None) -> Arrays:
    dims = dims_of(study.axes)
    values = found._asdict()
    arrays = named_arrays(values, dims, PER_STEP, last=("t",))
    arrays |= named_arrays(values, dims, PER_ITERATION, last=("t", "inner"))
    arrays["distance"] = Named(found.to_best, (*dims, "iteration"), "1", "|m − m*|, largest over t")
    # The last policy is not evaluated any more.
    gap = np.concatenate([found.gap, np.full((*found.gap.shape[:-1], 1), np.nan)], -1)
    arrays["gap"] = Named(np.maximum(gap, 0), (*dims, "iteration"), "1", "value gap J* − J")
    arrays["largest_ratio"] = Named(found.ratio.max(-1), dims, "1", "max over t of ρ")
    arrays["largest_paper"] = Named(found.paper_ratio.max(-1), dims, "1", "max over t of q")
    arrays["largest_upward"] = Named(found.upward.max(-1), dims, "1", "max over t, upwards only")
    arrays["sweep_rate"] = Named(found.sweep_rate, dims, "1", "measured ratio of sweeps")
    for name, text in THRESHOLDS.items():
        if limits is not None:
            arrays[f"beta_{name}"] = Named(getattr(limits, name).value, (), "1", text)
    return arrays


def _figures(study: Study, found: Measures, limits: Thresholds | None) -> tuple[Figure, ...]:
    pieces = slices(study.axes)
    shown = _chosen(pieces, found)
    others = len(pieces) - 1
    note = f"drawn where max ρ is closest to 1/2; the data hold {others} more" if others else ""
    figures = [
        Figure(
            "regularity",
            (
                _iterates("value", "Values", shown),
                _iterates("control", "Controls", shown),
                _best(shown),
            ),
            "Lipschitz constants along the generation after i inner iterations, and their bounds.",
            note,
        ),
        Figure("contraction", (_ratios(shown), *_against_beta(study, limits)), note=note),
    ]
    return tuple(figures)


def _chosen(pieces: list[Slice], found: Measures) -> Slice:
    """The piece whose largest ratio is closest to one half: bounds are finite, and differ."""
    worst = np.array([float(found.ratio[p.index].max()) for p in pieces])
    return pieces[int(np.argmin(np.abs(worst - 0.5)))]


def _iterates(name: str, title: str, piece: Slice) -> Panel:
    lines = tuple(Line(name, f"i = {i}", {**piece.at, "inner": i}) for i in SHOWN)
    last = SHOWN.index(2)
    bound = Drawn("bound, i = 2", variable=f"{name}_bound", line=last, at={**piece.at, "inner": 2})
    return Panel("curves", "t", lines, (bound,), title=titled(title, piece), yscale="log")


def _best(piece: Slice) -> Panel:
    return Panel(
        "curves",
        "t",
        (Line("best_slope", "measured", piece.at),),
        (
            Drawn("bound", variable="best_slope_bound", line=0, at=piece.at),
            Drawn("bound from V* itself", variable="best_slope_paper", at=piece.at),
        ),
        title=titled("Gradient of V*", piece),
        yscale="log",
    )


def _ratios(piece: Slice) -> Panel:
    return Panel(
        "curves",
        "t",
        (Line("rate", "measured", piece.at), Line("local", "at the optimum", piece.at)),
        (
            Drawn("ρ", variable="ratio", line=1, at=piece.at),
            Drawn("q", variable="paper_ratio", at=piece.at),
        ),
        title=titled("Inner iteration", piece),
        yscale="log",
        ylabel="ratio",
    )


def _against_beta(study: Study, limits: Thresholds | None) -> tuple[Panel, ...]:
    axes = [axis for axis in study.axes if axis.name != "seed"]
    if [axis.name for axis in axes] != ["beta"] or len(axes[0].values) < 2:
        return ()
    marks = [Drawn("1", level=1.0)]
    if limits is not None:
        marks.append(Drawn("plain PI-FT fails below", threshold=limits.plain.value))
    lines = (
        Line("sweep_rate", "sweeps, measured"),
        Line("largest_ratio", "max ρ"),
        Line("largest_paper", "max q"),
    )
    title = "Whole sweeps against β"
    return (Panel("curves", "beta", lines, tuple(marks), title=title, xscale="log", yscale="log"),)
