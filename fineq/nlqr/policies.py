"""Starting policies: the linear-quadratic one, zero, random.

A policy is a matrix K `[p, n + d]` that plays `u = -K ψ(x)`. Source: arXiv 2303.08431, section 4
(`nlqr/initialisation`).
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from fineq.arrays import real_array
from fineq.errors import InputError
from fineq.nlqr.doubling import EquationStatus
from fineq.nlqr.identification import (
    Identification,
    IdentificationStatus,
    identified_system,
    identify,
    one_step_samples,
)
from fineq.nlqr.problem import Problem, System, symmetric_cost
from fineq.nlqr.riccati import dare


class LinearPolicy(NamedTuple):
    """The policy `K_lin` `[p, n + d]` with the Riccati solution it rests on.

    `P [n, n]` solves the DARE of (A, B, Q, R); `status` (an `fineq.nlqr.EquationStatus`) and
    `residual` are those of `fineq.nlqr.riccati.dare`: where it found nothing, K and P are NaN.
    """

    K: Array
    P: Array
    status: Array
    residual: Array


def linear_policy(system: System) -> LinearPolicy:
    """Return `K_lin = (R + B'PB)^{-1} B'P (A, C)`, P the stabilising solution of the DARE.

    It plays the linear-quadratic optimum for A, B and cancels what it can of C φ(x); φ itself is
    not used. The loop A - B K1 is stable, the nonlinear one need not be.
    """
    system = symmetric_cost(system)
    solution = dare(system.A, system.B, system.Q, system.R)
    weighted = system.B.T @ solution.P
    K2 = jnp.linalg.solve(system.R + weighted @ system.B, weighted @ system.C)
    K = jnp.concatenate([solution.K, K2], axis=1)
    return LinearPolicy(K, solution.P, solution.status, solution.residual)


class IdentifiedPolicy(NamedTuple):
    """`K_lin` `[p, n + d]` of an identified system, with what was found about the system.

    K is NaN unless `found.status` is IDENTIFIED and `status` (of the Riccati equation of the
    identified A and B, an `fineq.nlqr.EquationStatus`) is SOLVED.
    """

    K: Array
    found: Identification
    status: Array


def identified_policy(key: Array, problem: Problem, num: int) -> IdentifiedPolicy:
    """Return `K_lin` of the system that `num` one-step samples identify: the model-free start.

    Q, R and φ are known, A, B and C are not. Samples that do not determine them give no policy
    rather than that of the least-norm fit, which is another system.
    """
    system = problem.system
    found = identify(one_step_samples(key, problem, num), system.phi, system.scale)
    linear = linear_policy(identified_system(system, found))
    ok = (found.status == IdentificationStatus.IDENTIFIED) & (
        linear.status == EquationStatus.SOLVED
    )
    return IdentifiedPolicy(jnp.where(ok, linear.K, jnp.nan), found, linear.status)


def zero_policy(system: System) -> Array:
    """Return K = 0 `[p, n + d]`: no control."""
    return jnp.zeros(system.policy_shape, system.A.dtype)


def random_policy(key: Array, system: System, radius: ArrayLike = 1.0) -> Array:
    """Draw K `[p, n + d]` uniformly from the Frobenius sphere `|K|_F = radius`."""
    draw = jax.random.normal(key, system.policy_shape, system.A.dtype)
    return jnp.asarray(radius, draw.dtype) * draw / jnp.linalg.norm(draw)


def initial_policy(problem: Any, start: ArrayLike | None) -> Array:
    """The first policy of a method: `start [p, n + d]`, or K_lin where that is None.

    Raises:
        InputError: for a start that does not fit the problem.
    """
    if not isinstance(problem, Problem):
        if start is None:
            raise InputError(
                f"only a Problem, which build_problem makes, has a K_lin to start from, got a "
                f"{type(problem).__name__}: give a start"
            )
        return real_array("start", start, 2)
    if start is None:
        return linear_policy(problem.system).K
    K = real_array("start", start, 2).astype(problem.system.A.dtype)
    if K.shape != problem.system.policy_shape:
        raise InputError(
            f"start must have shape {problem.system.policy_shape} (p, n + d), got {K.shape}"
        )
    return K
