"""How fast gradient descent reaches K*, and to which floor (`nlqr/linear-convergence`).

With the exact gradient and η <= 2/(μ+h), |K - K*| contracts at 1 - ημ near K* and the cost gap at
its square: what is compared are exponents, -log(ratio). Zeroth-order gradients follow the same line
down to a floor that their noise sets; natural gradients need no step size that knows h.
"""

from collections.abc import Callable, Mapping

import jax.numpy as jnp
import numpy as np
from jax import Array

from fineq.figures import Figure, Line, Panel
from fineq.figures import Theory as Drawn
from fineq.iterate import every
from fineq.nlqr.gradients import Exact, Natural
from fineq.rates import linear_rate
from fineq.results import Arrays, StudyResult, status_of
from fineq.studies.common import small_multiples, titled
from fineq.studies.nlqr.arrays import Slice, coords_of, dims_of, named_arrays, slices
from fineq.studies.nlqr.common import (
    Optimum,
    Study,
    dropped_note,
    exact_horizon,
    independent,
    make_study,
    optimum,
)
from fineq.studies.nlqr.config import NlqrConfig
from fineq.studies.nlqr.convergence_claims import (
    GOALS,
    NAMES,
    Rates,
    exact_claims,
    floor_claims,
    floor_of,
)
from fineq.studies.nlqr.descents import Descent, descend
from fineq.studies.nlqr.gradients import ZEROTH_ORDER
from fineq.studies.nlqr.instances import Given, Instance
from fineq.sweep import Axis, SweepResult
from fineq.sweep.stages import Stages

NEAR = 1e-2  # "near K*": the distance has fallen by this factor, and fast modes have died out
NUM_RECORDS = 200
NATURAL_STEPS = 40
ABOUT = {"gap": "relative suboptimality (C − C*)/C*", "distance": "|K − K*|"}


def run(config: NlqrConfig, given: Given, stages: Stages) -> StudyResult:
    """Descend by exact, natural and zeroth-order gradients to the optimum of the same instances."""
    study = make_study(config, given, stages, stable_only=True)
    horizon = exact_horizon(study)
    star = optimum(study, horizon)
    runs = {name: descend(study, name, m, star) for name, m in _descents(config, horizon).items()}
    floors = {name: _floors(study, star, name) for name in NAMES if name in config.descent.others}
    exponent = -np.log1p(-config.descent.step_size * star.mu / star.h)
    rates = _rates(study, runs["exact"])
    iterations = {f"{name}_iteration": r.iterations for name, r in {**runs, **floors}.items()}
    return StudyResult(
        _arrays(study, star, runs, floors, exponent),
        coords_of([*_floor_axes(config), *study.axes], config, **iterations),
        (*exact_claims(study, runs, rates, exponent), *floor_claims(study, floors)),
        tuple(rate for by_name in rates for rate in by_name.values()),
        figures(study, exponent, runs["exact"]),
        status_of(runs["exact"].diverged),
        {"seeds": dropped_note(study), "horizon": f"exact costs and gradients sum {horizon} steps"},
    )


def _descents(config: NlqrConfig, horizon: int) -> dict[str, Descent]:
    steps = config.descent.num_steps
    record = every(steps, max(steps // NUM_RECORDS, 1))
    plain = Descent(
        Exact(),
        horizon,
        steps,
        record,
        over_h(config.descent.step_size),
        distance=GOALS[config.precision].stop,
    )
    if "natural" not in config.descent.others:
        return {"exact": plain}
    few = every(NATURAL_STEPS)
    return {
        "exact": plain,
        "natural": Descent(Natural(), horizon, NATURAL_STEPS, few, natural_step),
    }


def _floor_axes(config: NlqrConfig) -> list[Axis]:
    return [
        Axis("estimator.num_rollouts", config.floors.num_rollouts, static=True),
        Axis("estimator.radius", config.floors.radii),
    ]


def _floors(study: Study, star: Optimum, name: str) -> SweepResult:
    """Descend by noisy gradients, over the number of rollouts J and the radius r."""
    floors, horizon = study.config.floors, study.config.descent.horizon
    steps = floors.num_steps
    multiple = floors.step_size if name == "two_point" else floors.one_point_step_size

    def descent(static: dict[str, int]) -> Descent:
        gradient = ZEROTH_ORDER[name](static["estimator.num_rollouts"], horizon)
        record = every(steps, max(steps // NUM_RECORDS, 1))
        return Descent(gradient, exact_horizon(study), steps, record, over_h(multiple))

    return descend(study, name, descent, star, _floor_axes(study.config))


def over_h(multiple: float) -> Callable[[NlqrConfig, Optimum, Instance], Array]:
    """The step size η = multiple / h."""

    def step_size(at: NlqrConfig, star: Optimum, instance: Instance) -> Array:
        del at, instance
        return multiple / star.h

    return step_size


def natural_step(at: NlqrConfig, star: Optimum, instance: Instance) -> Array:
    """1/(2 |R + B'PB|): at ℓ = 0 the largest step for which the natural gradient is monotone."""
    del at, star
    system = instance.problem.system
    return 0.5 / jnp.linalg.norm(system.R + system.B.T @ instance.P @ system.B, 2)


def _rates(study: Study, result: SweepResult) -> Rates:
    near = result.metrics["distance"] <= NEAR * result.metrics["distance"][..., :1]
    return [
        {
            name: linear_rate(
                result.iterations,
                result.metrics[name][piece.index][independent(study)],
                valid=(result.valid & near)[piece.index][independent(study)],
                diverged=result.diverged[piece.index][independent(study)],
                quantity=f"{text}, exact gradient, {piece.label}",
            )
            for name, text in ABOUT.items()
        }
        for piece in slices(study.axes)
    ]


def _arrays(
    study: Study,
    star: Optimum,
    runs: dict[str, SweepResult],
    floors: dict[str, SweepResult],
    exponent: np.ndarray,
) -> Arrays:
    dims = dims_of(study.axes)
    arrays = named_arrays(
        {**star._asdict(), "exponent": exponent},
        dims,
        {
            "cost": "cost of K*",
            "mu": "smallest Hessian eigenvalue μ at K*",
            "h": "largest Hessian eigenvalue h at K*",
            "exponent": "theory's exponent −log(1 − ημ) [1/iteration]",
        },
    )
    for name, result in runs.items():
        last = (f"{name}_iteration",)
        arrays |= named_arrays(result.metrics, dims, ABOUT, prefix=f"{name}_", last=last)
    floor_dims = (*dims_of(_floor_axes(study.config)), *dims)
    for name, result in floors.items():
        last = (f"{name}_iteration",)
        arrays |= named_arrays(result.metrics, floor_dims, ABOUT, prefix=f"{name}_", last=last)
        level = {"floor": floor_of(result)}
        text = {"floor": "floor of the relative suboptimality"}
        arrays |= named_arrays(level, floor_dims, text, prefix=f"{name}_")
    return arrays


def figures(study: Study, exponent: np.ndarray, descent: SweepResult) -> tuple[Figure, ...]:
    """Exact descent against theory; other gradients; the floor against J and r."""
    pieces = slices(study.axes)

    def theory(power: int) -> tuple[Drawn, ...]:
        ratios = [float(np.exp(-power * np.median(exponent[piece.index]))) for piece in pieces]
        starts = [_near(descent, piece) for piece in pieces]
        return tuple(
            Drawn("" if line else "slope of theory", ratio=ratio, line=line, start=start)
            for line, (ratio, start) in enumerate(zip(ratios, starts, strict=True))
        )

    # Without chance there are no seeds to draw a band of.
    alone = {"seed": study.config.first_seed} if study.alike else {}
    multiple = study.config.descent.step_size
    step = f"exact gradient, η = {multiple:g}/h"
    exactly = (
        _over_time(pieces, "exact", "distance", f"Distance, {step}", alone, theory(1)),
        _over_time(pieces, "exact", "gap", f"Cost gap, {step}", alone, theory(2)),
    )
    others = _others(study, pieces, alone)
    caption = (
        "Exact descent; theory's rate near K*, (1 - ημ) and its square, from where it is near."
    )
    return (
        Figure("linear_convergence", exactly, caption),
        *([Figure("estimators", others, "Other gradients on the same instances.")] * bool(others)),
        *small_multiples(
            "floor",
            pieces,
            lambda piece: _floor_panels(study, piece),
            "Where zeroth-order descent stops improving.",
        ),
    )


def _near(descent: SweepResult, piece: Slice) -> float | None:
    """The first record that is near K*, in the median: theory speaks of what follows."""
    distance = np.median(descent.metrics["distance"][piece.index], axis=0)
    near = np.flatnonzero(distance <= NEAR * distance[0])
    return float(descent.iterations[near[0]]) if near.size else None


def _over_time(
    pieces: list[Slice],
    method: str,
    name: str,
    title: str,
    at: Mapping[str, float],
    drawn: tuple[Drawn, ...] = (),
) -> Panel:
    lines = tuple(Line(f"{method}_{name}", p.label, {**p.at, **at}) for p in pieces)
    x = f"{method}_iteration"
    return Panel("convergence", x, lines, drawn, title=title, ordered=True, xlabel="iteration")


def _others(study: Study, pieces: list[Slice], alone: dict[str, int]) -> tuple[Panel, ...]:
    floors, others = study.config.floors, study.config.descent.others
    many = floors.num_rollouts[-1]
    panels = {
        "natural": ("Natural gradient", alone),
        "two_point": (f"Antithetic pairs, J = {many}", {"radius": floors.radii[0]}),
        "one_point": (f"One-point, J = {many}", {"radius": floors.radii[-1]}),
    }
    return tuple(
        _over_time(
            pieces, name, "gap", title, {**at, **({"num_rollouts": many} if "radius" in at else {})}
        )
        for name, (title, at) in panels.items()
        if name in others
    )


def _floor_panels(study: Study, piece: Slice) -> list[Panel]:
    """The floor against J and against r, where there are several values of them."""
    floors = study.config.floors
    names = [name for name in NAMES if name in study.config.descent.others]
    many, least = floors.num_rollouts[-1], floors.radii[0]
    against = [
        ("num_rollouts", f"Floor, r = {least:g}", {"radius": least}, floors.num_rollouts),
        ("radius", f"Floor, J = {many}", {"num_rollouts": many}, floors.radii),
    ]
    return [
        Panel(
            "powerlaw",
            x,
            tuple(Line(f"{k}_floor", NAMES[k], {**piece.at, **at}) for k in names),
            title=titled(title, piece),
        )
        for x, title, at, values in against
        if names and len(values) > 1
    ]
