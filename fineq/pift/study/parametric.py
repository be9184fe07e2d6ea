"""Parametrised controls: which class reaches what, and how fast (`pift/parametric`).

Whole-trajectory PI-FT by regression on simulated value gradients, with polynomials, radial
functions and a network, against the exact optimum: of Gaussian data by the
Riccati recursion, of data on a line by quadrature. Linear classes are compared with their own best
member, the projection of the exact costate under the optimal law.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from fineq.claims import Claim, Theory
from fineq.errors import InputError
from fineq.figures import Figure, Fit, Line, Panel
from fineq.figures import Theory as Drawn
from fineq.pift import lq
from fineq.pift.claims import claim
from fineq.pift.config import PiftConfig
from fineq.pift.parametric import linear, training
from fineq.pift.parametric.error import Reference, reference_on_paths
from fineq.pift.parametric.features import (
    Features,
    Scale,
    polynomial,
    radial,
    standard_scale,
)
from fineq.pift.parametric.network import network
from fineq.pift.parametric.paths import Costate, Target, costate_of
from fineq.pift.problem import AffineMean, Problem
from fineq.pift.separable import SplineCostate, solve_separable
from fineq.pift.study.common import Study, coords_of, make_study
from fineq.pift.study.instances import Given
from fineq.rates import PowerLaw, median_interval, power_law
from fineq.results import Array as Named
from fineq.results import StudyResult, status_of
from fineq.sweep import Axis, Program, SweepResult
from fineq.sweep.stages import Member, Stages

CLASSES = ("degree 1", "degree 3", "radial")
NETWORK = "network"
TARGETS = ("raw",)
FLOOR_SWEEPS = 12
LINE = (-8.0, 8.0, 1601)  # the grid of the exact solution of data on a line
NEAR = 2.0  # a class is reached when the error is at most so many times its best
ROUNDING = 1e-12  # of relative errors, below which nothing is compared


class Facing(NamedTuple):
    """The problem of a sweep.

    Attributes:
        problem: the control problem.
        reference: its exact optimum on paths.
        size: the error of changing nothing.
        best: relative error of the projection of c* on the class, under the optimal law.
    """

    problem: Problem
    reference: Reference
    size: Array
    best: Array


def run(config: PiftConfig, given: Given, stages: Stages) -> StudyResult:
    """Fit every class, and measure the statistical error of affine controls.

    Raises:
        InputError: for axes other than seeds, or a problem without an exact reference here.
    """
    study = make_study(config, given, stages)
    if len(study.axes) > 1:
        raise InputError("study=parametric takes no sweep: use -m FIELD=... for one run per value")
    exact = _exact(study)
    facing = stages.measure("reference", partial(_facing, study, exact), study.axes)
    classes = Axis("class", CLASSES, static=True)
    swept = stages.sweep(
        "classes",
        lambda static: _linear(
            study,
            static["class"],
            config.parametric.num_paths,
            config.parametric.target,  # type: ignore[arg-type]
        ),
        [classes, *study.axes],
        inputs=_spread(facing, len(CLASSES)),
    )
    best = swept.metrics["in_class"][..., 0]
    trained = stages.sweep(
        "network", lambda static: _network(study), study.axes, inputs=_spread(facing)
    )
    floors = _floors(study, facing) if exact is None else None
    arrays = {
        "error": Named(swept.metrics["error"], ("class", "seed", "sweep"), "1", ERROR),
        "best": Named(best, ("class", "seed"), "1", "relative error of the best of the class"),
        "network_error": Named(trained.metrics["error"], ("seed", "network_sweep"), "1", ERROR),
    }
    coords = coords_of(
        [classes, *study.axes],
        config,
        sweep=swept.iterations,
        network_sweep=trained.iterations,
    )
    laws: dict[str, PowerLaw] = {}
    if floors is not None:
        arrays["floor"] = Named(
            floors, ("target", "num_paths", "seed"), "1", "relative control error"
        )
        coords |= coords_of(
            [Axis("target", TARGETS, static=True), Axis("num_paths", config.parametric.batches)],
            config,
        )
        laws = _laws(config, floors)
    return StudyResult(
        arrays,
        coords,
        tuple(_claims(study, swept, best, trained, laws)),
        tuple(laws.values()),
        _figures(config, best, laws),
        status_of(swept.diverged),
        {"error": "E Σ_t |σ_t⁻¹(m_t - m*_t)|² on paths of the optimum, over that of m = m0"},
    )


ERROR = "relative control error"


def _exact(study: Study) -> SplineCostate | None:
    """The exact costate of data on a line; None for Gaussian data, whose optimum is solved inside.

    Raises:
        InputError: for problems with neither.
    """
    config = study.config
    if config.data.name == "gaussian" and config.reward.name in ("linear", "quadratic"):
        return None
    if not (config.data.means and len(config.data.means[0]) == 1):
        raise InputError(
            "study=parametric needs an exact reference: Gaussian data with a linear or quadratic "
            "reward, or data.means and data.covariances on a line"
        )
    problem = study.instance({"seed": config.first_seed}).problem
    return solve_separable(problem, *LINE)


def _spread(facing: Facing, *shape: int) -> dict[str, Facing]:
    """The references of all seeds, repeated over axes of this shape before the seeds."""
    return {
        "facing": jax.tree.map(
            lambda x: np.broadcast_to(np.asarray(x), (*shape, *np.shape(x))), facing
        )
    }


def _facing(study: Study, exact: Costate | None, member: Member) -> Facing:
    instance = study.instance(member)
    problem = instance.problem
    if exact is None:
        policy = lq.optimum(lq.linear_quadratic(problem)).policy
        problem, policy = jax.lax.optimization_barrier((problem, policy))
        exact = costate_of(problem, AffineMean(*policy))
    num = study.config.parametric.num_reference
    reference = reference_on_paths(instance.key, problem, exact, num)
    size = reference.size(problem)
    return Facing(problem, reference, size, jnp.zeros_like(size))


def _features(study: Study, name: str, key: Array, scale: Scale) -> Features:
    num = study.config.parametric.num_features
    if name.startswith("degree"):
        return polynomial(scale, int(name.split()[1]))
    return radial(key, scale, num)


def _start(study: Study, name: str, problem: Problem, key: Array) -> linear.LinearCostate:
    key_scale, key_features = jax.random.split(key)
    scale = standard_scale(key_scale, problem)
    return linear.start(problem, _features(study, name, key_features, scale))


def _error(facing: Facing, costate: Costate) -> Array:
    return facing.reference.error(facing.problem, costate) / facing.size


def _linear(
    study: Study,
    name: str,
    num_paths: int,
    target: Target,
    sweeps: int | None = None,
) -> Program:
    step = linear.fitted_iteration(num_paths, target, study.config.parametric.share)
    num = sweeps or study.config.parametric.num_sweeps

    def init(key: Array, member: Member) -> tuple[linear.LinearCostate, Facing]:
        facing = member["facing"]
        state = _start(study, name, facing.problem, key)
        states, costates = facing.reference
        best = _error(facing, linear.project(state.features, states, costates))
        return state, facing._replace(best=best)

    def kernel(
        key: Array, state: linear.LinearCostate, problem: Facing
    ) -> tuple[linear.LinearCostate, linear.LinearInfo]:
        return step(key, state, problem.problem)

    def metrics(
        state: linear.LinearCostate, info: linear.LinearInfo, problem: Facing
    ) -> dict[str, Array]:
        return {"error": _error(problem, state), "rank": info.least_rank, "in_class": problem.best}

    return Program(init, kernel, num_steps=num, metrics=metrics, record=list(range(num + 1)))


def _network(study: Study) -> Program:
    p = study.config.parametric
    steps = p.network_sweeps * p.num_batches * p.num_passes
    optimiser = training.Optimiser(p.learning_rate, num_steps=steps)
    target: Any = p.target
    step = training.fitted_iteration(
        p.num_paths, optimiser, target=target, num_batches=p.num_batches, num_passes=p.num_passes
    )

    def init(key: Array, member: Member) -> tuple[training.Training, Facing]:
        facing = member["facing"]
        key_scale, key_network = jax.random.split(key)
        scale = standard_scale(key_scale, facing.problem)
        costate = network(key_network, scale, width=p.width, depth=p.depth)
        return training.start(costate, optimiser), facing

    def kernel(
        key: Array, state: training.Training, problem: Facing
    ) -> tuple[training.Training, training.TrainingInfo]:
        return step(key, state, problem.problem)

    def metrics(
        state: training.Training, info: training.TrainingInfo, problem: Facing
    ) -> dict[str, Array]:
        return {"error": _error(problem, state.policy), "value": info.objective}

    record = list(range(p.network_sweeps + 1))
    return Program(init, kernel, num_steps=p.network_sweeps, metrics=metrics, record=record)


def _floors(study: Study, facing: Facing) -> np.ndarray:
    """Relative errors of affine controls after some sweeps, `[target, num_paths, seed]`."""

    def program(static: dict[str, Any]) -> Program:
        return _linear(study, "degree 1", static["num_paths"], static["target"], FLOOR_SWEEPS)

    axes = [
        Axis("target", TARGETS, static=True),
        Axis("num_paths", study.config.parametric.batches, static=True),
        *study.axes,
    ]
    inputs = _spread(facing, len(TARGETS), len(study.config.parametric.batches))
    return study.stages.sweep("floors", program, axes, inputs=inputs).metrics["error"][..., -1]


def _laws(config: PiftConfig, floors: np.ndarray) -> dict[str, PowerLaw]:
    batches = np.array(config.parametric.batches, float)
    if len(batches) < 2:
        return {}
    quantity = "error of affine controls in N, raw targets"
    return {"raw": power_law(batches, floors[0].T, quantity=quantity)}


def _claims(
    study: Study,
    swept: SweepResult,
    best: np.ndarray,
    trained: SweepResult,
    laws: dict[str, PowerLaw],
) -> list[Claim]:
    config, found = study.config, []
    p, seeds = config.parametric, best.shape[-1]
    data = f"{config.data.name} data, β = {config.beta:g}, T = {config.schedule.num_steps}"
    for i, name in enumerate(CLASSES):
        ends = swept.metrics["error"][i, :, -1]
        kept = np.isfinite(ends)
        instance = f"{name}, {data}, N = {p.num_paths}, {int(kept.sum())} of {seeds} seeds"
        within = np.median(best[i]) < ROUNDING  # the class holds the optimum
        found.append(
            claim(
                "pift/parametric",
                median_interval(ends[kept] if within else (ends / best[i])[kept]),
                None if within else Theory(NEAR, "<=", "the best of the class, times 2"),
                instance=instance,
                what="relative control error after the last sweep; the class holds the optimum"
                if within
                else "control error after the last sweep, over that of the best of the class",
            )
        )
    ends = trained.metrics["error"][:, -1]
    found.append(
        claim(
            "pift/parametric",
            median_interval(ends[np.isfinite(ends)]),
            instance=f"{p.depth} layers of {p.width}, {data}, {p.network_sweeps} sweeps",
            what="relative control error of a network after training",
        )
    )
    found += [
        claim(
            "pift/parametric",
            law,
            Theory(-1.0, "~", "variance of a mean of N", margin=0.15),
            instance=f"degree 1, {data}, {seeds} seeds",
            what="exponent in N of the squared error with raw targets",
        )
        for law in laws.values()
    ]
    return found


def _figures(config: PiftConfig, best: np.ndarray, laws: dict[str, PowerLaw]) -> tuple[Figure, ...]:
    lines = tuple(Line("error", name, {"class": name}) for name in CLASSES)
    levels = tuple(
        Drawn("best of the class" if i == 0 else "", level=float(np.median(best[i])), line=i)
        for i in range(len(CLASSES))
        if np.median(best[i]) > ROUNDING
    )
    panels = [
        Panel("convergence", "sweep", lines, levels, title="Linear features", xlabel="sweep"),
        Panel(
            "convergence",
            "network_sweep",
            (Line("network_error"),),
            title=f"Network, {config.parametric.depth} layers of {config.parametric.width}",
            xlabel="sweep",
        ),
    ]
    if laws:
        law = laws["raw"]
        drawn = (Line("floor", "raw", {"target": "raw"}, fit=Fit(law.value, law.low, law.high)),)
        theory = (Drawn("∝ 1/N", exponent=-1.0, line=0),)
        title = f"Affine controls after {FLOOR_SWEEPS} sweeps"
        panels.append(Panel("powerlaw", "num_paths", drawn, theory, title=title, xlabel="paths N"))
    return (
        Figure(
            "parametric",
            tuple(panels),
            "Control error of parametrised PI-FT against the exact optimum, over that of the "
            "pre-trained policy.",
        ),
    )
