"""How fast gradient descent reaches K*, and to which floor (`nlqr/linear-convergence`).

With the exact gradient and η <= 2/(μ+h), |K - K*| contracts at 1 - ημ near K* and the cost gap at
its square: what is compared are exponents, -log(ratio). Zeroth-order gradients follow the same line
down to a floor that their noise sets; natural gradients need no step size that knows h.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array

from fineq.claims import Claim, Theory
from fineq.errors import InputError
from fineq.fields import flatten
from fineq.figures import Figure, Line, Panel
from fineq.figures import Theory as Drawn
from fineq.iterate import every
from fineq.nlqr.claims import claim
from fineq.nlqr.config import NlqrConfig
from fineq.nlqr.study.arrays import coords_of, dims_of, named_arrays, slices
from fineq.nlqr.study.common import Optimum, Study, dropped_note, exact_horizon, make_study, optimum
from fineq.nlqr.study.descents import Method, descend
from fineq.nlqr.study.gradients import exact, natural, zeroth_order
from fineq.nlqr.study.instances import Given, Instance
from fineq.rates import Rate, linear_rate, median_interval, power_law, proportion
from fineq.results import Arrays, StudyResult, status_of
from fineq.sweep import Axis, SweepResult
from fineq.sweep.stages import Stages


class Goals(NamedTuple):
    """What exact descent is asked to reach in one precision.

    reached: relative suboptimality. stop: |K - K*| at which it ends, as far as K* itself is known.
    """

    reached: float
    stop: float


# A cost carries a few rounding units, and K* as many times h/μ more.
GOALS = {"float64": Goals(1e-10, 1e-11), "float32": Goals(1e-5, 1e-4)}
NEAR = 1e-2  # "near K*": the distance has fallen by this factor, and fast modes have died out
NUM_RECORDS = 200
MARGIN = 0.1  # on measured over theoretical exponent, a limit seen over finitely many decades
NATURAL_STEPS = 40
FLOOR_SHARE = 4  # the last quarter of a zeroth-order descent is taken to be at its floor
ABOUT = {"gap": "relative suboptimality (C − C*)/C*", "distance": "|K − K*|"}
NAMES = {"one_point": "one-point", "two_point": "antithetic pairs"}

Rates = list[dict[str, Rate]]


def run(config: NlqrConfig, given: Given, stages: Stages) -> StudyResult:
    """Descend by exact, natural and zeroth-order gradients to the optimum of the same instances."""
    for path in flatten(config.sweep):
        if path.startswith("floors."):
            raise InputError(f"sweep.{path}: use -m {path}=... for one run per value")
    study = make_study(config, given, stages, stable_only=True)
    horizon = exact_horizon(study)
    star = optimum(study, horizon)
    runs = {name: descend(study, name, m, star) for name, m in _methods(config, horizon).items()}
    floors = {name: _floors(study, star, name) for name in NAMES}
    exponent = -np.log1p(-config.descent.step_size * star.mu / star.h)
    rates = _rates(study, runs["exact"])
    iterations = {f"{name}_iteration": r.iterations for name, r in {**runs, **floors}.items()}
    return StudyResult(
        _arrays(study, star, runs, floors, exponent),
        coords_of([*_floor_axes(config), *study.axes], config, **iterations),
        (*_exact_claims(study, runs, rates, exponent), *_floor_claims(study, floors)),
        tuple(rate for by_name in rates for rate in by_name.values()),
        figures(study, exponent),
        status_of(runs["exact"].diverged),
        {"seeds": dropped_note(study), "horizon": f"exact costs and gradients sum {horizon} steps"},
    )


def _methods(config: NlqrConfig, horizon: int) -> dict[str, Method]:
    steps = config.descent.num_steps
    record = every(steps, max(steps // NUM_RECORDS, 1))
    return {
        "exact": Method(
            exact(horizon),
            horizon,
            steps,
            record,
            over_h(config.descent.step_size),
            distance=GOALS[config.precision].stop,
        ),
        "natural": Method(
            natural(horizon), horizon, NATURAL_STEPS, every(NATURAL_STEPS), natural_step
        ),
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

    def method(static: dict[str, int]) -> Method:
        gradient = zeroth_order(name, static["estimator.num_rollouts"], horizon)
        record = every(steps, max(steps // NUM_RECORDS, 1))
        return Method(gradient, exact_horizon(study), steps, record, over_h(multiple))

    return descend(study, name, method, star, _floor_axes(study.config))


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
                result.metrics[name][piece.index][study.independent],
                valid=(result.valid & near)[piece.index][study.independent],
                diverged=result.diverged[piece.index][study.independent],
                quantity=f"{text}, exact gradient, {piece.label}",
            )
            for name, text in ABOUT.items()
        }
        for piece in slices(study.axes)
    ]


def _relative(rate: Rate, exponent: np.ndarray) -> np.ndarray:
    """Measured over theoretical exponent of the seeds whose rate is linear."""
    slopes = np.array([fit.slope for fit in rate.per_seed])
    linear = np.array([fit.verdict == "linear" for fit in rate.per_seed])
    return (-slopes / exponent)[linear & np.isfinite(slopes)]


def _exact_claims(
    study: Study, runs: dict[str, SweepResult], rates: Rates, exponent: np.ndarray
) -> list[Claim]:
    found, goal = [], GOALS[study.config.precision].reached
    for piece, rate in zip(slices(study.axes), rates, strict=True):
        theory = exponent[piece.index][study.independent]
        gaps = runs["exact"].metrics["gap"][piece.index][study.independent]
        reached = np.nanmin(gaps, axis=-1) <= goal
        natural_gaps = runs["natural"].metrics["gap"][piece.index][study.independent]
        natural_steps = _steps_to(runs["natural"].iterations, natural_gaps, goal)
        about = partial(
            claim, "nlqr/linear-convergence", instance=f"{piece.label}, {reached.size} seeds"
        )
        found += [
            about(
                proportion(int(reached.sum()), reached.size),
                Theory(1.0, ">=", "every seed"),
                what=f"share of seeds where exact descent reaches a gap of {goal:g}",
                sampled=True,
            ),
            about(
                median_interval(_relative(rate["distance"], theory)),
                Theory(1.0, "~", "-log(1 - ημ)", margin=MARGIN),
                what="decay exponent of |K - K*| near K*, over theory's",
            ),
            about(
                median_interval(_relative(rate["gap"], 2 * theory)),
                Theory(1.0, "~", "-2 log(1 - ημ)", margin=MARGIN),
                what="decay exponent of the cost gap near K*, over theory's",
            ),
            about(
                median_interval(natural_steps),
                what=f"natural gradient: steps to gap {goal:g}, where reached "
                f"({natural_steps.size} of {reached.size} seeds)",
            ),
        ]
    return found


def _steps_to(iterations: np.ndarray, gaps: np.ndarray, goal: float) -> np.ndarray:
    """First recorded iteration at which the goal is reached, of the seeds that reach it."""
    below = gaps <= goal
    first = iterations[np.argmax(below, axis=-1)]
    return first[below.any(axis=-1)].astype(float)


def floor_of(result: SweepResult) -> np.ndarray:
    """Median gap over the last quarter of a descent, `[*axes]`; infinite where it diverged."""
    last = result.iterations >= result.iterations[-1] * (1 - 1 / FLOOR_SHARE)
    level = np.median(result.metrics["gap"][..., last], axis=-1)
    return np.where(result.diverged, np.inf, level)


def _floor_claims(study: Study, floors: dict[str, SweepResult]) -> list[Claim]:
    found = []
    counts = np.array(study.config.floors.num_rollouts, float)
    if len(counts) < 2:
        return found
    for name, result in floors.items():
        level = floor_of(result)
        for piece in slices(study.axes):
            smallest = np.moveaxis(level, 0, -1)[(0, *piece.index)]
            law = power_law(counts, smallest, quantity=f"floor of {NAMES[name]}, {piece.label}")
            found.append(
                claim(
                    "nlqr/linear-convergence",
                    law,
                    Theory(-0.5, "<=", "J of order 1/ε²"),
                    instance=f"{piece.label}, r = {study.config.floors.radii[0]:g}",
                    what=f"exponent in J of the floor, {NAMES[name]}",
                )
            )
    return found


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


def figures(study: Study, exponent: np.ndarray) -> tuple[Figure, ...]:
    """Exact descent against theory; other gradients; the floor against J and r."""
    pieces, floors = slices(study.axes), study.config.floors
    most = {"num_rollouts": floors.num_rollouts[-1], "radius": floors.radii[0]}
    wide = {**most, "radius": floors.radii[-1]}

    def theory(power: int) -> tuple[Drawn, ...]:
        ratios = [float(np.exp(-power * np.median(exponent[piece.index]))) for piece in pieces]
        return tuple(
            Drawn("theory" if line == 0 else "", ratio=ratio, line=line)
            for line, ratio in enumerate(ratios)
        )

    def panel(method: str, name: str, title: str, at: dict, drawn: tuple[Drawn, ...] = ()) -> Panel:
        lines = tuple(Line(f"{method}_{name}", p.label, {**p.at, **at}) for p in pieces)
        x = f"{method}_iteration"
        return Panel("convergence", x, lines, drawn, title=title, ordered=True, xlabel="iteration")

    def against(x: str, title: str, at: dict) -> Panel:
        piece = pieces[-1]
        lines = tuple(Line(f"{k}_floor", text, {**piece.at, **at}) for k, text in NAMES.items())
        return Panel("powerlaw", x, lines, title=f"{title}, {piece.label}")

    step = "η = 1/h"
    return (
        Figure(
            "linear_convergence",
            (
                panel("exact", "distance", f"Distance, exact gradient, {step}", {}, theory(1)),
                panel("exact", "gap", f"Cost gap, exact gradient, {step}", {}, theory(2)),
            ),
            "Exact gradient descent and the theory's rate at K*, (1 - ημ) and its square.",
        ),
        Figure(
            "estimators",
            (
                panel("natural", "gap", "Natural gradient", {}),
                panel("two_point", "gap", f"Antithetic pairs, J = {most['num_rollouts']}", most),
                panel("one_point", "gap", f"One-point, J = {wide['num_rollouts']}", wide),
            ),
            "Other gradients on the same instances.",
        ),
        Figure(
            "floor",
            (
                against(
                    "num_rollouts", f"Floor, r = {most['radius']:g}", {"radius": most["radius"]}
                ),
                against(
                    "radius",
                    f"Floor, J = {most['num_rollouts']}",
                    {"num_rollouts": most["num_rollouts"]},
                ),
            ),
            "Where zeroth-order descent stops improving.",
        ),
    )
