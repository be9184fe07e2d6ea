"""The standard problems of stochastic control: error against the exact and the usual optimum.

Two parametrisations are fitted sweep by sweep to the Ornstein-Uhlenbeck problems: affine costates
by least squares, whose class holds the optimum, and a network by AdamW, in float32. The double well
gets functions of one coordinate each. Controls are compared on paths of the exact optimum of
the discrete problem: with it, and with the optimum that the literature compares with, an Euler
solution of the Riccati equation, the price carried by a matrix exponential, or the logarithm of an
expectation along the uncontrolled chain, none of them optimal at finite steps.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from fineq.errors import InputError
from fineq.pift.parametric.features import Features, Scale, polynomial, separate
from fineq.pift.parametric.linear import LinearSweeps
from fineq.results import Array as Named
from fineq.results import StudyResult, status_of
from fineq.studies.common import seed_axis
from fineq.studies.pift import benchmark_views as views
from fineq.studies.pift.common import coords_of
from fineq.studies.pift.config import PiftConfig
from fineq.studies.pift.fits import Facing, Net, linear_program, network_program
from fineq.studies.pift.instances import Given
from fineq.studies.pift.standard_cases import (
    WELL,
    Case,
    alike,
    make_case,
    separate_ratio,
)
from fineq.sweep import Axis, Program, SweepResult
from fineq.sweep.stages import Member, Stages

# Of the double well: quiet targets' noise falls with the control error but grows with the slopes of
# the fit, so fits are smoothed (a ridge) and averaged over sweeps (a share).
WELL_SHARE, WELL_RIDGE, WELL_FEATURES, WELL_WIDTH, WELL_LEAST = 0.2, 3e-3, 10, 0.5, 0.3


class Fitted(NamedTuple):
    """What one parametrisation reached on all problems.

    Attributes:
        metrics: by name, `[problem, seed, sweep]`.
        iterations: sweeps at which they were recorded.
        diverged: `[problem, seed]`.
        seconds: wall clock of one sweep of one seed, by problem; problems trained together share.
    """

    metrics: dict[str, np.ndarray]
    iterations: np.ndarray
    diverged: np.ndarray
    seconds: dict[str, float]


def run(config: PiftConfig, given: Given, stages: Stages) -> StudyResult:
    """Fit every problem from the pre-trained policy, u = 0.

    Raises:
        InputError: for a sweep, and for nothing but the double well.
    """
    del given
    if config.benchmark.problems == [WELL]:
        raise InputError("benchmark.problems must hold another one beside double_well")
    cases = {name: make_case(config, name) for name in config.benchmark.problems if name != WELL}
    affine = _fit(config, cases, stages, "affine", _affine)
    trained = _fit(config, cases, stages, "network", _network)
    net = f"a network, {config.benchmark.depth} layers of {config.benchmark.width}"
    found = [views.usual(case) for case in cases.values()]
    found += views.claims(cases, affine, "affine controls", exact=True)
    found += views.claims(cases, trained, net)
    arrays = views.arrays(cases, affine, trained)
    coords = coords_of(
        [Axis("problem", list(cases), static=True), seed_axis(config)],
        config,
        sweep=affine.iterations,
        network_sweep=trained.iterations,
    )
    figures = [
        views.figure(
            "affine",
            cases,
            "",
            "sweep",
            "Error of fitted affine controls to the exact optimum of the discrete problem, and to "
            "the usual one.",
        ),
        views.figure("network", cases, "network_", "network_sweep", f"The same with {net}."),
    ]
    notes = {
        "parametrisation": "affine controls need few sweeps because their class holds the optimum "
        "of the Ornstein-Uhlenbeck problems: beside networks they compare parametrisations, not "
        "algorithms",
        "time": views.times(trained, stages),
    }
    diverged = [affine.diverged, trained.diverged]
    if WELL in config.benchmark.problems:
        case = make_case(config, WELL)
        well = _well(config, case, stages)
        found += [views.usual(case), *views.well_claims(case, well.metrics, _ratio(case))]
        for name in ("to_exact", "to_usual"):
            arrays[f"well_{name}"] = Named(
                well.metrics[name], ("seed", "well_sweep"), "1", views.ABOUT[name]
            )
        coords |= coords_of([], config, well_sweep=well.iterations)
        figures.append(views.well_figure(case))
        diverged.append(well.diverged)
        notes["double well"] = (
            "the control of each coordinate is a function of it alone, as the exact one is: "
            "known structure, which networks of all coordinates do not have"
        )
    return StudyResult(
        arrays,
        coords,
        tuple(found),
        figures=tuple(figures),
        status=status_of(np.concatenate([x.ravel() for x in diverged])),
        notes=notes,
    )


def _fit(
    config: PiftConfig,
    cases: dict[str, Case],
    stages: Stages,
    name: str,
    make: Callable[[PiftConfig, Callable[[Member], Facing]], Program],
) -> Fitted:
    """One sweep for each group of problems of one shape: one compiled program each."""
    parts: dict[str, dict[str, np.ndarray]] = {}
    diverged: dict[str, np.ndarray] = {}
    seconds: dict[str, float] = {}
    iterations = np.zeros(0, int)
    for group in alike(cases):
        facings = [cases[key].facing(config.precision) for key in group]
        stacked = jax.tree.map(lambda *x: jnp.stack(x), *facings)

        def face(member: Member, stacked: Facing = stacked) -> Facing:
            return jax.tree.map(lambda x: x[member["problem"]], stacked)

        stage = f"{name} {group[0]}"
        axes = [Axis("problem", list(range(len(group)))), seed_axis(config)]
        result = stages.sweep(stage, lambda static, face=face: make(config, face), axes)
        iterations = result.iterations
        steps = result.diverged.size * iterations[-1]
        for i, key in enumerate(group):
            found = {**result.metrics, "value": result.metrics["last_objective"]}
            parts[key] = {k: v[i] for k, v in found.items()}
            diverged[key], seconds[key] = result.diverged[i], result.run_seconds / steps
    metrics = {k: np.stack([parts[key][k] for key in cases]) for k in views.ABOUT}
    return Fitted(metrics, iterations, np.stack([diverged[key] for key in cases]), seconds)


def _affine(config: PiftConfig, face: Callable[[Member], Facing]) -> Program:
    def features(key: Array, facing: Facing) -> Features:
        del key
        return polynomial(facing.scale, 1)

    by = LinearSweeps(config.benchmark.num_paths, target="quiet")
    return linear_program(face, features, by, config.benchmark.num_sweeps)


def _network(config: PiftConfig, face: Callable[[Member], Facing]) -> Program:
    b = config.benchmark
    net = Net(
        b.width, b.depth, b.num_paths, b.network_sweeps, b.num_batches, 1, b.learning_rate, "quiet"
    )
    return network_program(face, net, net.fitted())


def _well(config: PiftConfig, case: Case, stages: Stages) -> SweepResult:
    b, facing = config.benchmark, case.facing(config.precision)

    def features(key: Array, facing: Facing) -> Features:
        del key
        # The first states lie close together: functions that resolved them would be all noise.
        size = jnp.maximum(facing.scale.size, WELL_LEAST)
        scale = Scale(jnp.zeros_like(size), size)
        return separate(scale, WELL_FEATURES, WELL_WIDTH)

    by = LinearSweeps(b.well_paths, target="quiet", share=WELL_SHARE, ridge=WELL_RIDGE)

    def program(static: dict[str, Any]) -> Program:
        del static
        return linear_program(lambda member: facing, features, by, b.well_sweeps)

    return stages.sweep("double well", program, [seed_axis(config)])


def _ratio(case: Case) -> float:
    return float(jax.jit(separate_ratio)(case.standard.problem, case.optimum, case.exact.states))
