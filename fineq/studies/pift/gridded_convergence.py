"""`linear_convergence` where no quadratic is exact: laws on a line or in the plane, on a grid.

The local ratio at the optimum, the spectral radius of ∇²V̄(m*)/k over all m* that carry mass,
predicts the rate; the Lipschitz bound ρ_t, over all means, is what the theory asks to be below 1.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array

from fineq import figures
from fineq.claims import Theory
from fineq.claims.counting import over_seeds
from fineq.iterate import unroll
from fineq.pift.grid.checks import change_under_halving, memory_bytes
from fineq.pift.grid.nested import nested
from fineq.pift.grid.posed import gridded
from fineq.pift.grid.solve import optimum
from fineq.pift.grid.sweeps import GridSweeps
from fineq.pift.grid.tensor import Grid
from fineq.studies.decay import Decay, LinearRate
from fineq.studies.pift import common
from fineq.studies.pift.grids import grid_of
from fineq.studies.recipe import Draw, Found, Quantity, Recipe, Row, View
from fineq.studies.statistics import Got
from fineq.sweep.stages import Member

MARGIN = 0.1  # as on linear-quadratic instances
FLOOR = 1e-10  # of values on a grid
MOST_TO_HALVE = 2**31  # bytes that the finer grid may take
NEAR = 0.05  # of one another: two lines that cannot be told apart
LABELS = {"distance": r"$|m - m^*|$, largest over $t$", "gap": "value gap $J^* - J$"}
QUANTITIES = (
    Quantity("distance", "|m − m*|, largest over t", ("iteration",)),
    Quantity("gap", "value gap J* − J", ("iteration",)),
    Quantity("local", "predicted ratio: curvature at the optimum", ("t",)),
    Quantity("bound", "Lipschitz bound ρ_t", ("t",)),
    Quantity("rate", "measured ratio of an inner iteration", ("t",)),
)


def measure(study: common.Study) -> Found:
    """Sweep and iterate on the grid, for every member."""
    config, grid = study.config, grid_of(study)
    rule: Any = config.inner.rule

    def look(member: Member) -> dict[str, Array]:
        problem = study.instance(member).problem
        posed = gridded(problem, grid)
        best = optimum(posed)
        inner = nested(posed, config.inner.num_inner, rule, reference=best)
        num = config.inner.num_sweeps
        swept = unroll(posed, GridSweeps(rule), num_steps=num, reference=best)[1]
        return {
            "distance": jnp.max(swept["distance"], axis=-1),
            "gap": jnp.append(swept["gap"][1:], jnp.nan),
            "local": best.optimal.ratio,
            "bound": best.everywhere.ratio,
            "upward": best.everywhere.highest,
            "rate": last_ratio(inner.to_fixed),
            "solved": jnp.all(best.residual < FLOOR),
        }

    measured = study.stages.measure("grid", look, study.axes)
    found = {name: np.asarray(x) for name, x in measured.items()}
    notes = {
        "grid": f"{grid.num} points on each axis, from {np.round(grid.low, 2).tolist()} to "
        f"{np.round(grid.axes[:, -1], 2).tolist()}",
        "error of the grid": _halved(study, grid),
        **common.schedule_note(config),
        **_notes(found),
    }
    coords = {name: np.arange(found[of].shape[-1]) for name, of in COORDS.items()}
    return Found(found, coords=coords, lost=~found["solved"], notes=notes)


COORDS = {"iteration": "distance", "t": "local"}


def _halved(study: common.Study, grid: Grid) -> str:
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


def _notes(found: Mapping[str, np.ndarray]) -> dict[str, str]:
    notes = {}
    for name, of, meaning in (
        ("contraction", "bound", "lie beyond the Lipschitz condition: max_t ρ_t"),
        ("well-posedness", "upward", "need not have a unique optimum: σ²/β times curvature"),
    ):
        values = found[of]
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


def _masks(view: View, errors: np.ndarray) -> Mapping[str, np.ndarray]:
    return {"valid": np.isfinite(errors) & (errors > FLOOR)}


def _predicted(view: View) -> np.ndarray:
    local = view("local").max(axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where((local > 0) & (local < 1), -np.log(local), np.nan)


RATE = LinearRate("distance", "iteration", "whole sweeps", _masks)


def _ratio(view: View) -> Got:
    """The ratio of a sweep; of a problem that is given it has no interval."""
    rate = RATE.of(view)
    exact = over_seeds(np.array([np.exp(rate.slope)]), True)
    return Got(exact if view.study.alike else rate.ratio, rate.seeds_used)


def _exponent(view: View) -> Theory | None:
    plain = view.study.config.inner.rule == "plain"
    words = "-log of the curvature at the optimum"
    return Theory(1.0, "~", words, margin=MARGIN) if plain else None


def _bound(view: View) -> Theory | None:
    bound = float(np.max(view("bound")))
    formula = "max_t ρ_t = σ_t² Lip(∇V̄_{t+1})/β_t"
    return Theory(bound, "<=", formula) if bound < 1 else None


CAPTION = (
    "Policy iteration on a grid, the ratio that the curvature at the optimum predicts, and the "
    "Lipschitz bound."
)


def over_sweeps(
    views: Sequence[View], name: str, title: str, label: str, ratios: Sequence[float]
) -> figures.Panel:
    """An error along whole sweeps, a line for each view, beside its predicted ratio below 1."""
    drawn = (
        figures.Theory(label if i == 0 else "", ratio=ratio, line=i)
        for i, ratio in enumerate(ratios)
        if ratio < 1
    )
    lines = tuple(view.line(name, view.piece.label) for view in views)
    return figures.Panel(
        *("convergence", "iteration", lines, tuple(drawn)),
        title=title,
        ordered=True,
        xlabel="sweep",
        ylabel=LABELS[name],
    )


def _whole_sweeps(views: Sequence[View]) -> list[figures.Figure]:
    ratios = [float(np.median(view("local").max(axis=-1))) for view in views]
    label = "curvature at the optimum"
    panel = over_sweeps(views, "distance", "Means, whole sweeps", label, ratios)
    return [figures.Figure("linear_convergence", (panel,), CAPTION)]


def _per_step(view: View) -> list[figures.Panel]:
    hidden = np.allclose(view("rate"), view("local"), rtol=NEAR, atol=0)
    local = "at the optimum" + (", on the measured line" if hidden else "")
    panel = view.panel(
        "curves",
        "t",
        {"rate": "measured"},
        view.theory(local, "local", line=0),
        view.theory("Lipschitz bound", "bound"),
        title="Ratio of the inner iteration",
        log="y",
        ylabel="ratio",
    )
    return [panel]


RECIPE = Recipe(
    bind=common.make_study,
    measure=measure,
    names=common.NAMES,
    quantities=QUANTITIES,
    claims=(
        Row(
            "pift/linear-convergence",
            "decay exponent of |m - m*|, whole sweeps, over the predicted one",
            Decay(RATE, _predicted, MARGIN / 2, common.no_rate),
            _exponent,
            who="that contract, with a linear rate",
        ),
        Row(
            "pift/linear-convergence",
            "ratio of a sweep, and the Lipschitz bound",
            _ratio,
            _bound,
        ),
    ),
    figures=(_whole_sweeps, Draw("per_step", _per_step, CAPTION)),
)
