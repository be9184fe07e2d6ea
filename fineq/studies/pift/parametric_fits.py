"""Fits of parametrised controls, and what they are measured against, for the study of them."""

from typing import Any

import numpy as np
from jax import Array

from fineq import sweep
from fineq.errors import InputError
from fineq.fast.lapack import after
from fineq.keys import key_for
from fineq.pift import lq
from fineq.pift.certificates import Gap, certificate
from fineq.pift.parametric import linear, paths
from fineq.pift.parametric.error import reference_on_paths
from fineq.pift.parametric.features import (
    Features,
    fourier,
    polynomial,
    radial,
    standard_scale,
)
from fineq.pift.problem import AffineMean
from fineq.pift.separable import SplineCostate, solve_separable
from fineq.pift.standard_problems import as_dtype
from fineq.studies.pift import fits
from fineq.studies.pift.common import Study
from fineq.sweep.stages import Member

TARGETS = ("raw",)
FLOOR_SWEEPS = 12
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


def _face(member: Member) -> fits.Facing:
    return member["facing"]


def facing_of(study: Study, exact: paths.Costate | None, member: Member) -> fits.Facing:
    """A member's problem, and its optimum on paths of its own."""
    instance = study.instance(member)
    problem = instance.problem
    if exact is None:
        policy = lq.optimum(lq.linear_quadratic(problem)).policy
        problem = after(policy, problem)
        exact = paths.costate_of(problem, AffineMean(*policy))
    key_paths = key_for(instance.key, "paths of an optimum")
    key_scale = key_for(instance.key, "paths of the pre-trained model")
    num = study.config.parametric.num_reference
    reference = reference_on_paths(key_paths, problem, exact, num)
    size = reference.size(problem)
    return fits.Facing(problem, {"error": reference}, size, standard_scale(key_scale, problem))


def linear_fit(
    study: Study, name: str, num_paths: int, target: paths.Target, sweeps: int | None = None
) -> sweep.Program:
    """Linear controls of a class, by name, fitted sweep by sweep."""
    p = study.config.parametric

    def features(key: Array, facing: fits.Facing) -> Features:
        if name in DEGREES:
            return polynomial(facing.scale, DEGREES[name])
        make = fourier if name == "fourier" else radial
        return make(key, facing.scale, p.num_features)

    def known(features: Features, facing: fits.Facing) -> dict[str, Array]:
        """The relative error of the projection of c* on the class, under the optimal law."""
        states, costates = facing.references["error"]
        return {
            "in_class": facing.errors(facing.problem, linear.project(features, states, costates))[
                "error"
            ]
        }

    by = linear.LinearSweeps(num_paths, target=target, share=p.share)
    return fits.linear_program(_face, features, by, sweeps or p.num_sweeps, known)


def networks(study: Study, facing: fits.Facing) -> dict[str, sweep.SweepResult]:
    """The network, trained by PI-FT and, where asked for, by gradient ascent."""
    p = study.config.parametric
    net = fits.Net(
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
            lambda static, made=make: fits.network_program(_face, net, made()),
            study.axes,
            inputs={"facing": facing},
        )
        for name, make in kinds.items()
    }


def certificates(
    study: Study,
    facing: fits.Facing,
    swept: sweep.SweepResult,
    trained: dict[str, sweep.SweepResult],
) -> dict[str, Gap]:
    """For each final control, by name, what is left to gain at most: leaves `[seed]`."""
    num = 16 * -(-study.config.parametric.certificate_paths // 16)
    names = study.config.parametric.classes
    states = dict(zip(names, swept.finals, strict=True))
    networks = {name: result.final.policy for name, result in trained.items()}
    states |= {f"network, {name}": policy for name, policy in networks.items()}

    def bound(member: Member) -> dict[str, Gap]:
        problem = member["facing"].problem
        key = key_for(member["seed"], "paths of a certificate")

        def gap(costate: paths.Costate) -> Gap:
            costate = as_dtype(costate, study.config.precision)
            found = certificate(key, problem, paths.policy_of(problem, costate), num)
            return Gap(*found.gap, found.effective)

        return {name: gap(member[name]) for name in states}

    inputs = {"facing": facing, **states}
    return study.stages.measure("certificates", bound, study.axes, inputs)


def floors(study: Study, facing: fits.Facing) -> np.ndarray:
    """Relative errors of affine controls after some sweeps, `[target, num_paths, seed]`."""

    def program(static: dict[str, Any]) -> sweep.Program:
        return linear_fit(study, "affine", static["num_paths"], static["target"], FLOOR_SWEEPS)

    axes = [
        sweep.Axis("target", TARGETS, static=True),
        sweep.Axis("num_paths", study.config.parametric.batches, static=True),
        *study.axes,
    ]
    inputs = {"facing": sweep.Table(study.axes, facing)}
    return study.stages.sweep("floors", program, axes, inputs=inputs).metrics["error"][..., -1]
