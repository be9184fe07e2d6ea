"""`linear_convergence` where no quadratic is exact: laws on a line or in the plane, on a grid.

The local ratio at the optimum, the spectral radius of ∇²V̄(m*)/k over all m* that carry mass,
predicts the rate; the Lipschitz bound ρ_t, over all means, is what the theory asks to be below 1.
"""

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array

from fineq.claims import Claim, Theory
from fineq.claims.counting import seeds_words, transient, unless_holds
from fineq.figures import Figure, Line, Panel
from fineq.figures import Theory as Drawn
from fineq.iterate import unroll
from fineq.pift.grid.checks import change_under_halving, memory_bytes
from fineq.pift.grid.gridded import gridded
from fineq.pift.grid.nested import nested
from fineq.pift.grid.solve import optimum
from fineq.pift.grid.sweeps import GridSweeps
from fineq.pift.grid.tensor import Grid
from fineq.rates import Rate, linear_rate
from fineq.results import StudyResult, status_of
from fineq.studies.common import Slice, dims_of, named_arrays, on, small_multiples, titled
from fineq.studies.pift.claims import claim
from fineq.studies.pift.common import (
    Study,
    coords_of,
    instances_words,
    no_rate,
    relative,
    schedule_note,
    slices,
)
from fineq.studies.pift.regularity_measures import grid_of
from fineq.sweep.stages import Member

ABOUT = {
    "distance": "|m − m*|, largest over t",
    "gap": "value gap J* − J",
    "local": "predicted ratio: curvature at the optimum",
    "bound": "Lipschitz bound ρ_t",
    "rate": "measured ratio of an inner iteration",
}
Numbers = Any  # arrays, of JAX while a program is traced and of NumPy afterwards
MARGIN = 0.1  # as on linear-quadratic instances
FLOOR = 1e-10  # of values on a grid
MOST_TO_HALVE = 2**31  # bytes that the finer grid may take


class Found(NamedTuple):
    """One member: `distance [n + 1]` and `gap [n]` over sweeps; the others `[T]`."""

    distance: Numbers
    gap: Numbers
    local: Numbers
    bound: Numbers
    upward: Numbers
    rate: Numbers
    solved: Numbers


def run(study: Study) -> StudyResult:
    """Sweep and iterate on the grid, for every member."""
    config, grid = study.config, grid_of(study)
    rule: Any = config.inner.rule

    def look(member: Member) -> Found:
        problem = study.instance(member).problem
        posed = gridded(problem, grid)
        best = optimum(posed)
        inner = nested(posed, config.inner.num_inner, rule, reference=best)
        num = config.inner.num_sweeps
        swept = unroll(posed, GridSweeps(rule), num_steps=num, reference=best)[1]
        return Found(
            jnp.max(swept["distance"], axis=-1),
            jnp.append(swept["gap"][1:], jnp.nan),
            best.optimal.ratio,
            best.everywhere.ratio,
            best.everywhere.highest,
            last_ratio(inner.to_fixed),
            jnp.all(best.residual < FLOOR),
        )

    found = Found(*map(np.asarray, study.stages.measure("grid", look, study.axes)))
    iterations = np.arange(found.distance.shape[-1])
    rates = [_rate(found, piece, iterations) for piece in slices(study.axes)]
    dims = dims_of(study.axes)
    arrays = named_arrays(
        found._asdict(), dims, {k: ABOUT[k] for k in ("distance", "gap")}, last=("iteration",)
    )
    steps = {k: ABOUT[k] for k in ("local", "bound", "rate")}
    arrays |= named_arrays(found._asdict(), dims, steps, last=("t",))
    return StudyResult(
        arrays,
        coords_of(study.axes, config, iteration=iterations, t=np.arange(found.local.shape[-1])),
        tuple(_claims(study, found, rates)),
        tuple(rates),
        _figures(study, found),
        status_of(~found.solved),
        {
            "grid": f"{grid.num} points on each axis, from {np.round(grid.low, 2).tolist()} to "
            f"{np.round(grid.axes[:, -1], 2).tolist()}",
            "error of the grid": _halved(study, grid),
            **schedule_note(config),
            **_notes(found),
        },
    )


def _halved(study: Study, grid: Grid) -> str:
    """How far a grid of half the spacing moves the optimum of the first member."""
    first = {axis.name: axis.values[0] for axis in study.axes}
    fine = 2 * grid.num - 1
    problem = study.instance(first).problem
    needed = memory_bytes(grid.d, fine, problem.num_steps)
    if needed > MOST_TO_HALVE:
        return f"unknown: half the spacing would take {needed / 2**30:.3g} GiB"
    change = change_under_halving(problem, grid)
    return (
        f"half the spacing moves V_t by at most {float(jnp.max(change.value)):.2g} and m*_t by "
        f"{float(jnp.max(change.mean)):.2g}, first member"
    )


def _notes(found: Found) -> dict[str, str]:
    notes = {}
    for name, values, meaning in (
        ("contraction", found.bound, "lie beyond the Lipschitz condition: max_t ρ_t"),
        ("well-posedness", found.upward, "need not have a unique optimum: σ²/β times curvature"),
    ):
        worst = values.max(axis=-1)
        if np.any(worst >= 1):
            step = int(values.reshape(-1, values.shape[-1]).max(axis=0).argmax())
            notes[name] = (
                f"{int((worst >= 1).sum())} of {worst.size} members {meaning} up to "
                f"{worst.max():.3g}, at step {step}; raise beta"
            )
    return notes


def last_ratio(errors: Array) -> Array:
    """The last ratio of successive errors `[..., n]` above the grid's rounding; NaN if none is."""
    ratios = errors[..., 1:] / jnp.maximum(errors[..., :-1], FLOOR**2)
    resolved = errors[..., 1:] > FLOOR
    index = resolved.shape[-1] - 1 - jnp.argmax(resolved[..., ::-1], axis=-1)
    last = jnp.take_along_axis(ratios, index[..., None], axis=-1)[..., 0]
    return jnp.where(jnp.any(resolved, axis=-1), last, jnp.nan)


def _rate(found: Found, piece: Slice, iterations: np.ndarray) -> Rate:
    errors = found.distance[piece.index]
    return linear_rate(
        iterations,
        np.where(np.isfinite(errors), errors, np.nan),
        valid=np.isfinite(errors) & (errors > FLOOR),
        quantity=f"{ABOUT['distance']}, whole sweeps, {piece.label}".removesuffix(", "),
    )


def _claims(study: Study, found: Found, rates: list[Rate]) -> list[Claim]:
    claims = []
    plain = study.config.inner.rule == "plain"
    for piece, rate in zip(slices(study.axes), rates, strict=True):
        local = found.local[piece.index].max(axis=-1)
        bound = float(np.max(found.bound[piece.index]))
        with np.errstate(divide="ignore", invalid="ignore"):
            exponent = np.where((local > 0) & (local < 1), -np.log(local), np.nan)
        over, used, interval = relative(rate, exponent)
        words = instances_words(study)
        if over.size > 1:
            words = seeds_words(len(used), over.size, "that contract, with a linear rate")
        instance = on(piece, words)
        theory = Theory(1.0, "~", "-log of the curvature at the optimum", margin=MARGIN)
        why = transient(used, MARGIN / 2) if used else no_rate(rate, exponent)
        claims += [
            claim(
                "pift/linear-convergence",
                interval,
                theory if plain else None,
                instance=instance,
                what="decay exponent of |m - m*|, whole sweeps, over the predicted one",
                undecided=unless_holds(interval, theory, why),
            ),
            claim(
                "pift/linear-convergence",
                rate.ratio,
                Theory(bound, "<=", "max_t ρ_t = σ_t² Lip(∇V̄_{t+1})/β_t") if bound < 1 else None,
                instance=instance,
                what="ratio of a sweep, and the Lipschitz bound",
                decides="a finer grid and more of inner.num_sweeps narrow it",
            ),
        ]
    return claims


def _figures(study: Study, found: Found) -> tuple[Figure, ...]:
    pieces = slices(study.axes)
    ratios = [float(np.median(found.local[p.index].max(axis=-1))) for p in pieces]
    drawn = tuple(
        Drawn("theory" if i == 0 else "", ratio=r, line=i) for i, r in enumerate(ratios) if r < 1
    )
    lines = tuple(Line("distance", p.label, p.at) for p in pieces)
    sweeps = Panel(
        "convergence",
        "iteration",
        lines,
        drawn,
        title="Means, whole sweeps",
        ordered=True,
        xlabel="sweep",
    )
    caption = (
        "Policy iteration on a grid, the ratio that the curvature at the optimum predicts, and the "
        "Lipschitz bound."
    )
    return (
        Figure("linear_convergence", (sweeps,), caption),
        *small_multiples("per_step", pieces, _per_step, caption),
    )


def _per_step(piece: Slice) -> list[Panel]:
    panel = Panel(
        "curves",
        "t",
        (Line("rate", "measured", piece.at),),
        (
            Drawn("at the optimum", variable="local", line=0, at=piece.at),
            Drawn("Lipschitz bound", variable="bound", at=piece.at),
        ),
        title=titled("Ratio of the inner iteration", piece),
        yscale="log",
        ylabel="ratio",
    )
    return [panel]
