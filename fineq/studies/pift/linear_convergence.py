"""How fast policy iteration contracts, beside the exact ratio (`pift/linear-convergence`).

On linear-quadratic instances everything is exact: the ratio ρ_t of the inner iteration at step t
is the spectral radius of S_t P_{t+1}/β_t, whole sweeps contract at max_t ρ_t, and the value gap,
quadratic in the error, at its square. Compared are exponents, -log(ratio), of a run, and the ratios
of the update maps themselves, linearised at the optimum, with those predicted. Laws that no
quadratic solves are in `gridded_convergence`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fineq import figures
from fineq.claims import Measured, Theory
from fineq.results import StudyResult
from fineq.studies import statistics
from fineq.studies.decay import Decay, LinearRate
from fineq.studies.pift import affine, common, gridded_convergence
from fineq.studies.pift.config import PiftConfig
from fineq.studies.pift.instances import Given
from fineq.studies.recipe import Draw, Found, Quantity, Recipe, Row, View
from fineq.sweep.stages import Stages

NUM_POWERS = 1000  # power iterations: modes within 1% of the slowest die out to 4e-5
MARGIN = 0.1  # on measured over predicted exponent, a limit seen over finitely many decades
EQUAL = 1e-6  # on measured over predicted ratio of the maps
ROUNDING = 1e-12
QUANTITIES = (
    Quantity("distance", "|m − m*|, largest over t", ("iteration",)),
    Quantity("gap", "value gap J* − J", ("iteration",)),
    Quantity("ratio", "predicted ratio max_t ρ_t"),
    Quantity("ratios", "predicted ratio ρ_t", ("t",)),
    Quantity("last_ratio", "measured ratio of a sweep"),
    Quantity("per_step", "measured ratio of an inner iteration", ("t",)),
    Quantity("value", "J*"),
    Quantity("reward", "E r under the optimum"),
    Quantity("divergence", "path KL of the optimum"),
    Quantity("pretrained", "E r of the pre-trained chain"),
    Quantity("to_fixed_point", "|m − fixed point|", ("t", "inner")),
    Quantity("to_optimum", "|m − m*|", ("t", "inner")),
    *affine.of_means("best", "the optimal m*"),
    *affine.of_means("last", "m after the last sweep"),
)


def run(config: PiftConfig, given: Given, stages: Stages) -> StudyResult:
    """Sweep over the whole trajectory, and iterate at each step, on the same instances."""
    study = common.make_study(config, given, stages)
    return (EXACT if common.is_linear_quadratic(study) else gridded_convergence.RECIPE)(
        config, given, stages
    )


def measure(study: common.Study) -> Found:
    """The exact facts, a run of each kind of iteration, and the ratios of the maps."""
    config, facts = study.config, affine.facts_of(study)
    result = affine.sweeps(study, "sweeps", config.inner.num_sweeps)
    inner = affine.inner_errors(study, config.inner.num_inner)
    ratios = affine.measured_ratios(study, NUM_POWERS)
    posed = np.asarray(facts.solution.well_posed)
    names = ("ratio", "ratios", "value", "reward", "divergence", "pretrained")
    values = {
        **{name: result.metrics[name] for name in ("distance", "gap")},
        **{name: getattr(facts, name) for name in names},
        "last_ratio": ratios.sweep,
        "per_step": ratios.steps,
        **inner._asdict(),
        **affine.means("best", facts.solution.policy),
        **affine.means("last", result.final),
    }
    coords = {
        "iteration": result.iterations,
        "t": np.arange(np.shape(facts.ratios)[-1]),
        "inner": np.arange(config.inner.num_inner + 1),
    }
    return Found(
        values,
        coords=coords,
        lost=result.diverged | ~posed,
        notes={**common.schedule_note(config), **_notes(facts)},
        more={
            "valid": result.valid,
            "diverged": result.diverged,
            "mismatch": np.asarray(facts.mismatch),
        },
    )


def _notes(facts: affine.Facts) -> dict[str, str]:
    ratio = np.asarray(facts.ratio)
    posed = np.asarray(facts.solution.well_posed)
    notes = {}
    if np.any(ratio >= 1):
        known = np.nan_to_num(np.asarray(facts.ratios))
        where = int(np.argmax(known.reshape(-1, known.shape[-1]).max(axis=0)))
        notes["contraction"] = (
            f"{int(np.sum(ratio >= 1))} of {ratio.size} members lie beyond contraction: "
            f"max_t ρ_t up to {np.nanmax(ratio):.3g}, at step {where}; raise beta, or take "
            "inner.rule=newton"
        )
    if not posed.all():
        notes["well-posedness"] = (
            f"{int((~posed).sum())} of {posed.size} members are not well posed: their value is "
            f"infinite; raise beta. {_escape(facts)}"
        )
    return notes


def _escape(facts: affine.Facts) -> str:
    """Where and along which direction the first ill-posed member's bracket grows for ever."""
    first = tuple(np.argwhere(~np.asarray(facts.solution.well_posed))[0])
    highest = np.asarray(facts.solution.highest)[first]
    # Backwards in t, the last step that is still known is the first that fails.
    failing = np.flatnonzero(highest >= 1)
    if not failing.size:
        return ""
    step = int(failing[-1])
    direction = np.asarray(facts.solution.direction)[(*first, step)]
    shown = ", ".join(f"{x:.2g}" for x in direction)
    return f"The first of them fails at step {step} along ({shown})"


def _masks(view: View, errors: np.ndarray) -> Mapping[str, np.ndarray]:
    return {name: view.found.more[name][view.piece.index] for name in ("valid", "diverged")}


def _decay(name: str, power: int) -> Decay:
    """The decay of the means (power 1) or of the value gap (2) against that predicted."""

    def predicted(view: View) -> np.ndarray:
        with np.errstate(divide="ignore", invalid="ignore"):
            return -power * np.log(view("ratio"))

    rate = LinearRate(name, "iteration", "whole sweeps", _masks)
    return Decay(rate, predicted, MARGIN / 2, common.no_rate)


def _predicted(formula: str) -> Any:
    """What plain steps should do; damped and Newton steps have no such prediction here."""
    theory = Theory(1.0, "~", formula, margin=MARGIN)
    return lambda view: theory if view.study.config.inner.rule == "plain" else None


def _posed(view: View) -> np.ndarray:
    return np.isfinite(view("ratio"))


def _nothing(view: View, got: statistics.Got) -> str:
    return "" if _posed(view).any() else "no member is well posed: a larger beta decides"


def _mismatch(view: View) -> statistics.Got:
    """|V backward - J forward| over |J|, the largest of those that are well posed."""
    found = view.found.more["mismatch"][view.piece.index]
    largest = np.max(found[np.isfinite(found)], initial=-np.inf)
    measured = Measured.exact(float(largest) if np.isfinite(largest) else float("nan"))
    return statistics.Got(measured, int(_posed(view).sum()))


def _apart(view: View) -> np.ndarray:
    """|ratio/ρ_t - 1| of the inner iteration, largest over t."""
    apart = np.max(np.abs(view("per_step") / view("ratios") - 1), axis=-1)
    return np.where(np.isfinite(apart), apart, np.nan)


def _contracting(view: View) -> np.ndarray:
    return view("ratio") < 1


def _swept(view: View) -> np.ndarray:
    return ~view.found.more["diverged"][view.piece.index]


def _nested(view: View) -> np.ndarray:
    errors = view("to_optimum").max(axis=-2)
    return np.isfinite(errors[..., -1]) & (errors[..., -1] < errors[..., 0])


def _sweep_panel(views: Sequence[View], name: str, title: str, power: int) -> figures.Panel:
    ratios = [median(view("ratio")) ** power for view in views]
    label = r"$\max_t\,\rho_t$" if power == 1 else r"$(\max_t\,\rho_t)^2$"
    return gridded_convergence.over_sweeps(views, name, title, label, ratios)


def _whole_sweeps(views: Sequence[View]) -> list[figures.Figure]:
    panels = (
        _sweep_panel(views, "distance", "Means, whole sweeps", 1),
        _sweep_panel(views, "gap", "Value gap, whole sweeps", 2),
    )
    caption = (
        "Policy iteration on the whole trajectory, and the exact ratio max_t ρ_t (means) and "
        "its square (value gap), median over seeds."
    )
    return [figures.Figure("linear_convergence", panels, caption, claims=(ID,))]


def _per_step(view: View) -> list[figures.Panel]:
    """The ratio at every step, and nested PI-FT at the slowest, the middle and the last."""
    ratio = view.panel(
        "curves",
        "t",
        {"per_step": "measured"},
        view.theory(r"$\rho_t$", "ratios", line=0),
        title="Ratio of the inner iteration",
        log="y",
        ylabel="ratio",
    )
    ratios = view("ratios")
    T = ratios.shape[-1]
    slowest = int(np.argmax([median(of_step) for of_step in ratios.T]))
    nested = view.panel(
        "convergence",
        "inner",
        [view.line("to_optimum", f"t = {t}", t=t) for t in sorted({slowest, T - 1, T // 2})],
        title="Nested PI-FT",
        ordered=True,
        xlabel="inner iteration",
        ylabel="$|m - m^*|$",
    )
    return [ratio, nested]


def median(values: np.ndarray) -> float:
    """Median of the finite values; NaN where there is none."""
    finite = values[np.isfinite(values)]
    return float(np.median(finite)) if finite.size else float("nan")


ID = "pift/linear-convergence"
FROM_AFAR = "share on which {} approach the optimum from the pre-trained policy"
EXACT = Recipe(
    bind=common.make_study,
    measure=measure,
    names=common.NAMES,
    quantities=QUANTITIES,
    claims=(
        Row(
            "pift/optimality",
            "|V backward - J forward| over |J|, largest",
            _mismatch,
            Theory(ROUNDING, "<=", "rounding"),
            who="that are well posed",
            undecided=_nothing,
        ),
        Row(
            ID,
            "decay exponent of |m - m*|, whole sweeps, over the one predicted",
            _decay("distance", 1),
            _predicted("-log max_t ρ_t"),
            who="with a linear rate",
        ),
        Row(
            ID,
            "decay exponent of the value gap, whole sweeps, over the one predicted",
            _decay("gap", 2),
            _predicted("-2 log max_t ρ_t"),
            who="with a linear rate",
        ),
        Row(
            ID,
            "ratio of the linearised plain sweep over the predicted one",
            statistics.Median(lambda view: view("last_ratio") / view("ratio")),
            Theory(1.0, "~", "max_t ρ_t", margin=EQUAL),
            who="that are well posed",
            undecided=_nothing,
        ),
        Row(
            ID,
            "plain inner iteration: |ratio/ρ_t - 1|, largest over t",
            statistics.Median(_apart),
            Theory(EQUAL, "<=", "ρ_t at V*"),
            who="that are well posed",
            undecided=_nothing,
        ),
        # The contraction is a local one: theory says nothing of this, it is measured alone.
        *(
            Row(
                ID,
                FROM_AFAR.format(name),
                statistics.Share(reached, among=_contracting),
                who="with max_t ρ_t < 1",
                when=lambda view: bool(_contracting(view).any()),
            )
            for name, reached in (("whole sweeps", _swept), ("nested PI-FT", _nested))
        ),
    ),
    figures=(_whole_sweeps, Draw("per_step", _per_step, claims=(ID,))),
)
