"""Fits of the standard problems: affine controls, a network, functions of one coordinate each."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from fineq.pift.parametric.features import Features, Scale, polynomial, separate
from fineq.pift.parametric.linear import LinearSweeps
from fineq.studies import common
from fineq.studies.pift import fits
from fineq.studies.pift.config import PiftConfig
from fineq.studies.pift.instances import Given
from fineq.studies.pift.standard_cases import Case, alike
from fineq.sweep import Axis, Program
from fineq.sweep.stages import Member

# Of the double well: quiet targets' noise falls with the control error but grows with the slopes of
# the fit, so fits are smoothed (a ridge) and averaged over sweeps (a share).
WELL_SHARE, WELL_RIDGE, WELL_FEATURES, WELL_WIDTH, WELL_LEAST = 0.2, 3e-3, 10, 0.5, 0.3
Study = common.Study[PiftConfig, Given, Member]
METRICS = ("to_exact", "to_usual", "value")


class Fitted(NamedTuple):
    """What one parametrisation reached.

    Attributes:
        metrics: by name, `[problem, seed, sweep]`; of a single problem without its axis.
        iterations: sweeps at which they were recorded.
        diverged: `[problem, seed]`, likewise.
        seconds: wall clock of one sweep of one seed, by problem; problems trained together share.
    """

    metrics: dict[str, np.ndarray]
    iterations: np.ndarray
    diverged: np.ndarray
    seconds: dict[str, float]


def fit_affine(study: Study, cases: dict[str, Case]) -> Fitted:
    """Affine costates by least squares: the class of the Ornstein-Uhlenbeck problems' optima."""
    b = study.config.benchmark

    def features(key: Array, facing: fits.Facing) -> Features:
        del key
        return polynomial(facing.scale, 1)

    by = LinearSweeps(b.num_paths, target="quiet")
    return _fit(
        study, cases, "affine", lambda face: fits.linear_program(face, features, by, b.num_sweeps)
    )


def fit_networks(study: Study, cases: dict[str, Case]) -> Fitted:
    """A network by AdamW, in float32."""
    b = study.config.benchmark
    net = fits.Net(
        b.width, b.depth, b.num_paths, b.network_sweeps, b.num_batches, 1, b.learning_rate, "quiet"
    )
    return _fit(study, cases, "network", lambda face: fits.network_program(face, net, net.fitted()))


def _fit(
    study: Study,
    cases: dict[str, Case],
    name: str,
    make: Callable[[Callable[[Member], fits.Facing]], Program],
) -> Fitted:
    """One sweep for each group of problems of one shape: one compiled program each."""
    parts: dict[str, dict[str, np.ndarray]] = {}
    diverged: dict[str, np.ndarray] = {}
    seconds: dict[str, float] = {}
    iterations = np.zeros(0, int)
    for group in alike(cases):
        facings = [cases[key].facing(study.config.precision) for key in group]
        stacked = jax.tree.map(lambda *x: jnp.stack(x), *facings)

        def face(member: Member, stacked: fits.Facing = stacked) -> fits.Facing:
            return jax.tree.map(lambda x: x[member["problem"]], stacked)

        axes = [Axis("problem", list(range(len(group)))), *study.axes]
        program = make(face)
        result = study.stages.sweep(f"{name} {group[0]}", lambda _, made=program: made, axes)
        iterations = result.iterations
        steps = result.diverged.size * iterations[-1]
        for i, key in enumerate(group):
            parts[key] = {k: v[i] for k, v in result.metrics.items()}
            diverged[key], seconds[key] = result.diverged[i], result.run_seconds / steps
    metrics = {
        k: np.stack([parts[key]["last_objective" if k == "value" else k] for key in cases])
        for k in METRICS
    }
    return Fitted(metrics, iterations, np.stack([diverged[key] for key in cases]), seconds)


def fit_well(study: Study, case: Case) -> Fitted:
    """The double well, by functions of one coordinate each."""
    b, facing = study.config.benchmark, case.facing(study.config.precision)

    def features(key: Array, facing: fits.Facing) -> Features:
        del key
        # The first states lie close together: functions that resolved them would be all noise.
        size = jnp.maximum(facing.scale.size, WELL_LEAST)
        scale = Scale(jnp.zeros_like(size), size)
        return separate(scale, WELL_FEATURES, WELL_WIDTH)

    by = LinearSweeps(b.well_paths, target="quiet", share=WELL_SHARE, ridge=WELL_RIDGE)

    def program(static: dict[str, Any]) -> Program:
        del static
        return fits.linear_program(lambda member: facing, features, by, b.well_sweeps)

    found = study.stages.sweep("double well", program, study.axes)
    return Fitted(found.metrics, found.iterations, found.diverged, {})
