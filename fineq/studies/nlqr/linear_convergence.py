"""How fast gradient descent reaches K*, and to which floor (`nlqr/linear-convergence`).

With the exact gradient and η <= 2/(μ+h), |K - K*| contracts at 1 - ημ near K* and the cost gap at
its square: what is compared are exponents, -log(ratio). Zeroth-order gradients follow the same line
down to a floor that their noise sets; natural gradients need no step size that knows h.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array

from fineq import rates
from fineq.claims import Theory
from fineq.iterate import every
from fineq.nlqr.gradients import Exact, Natural
from fineq.studies import statistics
from fineq.studies.decay import Decay, LinearRate
from fineq.studies.nlqr import arrival, common, convergence_figures
from fineq.studies.nlqr.config import NlqrConfig
from fineq.studies.nlqr.descents import Descent, descend
from fineq.studies.nlqr.gradients import ZEROTH_ORDER
from fineq.studies.nlqr.instances import Given, Instance
from fineq.studies.recipe import Draw, Found, Quantity, Recipe, Row, View
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
MARGIN = 0.1  # on measured over theoretical exponent, a limit seen over finitely many decades
NUM_RECORDS = 200
NATURAL_STEPS = 40
CLAIM = "nlqr/linear-convergence"
ABOUT = {"gap": "relative suboptimality $(C - C^*)/C^*$", "distance": "$|K - K^*|$"}


def bind(config: NlqrConfig, given: Given, stages: Stages) -> common.Study:
    """A study whose floors lie along numbers of rollouts J and radii r."""
    study = common.make_study(config, given, stages, stable_only=True)
    rollouts = Axis("estimator.num_rollouts", config.floors.num_rollouts, static=True)
    return study._replace(own=(rollouts, Axis("estimator.radius", config.floors.radii)))


def measure(study: common.Study) -> Found:
    """Descend by exact, natural and zeroth-order gradients to the optimum of the same instances."""
    config, horizon = study.config, common.exact_horizon(study)
    star = common.optimum(study, horizon)
    runs = {name: descend(study, name, m, star) for name, m in _descents(config, horizon).items()}
    exact = runs["exact"]
    others = [name for name in arrival.ESTIMATES if name in config.descent.others]
    runs |= {name: _floors(study, star, name) for name in others}
    metrics = {
        f"{name}_{key}": result.metrics[key] for name, result in runs.items() for key in ABOUT
    }
    floors = {
        f"{name}_floor": arrival.floor_of(run.iterations, run.metrics["gap"], run.diverged)
        for name in others
        for run in (runs[name],)
    }
    ends = {f"{name}_policy": result.final.K for name, result in runs.items()}
    distance = exact.metrics["distance"]
    exponent = -np.log1p(-config.descent.step_size * star.mu / star.h)
    of_star = {"cost": star.cost, "mu": star.mu, "h": star.h, "exponent": exponent}
    near = exact.valid & (distance <= arrival.NEAR * distance[..., :1])
    falls = {
        f"{name}_falls": arrival.falling(runs[name].iterations, runs[name].metrics["gap"])
        for name in others
    }
    return Found(
        {**of_star, **common.policies(study, star), **metrics, **floors, **ends},
        study.own,
        {f"{name}_iteration": result.iterations for name, result in runs.items()},
        exact.diverged,
        {
            "seeds": common.dropped_note(study),
            "horizon": f"exact costs and gradients sum {horizon} steps",
        },
        more={"near": near, **falls},
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


def _floors(study: common.Study, star: common.Optimum, name: str) -> SweepResult:
    """Descend by noisy gradients, over the number of rollouts J and the radius r."""
    floors, horizon = study.config.floors, study.config.descent.horizon
    steps = floors.num_steps
    multiple = floors.step_size if name == "two_point" else floors.one_point_step_size

    def descent(static: dict[str, int]) -> Descent:
        gradient = ZEROTH_ORDER[name](static["estimator.num_rollouts"], horizon)
        record = every(steps, max(steps // NUM_RECORDS, 1))
        return Descent(gradient, common.exact_horizon(study), steps, record, over_h(multiple))

    return descend(study, name, descent, star, list(study.own))


def over_h(multiple: float) -> Callable[[NlqrConfig, common.Optimum, Instance], Array]:
    """The step size η = multiple / h."""

    def step_size(at: NlqrConfig, star: common.Optimum, instance: Instance) -> Array:
        del at, instance
        return multiple / star.h

    return step_size


def natural_step(at: NlqrConfig, star: common.Optimum, instance: Instance) -> Array:
    """1/(2 |R + B'PB|): at ℓ = 0 the largest step for which the natural gradient is monotone."""
    del at, star
    system = instance.problem.system
    return 0.5 / jnp.linalg.norm(system.R + system.B.T @ instance.P @ system.B, 2)


def _goal(view: View) -> float:
    return GOALS[view.study.config.precision].reached


def _budget(view: View) -> arrival.Budget:
    steps = view.study.config.descent.num_steps
    return arrival.budget(view("exact_gap"), view("exponent"), _goal(view), steps)


def _too_short(view: View) -> str:
    return arrival.too_short(_budget(view), view.study.config.descent.num_steps, view.study.alike)


def _all_too_short(view: View) -> str:
    found = _budget(view)
    return _too_short(view) if np.all(found.reached | found.short) else ""


def _masks(view: View, errors: np.ndarray) -> Mapping[str, np.ndarray]:
    return {"valid": view.found.more["near"][view.piece.index], "diverged": ~view.kept}


def _over_theory(name: str, power: int, what: str, formula: str) -> Row:
    """The decay exponent of an exact descent near K*, over that of (1 - ημ)^power."""

    def long_enough(view: View) -> np.ndarray:
        return np.where(_budget(view).short, np.nan, power * view("exponent"))

    rate = LinearRate(f"exact_{name}", "exact_iteration", "exact gradient", _masks)
    decay = Decay(rate, long_enough, MARGIN / 2)

    def premature(view: View) -> str:
        few = min(rates.values_for(rates.LEVEL), len(rate.of(view).per_seed))
        return _too_short(view) if (decay(view).used or 0) < few else ""

    return Row(
        CLAIM,
        f"decay exponent of {what} near K*, over theory's",
        decay,
        Theory(1.0, "~", formula, margin=MARGIN),
        who="linear and long enough",
        premature=premature,
    )


def _steps(view: View) -> np.ndarray:
    return arrival.steps_to(view.values_of("natural_iteration"), view("natural_gap"), _goal(view))


def _floor_row(name: str) -> Row:
    """How the floor of an estimator falls with J, at the smallest radius."""
    words = f"floor of {arrival.ESTIMATES[name]}"
    law = statistics.Exponent(
        f"{name}_floor", "num_rollouts", 0.0, "larger floors.num_rollouts", words=words
    )

    def still(view: View) -> str:
        falls = view.found.more[f"{name}_falls"][(slice(None), 0, *view.piece.index)]
        return arrival.no_floor(falls.T, view.study.config.floors.num_steps)

    return Row(
        CLAIM,
        f"exponent in J of the floor, {arrival.ESTIMATES[name]}",
        lambda view: law(view.chosen(radius=view.values_of("radius")[0])),
        Theory(-0.5, "<=", "J of order 1/ε²"),
        where=lambda view: f"r = {view.values_of('radius')[0]:g}",
        who="with a floor at two J or more",
        when=lambda view: (
            f"{name}_floor" in view.found.values and len(view.values_of("num_rollouts")) > 1
        ),
        premature=still,
        undecided=lambda view, got: "",
        chance=True,
    )


def _of_descent(name: str, own: tuple[str, ...] | None) -> list[Quantity]:
    dims = (f"{name}_iteration",)
    over = [Quantity(f"{name}_{key}", text, dims, own) for key, text in ABOUT.items()]
    return [*over, Quantity(f"{name}_policy", "final policy $K$", common.GAINS, own)]


run = Recipe(
    bind=bind,
    measure=measure,
    names=common.NAMES,
    quantities=(
        Quantity("cost", "cost of $K^*$", own=()),
        Quantity("mu", r"smallest Hessian eigenvalue $\mu$ at $K^*$", own=()),
        Quantity("h", "largest Hessian eigenvalue $h$ at $K^*$", own=()),
        Quantity("exponent", r"theory's exponent $-\log(1 - \eta\mu)$ [1/iteration]", own=()),
        *common.POLICIES,
        *(q for name in ("exact", "natural") for q in _of_descent(name, ())),
        *(q for name in arrival.ESTIMATES for q in _of_descent(name, None)),
        *(
            Quantity(f"{name}_floor", "floor of the relative suboptimality")
            for name in arrival.ESTIMATES
        ),
    ),
    claims=(
        Row(
            CLAIM,
            lambda view: f"share of seeds where exact descent reaches a gap of {_goal(view):g}",
            statistics.Share(lambda view: _budget(view).reached, tried=True),
            Theory(1.0, ">=", "every seed"),
            sampled=True,
            premature=_all_too_short,
        ),
        _over_theory("distance", 1, "|K - K*|", "-log(1 - ημ)"),
        _over_theory("gap", 2, "the cost gap", "-2 log(1 - ημ)"),
        Row(
            CLAIM,
            lambda view: f"natural gradient: steps to gap {_goal(view):g}, where reached",
            statistics.Median(_steps),
            when=lambda view: "natural_gap" in view.found.values,
        ),
        *(_floor_row(name) for name in ("one_point", "two_point")),
    ),
    figures=(
        convergence_figures.exact_figure,
        convergence_figures.other_gradients,
        Draw(
            "floor", convergence_figures.floor_panels, "Where zeroth-order descent stops improving."
        ),
    ),
)
