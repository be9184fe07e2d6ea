"""Fits of parametrised controls, and what they are measured against, for the study of them."""

from typing import Any

import jax
import numpy as np
from jax import Array

from fineq.errors import InputError
from fineq.pift import lq
from fineq.pift.certificates import Gap, certificate
from fineq.pift.parametric import linear
from fineq.pift.parametric.error import reference_on_paths
from fineq.pift.parametric.features import (
    Features,
    fourier,
    polynomial,
    radial,
    standard_scale,
)
from fineq.pift.parametric.linear import LinearSweeps
from fineq.pift.parametric.paths import Costate, Target, costate_of, policy_of
from fineq.pift.problem import AffineMean
from fineq.pift.separable import SplineCostate, solve_separable
from fineq.pift.standard_problems import as_dtype
from fineq.studies.pift.common import Study
from fineq.studies.pift.fits import Facing, Net, linear_program, network_program
from fineq.sweep import Axis, Program, SweepResult
from fineq.sweep.stages import Member

TARGETS = ("raw",)
FLOOR_SWEEPS = 12
PATHS = 2**32 - 2  # folded into a seed: the key of simulated paths
LINE = (-8.0, 8.0, 1601)  # the grid of the exact solution of data on a line
NODES = 192  # the steps are few and long: 24 miss what the reward does within one by 6%, 96 by 0.2%
DEGREES = {"affine": 1, "cubic": 3}


def exact_costate(study: Study) -> SplineCostate | None:
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
    return solve_separable(problem, *LINE, hermite=NODES)


def spread(facing: Facing, *shape: int) -> dict[str, Facing]:
    """The references of all seeds, repeated over axes of this shape before the seeds."""
    return {
        "facing": jax.tree.map(
            lambda x: np.broadcast_to(np.asarray(x), (*shape, *np.shape(x))), facing
        )
    }


def _face(member: Member) -> Facing:
    return member["facing"]


def facing_of(study: Study, exact: Costate | None, member: Member) -> Facing:
    """A member's problem, and its optimum on paths of its own."""
    instance = study.instance(member)
    problem = instance.problem
    if exact is None:
        policy = lq.optimum(lq.linear_quadratic(problem)).policy
        problem, policy = jax.lax.optimization_barrier((problem, policy))
        exact = costate_of(problem, AffineMean(*policy))
    key_paths, key_scale = jax.random.split(instance.key)
    num = study.config.parametric.num_reference
    reference = reference_on_paths(key_paths, problem, exact, num)
    size = reference.size(problem)
    return Facing(problem, {"error": reference}, size, standard_scale(key_scale, problem))


def linear_fit(
    study: Study, name: str, num_paths: int, target: Target, sweeps: int | None = None
) -> Program:
    """Linear controls of a class, by name, fitted sweep by sweep."""
    p = study.config.parametric

    def features(key: Array, facing: Facing) -> Features:
        if name in DEGREES:
            return polynomial(facing.scale, DEGREES[name])
        make = fourier if name == "fourier" else radial
        return make(key, facing.scale, p.num_features)

    def known(features: Features, facing: Facing) -> dict[str, Array]:
        """The relative error of the projection of c* on the class, under the optimal law."""
        states, costates = facing.references["error"]
        return {
            "in_class": facing.errors(facing.problem, linear.project(features, states, costates))[
                "error"
            ]
        }

    by = LinearSweeps(num_paths, target=target, share=p.share)
    return linear_program(_face, features, by, sweeps or p.num_sweeps, known)


def networks(study: Study, facing: Facing) -> dict[str, SweepResult]:
    """The network, trained by PI-FT and, where asked for, by gradient ascent."""
    p = study.config.parametric
    net = Net(
        p.width,
        p.depth,
        p.num_paths,
        p.network_sweeps,
        p.num_batches,
        p.num_passes,
        p.learning_rate,
        p.target,
    )
    kinds = {"PI-FT": net.fitted, **({"gradient ascent": net.ascent} if p.ascent else {})}
    return {
        name: study.stages.sweep(
            f"network {name}",
            lambda static, made=make: network_program(_face, net, made()),
            study.axes,
            inputs=spread(facing),
        )
        for name, make in kinds.items()
    }


def certificates(
    study: Study, facing: Facing, swept: SweepResult, trained: dict[str, SweepResult]
) -> dict[str, Gap]:
    """For each final control, by name, what is left to gain at most: leaves `[seed]`."""
    num = 16 * -(-study.config.parametric.certificate_paths // 16)
    names = study.config.parametric.classes
    states = dict(zip(names, swept.finals, strict=True))
    networks = {name: result.final.policy for name, result in trained.items()}
    states |= {f"network, {name}": policy for name, policy in networks.items()}

    def bound(member: Member) -> dict[str, Gap]:
        problem = member["facing"].problem
        key = jax.random.fold_in(jax.random.key(member["seed"]), PATHS)

        def gap(costate: Costate) -> Gap:
            costate = as_dtype(costate, study.config.precision)
            found = certificate(key, problem, policy_of(problem, costate), num)
            return Gap(*found.gap, found.effective)

        return {name: gap(member[name]) for name in states}

    inputs = {**spread(facing), **states}
    return study.stages.measure("certificates", bound, study.axes, inputs)


def floors(study: Study, facing: Facing) -> np.ndarray:
    """Relative errors of affine controls after some sweeps, `[target, num_paths, seed]`."""

    def program(static: dict[str, Any]) -> Program:
        return linear_fit(study, "affine", static["num_paths"], static["target"], FLOOR_SWEEPS)

    axes = [
        Axis("target", TARGETS, static=True),
        Axis("num_paths", study.config.parametric.batches, static=True),
        *study.axes,
    ]
    inputs = spread(facing, len(TARGETS), len(study.config.parametric.batches))
    return study.stages.sweep("floors", program, axes, inputs=inputs).metrics["error"][..., -1]
