"""A linear-quadratic problem in arrays, and the affine policies that it is solved by."""

from typing import NamedTuple

import jax.numpy as jnp
from jax import Array

from fineq.arrays import real_array, shaped
from fineq.errors import InputError
from fineq.pift.problem import AffineMean, Problem
from fineq.pift.rewards import Quadratic, RunningQuadratic


class LinearQuadratic(NamedTuple):
    """A linear-quadratic problem in arrays.

    Attributes:
        A, b: `[T, d, d]`, `[T, d]`, of the pre-trained means.
        L: `[T, d, d]`, square roots of the noise covariances S = LL'.
        L_inverse: `[T, d, d]`.
        betas: `[T]`.
        terminal: r.
        running: f, zero where there is none.
        mean: of Y_0, `[d]`.
        covariance: of Y_0, `[d, d]`.
    """

    A: Array
    b: Array
    L: Array
    L_inverse: Array
    betas: Array
    terminal: Quadratic
    running: RunningQuadratic
    mean: Array
    covariance: Array


class Policy(NamedTuple):
    """Affine means m_t(y) = F_t y + f_t: F `[T, d, d]`, f `[T, d]`."""

    F: Array
    f: Array


def linear_quadratic(problem: Problem) -> LinearQuadratic:
    """The arrays of a problem with affine means and quadratic rewards, P by their symmetric parts.

    Raises:
        InputError: for any other problem, or arrays whose shapes do not fit T steps in d
            dimensions.
    """
    chain, reward, running = problem.chain, problem.reward, problem.running
    if not isinstance(chain.mean, AffineMean):
        raise InputError(
            "a linear-quadratic problem needs affine means, as Gaussian data have them"
        )
    if not isinstance(reward, Quadratic):
        raise InputError(
            "a linear-quadratic problem needs a linear or quadratic reward (pift.linear or "
            "pift.quadratic)"
        )
    if running is None:
        T, d = problem.num_steps, problem.d
        zeros = jnp.zeros((T, d, d), chain.sigmas.dtype)
        running = RunningQuadratic(zeros, zeros[:, 0], zeros[:, 0, 0])
    if not isinstance(running, RunningQuadratic):
        raise InputError("a linear-quadratic problem needs a quadratic running reward")
    if chain.sigmas.ndim == 1:
        eye = jnp.eye(problem.d, dtype=chain.sigmas.dtype)
        L = chain.sigmas[:, None, None] * eye[None]
        L_inverse = eye[None] / chain.sigmas[:, None, None]
    else:
        L, L_inverse = chain.sigmas, jnp.linalg.inv(chain.sigmas)
    _check_fit(problem, chain.mean, reward, running)
    A, b = chain.mean
    # A decomposition would read one triangle only.
    reward = reward._replace(P=_symmetric(reward.P))
    running = running._replace(P=_symmetric(running.P))
    mean, covariance = chain.start.moments()
    return LinearQuadratic(
        A=A,
        b=b,
        L=L,
        L_inverse=L_inverse,
        betas=problem.betas,
        terminal=reward,
        running=running,
        mean=mean,
        covariance=covariance,
    )


def _symmetric(P: Array) -> Array:
    return (P + jnp.swapaxes(P, -1, -2)) / 2


def _check_fit(
    problem: Problem, mean: AffineMean, reward: Quadratic, running: RunningQuadratic
) -> None:
    T, d = problem.num_steps, problem.d
    shapes = {
        "the mean's A": (mean.A, (T, d, d)),
        "the mean's b": (mean.b, (T, d)),
        "the reward's P": (reward.P, (d, d)),
        "the reward's p": (reward.p, (d,)),
        "the running reward's P": (running.P, (T, d, d)),
        "the running reward's p": (running.p, (T, d)),
        "the running reward's c": (running.c, (T,)),
    }
    for name, (given, shape) in shapes.items():
        got = real_array(name, given).shape
        if got != shape:
            raise InputError(f"{name} must have shape {shape} for this chain, got {got}")


def pretrained(lq: LinearQuadratic) -> Policy:
    """The policy that changes nothing, u = s."""
    return Policy(lq.A, lq.b)


def checked(lq: LinearQuadratic, policy: Policy) -> Policy:
    """The policy, if its arrays fit the problem.

    Raises:
        InputError: for what is no policy, or arrays of other shapes.
    """
    if not isinstance(policy, Policy):
        raise InputError(
            f"a policy has F and f, as a solution's value, got {type(policy).__name__}"
        )
    F = shaped("the policy's F", policy.F, lq.A.shape, lq.A.dtype)
    return Policy(F, shaped("the policy's f", policy.f, lq.b.shape, lq.b.dtype))
