"""How fast policy iteration contracts, beside the exact ratio (`pift/linear-convergence`).

On linear-quadratic instances everything is exact: the ratio ρ_t of the inner iteration at step t
is the spectral radius of S_t P_{t+1}/β_t, whole sweeps contract at max_t ρ_t, and the value gap,
quadratic in the error, at its square. Compared are exponents, -log(ratio), of a run, and the ratios
of the update maps themselves, linearised at the optimum, with those predicted.
"""

from collections.abc import Iterator

import numpy as np

from fineq.claims import Claim, Measured, Theory
from fineq.claims.counting import over_seeds, seeds_words, share, transient, unless_holds
from fineq.figures import Figure, Line, Panel
from fineq.figures import Theory as Drawn
from fineq.rates import Rate, linear_rate
from fineq.results import Array as Named
from fineq.results import Arrays, StudyResult, status_of
from fineq.studies.common import Slice, dims_of, named_arrays, on, small_multiples, titled
from fineq.studies.pift import gridded_convergence
from fineq.studies.pift.affine import (
    Facts,
    Inner,
    Ratios,
    facts_of,
    inner_errors,
    measured_ratios,
    sweeps,
)
from fineq.studies.pift.claims import claim
from fineq.studies.pift.common import (
    Study,
    alike,
    coords_of,
    is_linear_quadratic,
    make_study,
    no_rate,
    relative,
    schedule_note,
    slices,
)
from fineq.studies.pift.config import PiftConfig
from fineq.studies.pift.instances import Given
from fineq.sweep import SweepResult
from fineq.sweep.stages import Stages

NUM_POWERS = 1000  # power iterations: modes within 1% of the slowest die out to 4e-5
MARGIN = 0.1  # on measured over predicted exponent, a limit seen over finitely many decades
EQUAL = 1e-6  # on measured over predicted ratio of the maps
ROUNDING = 1e-12
ABOUT = {"distance": "|m − m*|, largest over t", "gap": "value gap J* − J"}


def run(config: PiftConfig, given: Given, stages: Stages) -> StudyResult:
    """Sweep over the whole trajectory, and iterate at each step, on the same instances."""
    study = make_study(config, given, stages)
    if not is_linear_quadratic(study):
        return gridded_convergence.run(study)
    facts = facts_of(study)
    result = sweeps(study, "sweeps", config.inner.num_sweeps)
    inner = inner_errors(study, config.inner.num_inner)
    rates = _rates(study, result)
    ratios = measured_ratios(study, NUM_POWERS)
    return StudyResult(
        _arrays(study, facts, result, inner, ratios),
        coords_of(
            study.axes,
            config,
            iteration=result.iterations,
            t=np.arange(np.asarray(facts.ratios).shape[-1]),
            inner=np.arange(config.inner.num_inner + 1),
        ),
        (
            *_claims(study, facts, rates, ratios),
            *_from_afar(study, facts, result, inner),
        ),
        tuple(rate for by_name in rates for rate in by_name.values()),
        _figures(study, facts),
        status_of(result.diverged | ~np.asarray(facts.solution.well_posed)),
        {**schedule_note(config), **_notes(facts)},
    )


def _rates(study: Study, result: SweepResult) -> list[dict[str, Rate]]:
    return [
        {
            name: linear_rate(
                result.iterations,
                np.maximum(result.metrics[name][piece.index], 0.0),
                valid=result.valid[piece.index],
                diverged=result.diverged[piece.index],
                quantity=f"{text}, whole sweeps, {piece.label}".removesuffix(", "),
            )
            for name, text in ABOUT.items()
        }
        for piece in slices(study.axes)
    ]


def _from_afar(study: Study, facts: Facts, result: SweepResult, inner: Inner) -> Iterator[Claim]:
    """Whether iterations that contract at the optimum reach it from the pre-trained policy.

    The contraction is a local one, so that theory says nothing of this: it is measured alone.
    """
    errors = np.asarray(inner.to_optimum).max(axis=-2)
    nested = np.isfinite(errors[..., -1]) & (errors[..., -1] < errors[..., 0])
    for piece in slices(study.axes):
        contracting = np.asarray(facts.ratio)[piece.index] < 1
        if not contracting.any():
            continue
        words = seeds_words(
            int(contracting.sum()), contracting.size, "with max_t ρ_t < 1", alike(study)
        )
        for name, reached in (("whole sweeps", ~result.diverged), ("nested PI-FT", nested)):
            yield claim(
                "pift/linear-convergence",
                share(reached[piece.index][contracting], alike(study)),
                instance=on(piece, words),
                what=f"share on which {name} approach the optimum from the pre-trained policy",
            )


def _predicted(rule: str, formula: str) -> Theory | None:
    """What plain steps should do; damped and Newton steps have no such prediction here."""
    return Theory(1.0, "~", formula, margin=MARGIN) if rule == "plain" else None


def _exponent(study: Study, piece: Slice, rate: Rate, exponent: np.ndarray, power: int) -> Claim:
    """The decay of the means (power 1) or of the value gap (2) against exponents `[seed]`."""
    over, used, measured = relative(rate, power * exponent)
    theory = _predicted(study.config.inner.rule, ("-log max_t ρ_t", "-2 log max_t ρ_t")[power - 1])
    error = ("|m - m*|", "the value gap")[power - 1]
    seeds = seeds_words(len(used), over.size, "with a linear rate")
    why = transient(used, MARGIN / 2) if used else no_rate(rate, exponent)
    return claim(
        "pift/linear-convergence",
        measured,
        theory,
        instance=on(piece, seeds),
        what=f"decay exponent of {error}, whole sweeps, over the one predicted",
        undecided=unless_holds(measured, theory, why),
    )


def _claims(
    study: Study,
    facts: Facts,
    rates: list[dict[str, Rate]],
    ratios: Ratios,
) -> list[Claim]:
    found = []
    for piece, rate in zip(slices(study.axes), rates, strict=True):
        ratio = np.asarray(facts.ratio)[piece.index]
        posed = np.isfinite(ratio)
        instance = on(piece, seeds_words(int(posed.sum()), ratio.size, "that are well posed"))
        nothing = "" if posed.any() else "no member is well posed: a larger beta decides"
        with np.errstate(divide="ignore", invalid="ignore"):
            exponent = -np.log(ratio)
        known = _finite(np.asarray(facts.mismatch)[piece.index])
        mismatch = float(np.max(known)) if known.size else float("nan")
        steps = np.asarray(ratios.steps)[piece.index] / np.asarray(facts.ratios)[piece.index]
        apart = np.max(np.abs(steps - 1), axis=-1)
        found += [
            claim(
                "pift/optimality",
                Measured.exact(mismatch),
                Theory(ROUNDING, "<=", "rounding"),
                instance=instance,
                what="|V backward - J forward| over |J|, largest",
                undecided=nothing,
            ),
            _exponent(study, piece, rate["distance"], exponent, 1),
            _exponent(study, piece, rate["gap"], exponent, 2),
            claim(
                "pift/linear-convergence",
                over_seeds(np.asarray(ratios.sweep)[piece.index] / ratio, alike(study)),
                Theory(1.0, "~", "max_t ρ_t", margin=EQUAL),
                instance=instance,
                what="ratio of the linearised plain sweep over the predicted one",
                undecided=nothing,
            ),
            claim(
                "pift/linear-convergence",
                over_seeds(np.where(np.isfinite(apart), apart, np.nan), alike(study)),
                Theory(EQUAL, "<=", "ρ_t at V*"),
                instance=instance,
                what="plain inner iteration: |ratio/ρ_t - 1|, largest over t",
                undecided=nothing,
            ),
        ]
    return found


def median(values: np.ndarray) -> float:
    """Median of the finite values; NaN where there is none."""
    finite = _finite(values)
    return float(np.median(finite)) if finite.size else float("nan")


def _finite(values: np.ndarray) -> np.ndarray:
    return values[np.isfinite(values)]


def _notes(facts: Facts) -> dict[str, str]:
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


def _escape(facts: Facts) -> str:
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


def _arrays(
    study: Study,
    facts: Facts,
    result: SweepResult,
    inner: Inner,
    ratios: Ratios,
) -> Arrays:
    dims = dims_of(study.axes)
    shown = {name: result.metrics[name] for name in ABOUT if name in result.metrics}
    arrays = named_arrays(shown, dims, ABOUT, last=("iteration",))
    arrays |= named_arrays(
        {
            **facts._asdict(),
            "last_ratio": np.asarray(ratios.sweep),
            "per_step": np.asarray(ratios.steps),
        },
        dims,
        {
            "ratio": "predicted ratio max_t ρ_t",
            "ratios": "predicted ratio ρ_t",
            "last_ratio": "measured ratio of a sweep",
            "per_step": "measured ratio of an inner iteration",
            "value": "J*",
            "reward": "E r under the optimum",
            "divergence": "path KL of the optimum",
            "pretrained": "E r of the pre-trained chain",
        },
        last=("t",),
    )
    for name, text in (
        ("to_fixed_point", "|m − fixed point|"),
        ("to_optimum", "|m − m*|"),
    ):
        values = np.asarray(getattr(inner, name))
        arrays[name] = Named(values, (*dims, "t", "inner"), "1", text)
    return arrays


def _figures(study: Study, facts: Facts) -> tuple[Figure, ...]:
    pieces = slices(study.axes)

    def predicted(power: int) -> tuple[Drawn, ...]:
        ratios = [median(np.asarray(facts.ratio)[p.index]) ** power for p in pieces]
        return tuple(
            Drawn("theory" if i == 0 else "", ratio=ratio, line=i)
            for i, ratio in enumerate(ratios)
            if ratio < 1
        )

    def sweep_panel(name: str, title: str, power: int) -> Panel:
        lines = tuple(Line(name, piece.label, piece.at) for piece in pieces)
        drawn = predicted(power)
        return Panel(
            "convergence", "iteration", lines, drawn, title=title, ordered=True, xlabel="sweep"
        )

    return (
        Figure(
            "linear_convergence",
            (
                sweep_panel("distance", "Means, whole sweeps", 1),
                sweep_panel("gap", "Value gap, whole sweeps", 2),
            ),
            "Policy iteration on the whole trajectory, and the exact ratio max_t ρ_t (means) and "
            "its square (value gap), median over seeds.",
        ),
        *small_multiples("per_step", pieces, lambda p: [_per_step(p), _inner_panel(p, facts)]),
    )


def _per_step(piece: Slice) -> Panel:
    return Panel(
        "curves",
        "t",
        (Line("per_step", "measured", piece.at),),
        (Drawn("ρ_t", variable="ratios", line=0, at=piece.at),),
        title=titled("Ratio of the inner iteration", piece),
        yscale="log",
        ylabel="ratio",
    )


def _inner_panel(piece: Slice, facts: Facts) -> Panel:
    ratios = np.asarray(facts.ratios)[piece.index]
    T = ratios.shape[-1]
    slowest = int(np.argmax([median(of_step) for of_step in ratios.T]))
    steps = sorted({slowest, T - 1, T // 2})
    lines = tuple(Line("to_optimum", f"t = {t}", {**piece.at, "t": t}) for t in steps)
    return Panel(
        "convergence",
        "inner",
        lines,
        title=titled("Nested PI-FT", piece),
        ordered=True,
        xlabel="inner iteration",
    )
