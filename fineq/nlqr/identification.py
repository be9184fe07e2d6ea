"""The model-free start: one-step samples of the dynamics and exact least squares.

Source: arXiv 2303.08431, section 4.2 (`nlqr/exact-recovery`): since φ is known, `x1` is linear in
`(x0, u0, φ(x0))`, and without noise N ≳ n + p + d samples give A, B, C exactly.
"""

import math
from enum import IntEnum
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from fineq.arrays import real_array
from fineq.errors import InputError
from fineq.nlqr.problem import Features, Problem, System, next_state


class IdentificationStatus(IntEnum):
    """Whether least squares has one solution; `message` says it in words."""

    IDENTIFIED = 0
    RANK_DEFICIENT = 1

    @property
    def message(self) -> str:
        """One sentence about the status."""
        if self is IdentificationStatus.IDENTIFIED:
            return "The samples determine A, B and C."
        return "The samples do not determine A, B and C: other systems fit them as well."


class Samples(NamedTuple):
    """One-step data: `x1 = A x0 + B u0 + C φ(x0)`; x0 `[N, n]`, u0 `[N, p]`, x1 `[N, n]`."""

    x0: Array
    u0: Array
    x1: Array


class Identification(NamedTuple):
    """What least squares found.

    A `[n, n]`, B `[n, p]`, C `[n, d]`: the least-norm solution, which is the system itself only if
    `status` is IDENTIFIED. `rank` (of n + p + d) and `condition` (largest over least singular
    value, infinite at deficient rank) are those of the regressors `[N, n + p + d]`; errors of A, B,
    C are about `condition` rounding units. `residual` is the largest |x1 - prediction|.
    """

    A: Array
    B: Array
    C: Array
    status: Array
    rank: Array
    condition: Array
    residual: Array


def one_step_samples(key: Array, problem: Problem, num: int) -> Samples:
    """Draw `num` samples: x0 from the law, u0 from N(0, I) with probability 1/2 and else 0."""
    system = problem.system
    key_x, key_u, key_active = jax.random.split(key, 3)
    x0 = problem.law.sample(key_x, num)
    u0 = jax.random.normal(key_u, (num, system.p), x0.dtype)
    active = jax.random.bernoulli(key_active, 0.5, (num, 1))
    u0 = jnp.where(active, u0, 0.0)
    return Samples(x0, u0, jax.vmap(lambda x, u: next_state(system, x, u))(x0, u0))


def identify(
    samples: Samples, phi: Features, scale: ArrayLike, num: ArrayLike | None = None
) -> Identification:
    """Solve least squares of x1 on (x0, u0, φ(x0)) over the first `num` samples (default: all).

    `num` may be traced, so that a sweep over it is one compiled program; the other rows are masked.
    By singular values, never by the normal equations, which would square the condition. Singular
    values up to max(N, n + p + d) rounding units of the largest count as zero. Raises `InputError`
    for samples that are no real numbers or differ in number.
    """
    x0, u0, x1 = (real_array(name, x, 2) for name, x in samples._asdict().items())
    if x1.shape != x0.shape or len(u0) != len(x0) or 0 in (*x0.shape, *u0.shape):
        raise InputError(
            f"samples must be x0 [N, n], u0 [N, p] and x1 [N, n], none of them empty, got shapes "
            f"{x0.shape}, {u0.shape} and {x1.shape}"
        )
    samples = Samples(x0, u0, x1)
    n, p = samples.x0.shape[1], samples.u0.shape[1]
    dtype = samples.x0.dtype
    features = jax.vmap(lambda x: phi(x, jnp.asarray(scale, dtype)))(samples.x0)
    rows = jnp.concatenate([samples.x0, samples.u0, features], axis=1)
    kept = jnp.arange(len(rows)) < (len(rows) if num is None else num)
    rows = jnp.where(kept[:, None], rows, 0.0)
    targets = jnp.where(kept[:, None], samples.x1, 0.0)
    # One call of LAPACK: see fineq.fast.lapack.
    left, sizes, right = jnp.linalg.svd(rows, full_matrices=False)
    above = sizes > max(rows.shape) * jnp.finfo(dtype).eps * sizes[0]
    inverse = jnp.where(above, 1 / jnp.where(above, sizes, 1.0), 0.0)
    theta = right.T @ (inverse[:, None] * (left.T @ targets))
    rank = jnp.sum(above)
    full = rank == rows.shape[1]
    last = jnp.where(full, sizes[-1], 1.0)
    status = jnp.where(full, IdentificationStatus.IDENTIFIED, IdentificationStatus.RANK_DEFICIENT)
    return Identification(
        *jnp.split(theta.T, [n, n + p], axis=1),
        status=status.astype(jnp.int32),
        rank=rank,
        condition=jnp.where(full, sizes[0] / last, jnp.inf),
        residual=jnp.max(jnp.linalg.norm(targets - rows @ theta, axis=1)),
    )


def identified_system(system: System, found: Identification) -> System:
    """Return `system` with the identified A, B, C in place of its own; the rest is known."""
    return System(found.A, found.B, found.C, system.Q, system.R, system.scale, system.phi)


def recovery_probability(num: int, n: int, p: int, d: int) -> float:
    """Return the probability that `num` samples of `one_step_samples` determine A, B, C.

    0 for num < n + p + d; else P(Binomial(num, 1/2) >= p), the chance of at least p inputs that are
    not zero. Exact for laws under which any n + d independent draws of ψ(x0) are independent
    vectors almost surely: the sphere (n >= 2), the ball and the Gaussian with an analytic φ and
    σ_x > 0; an upper bound otherwise.
    """
    if num < n + p + d:
        return 0.0
    return 1.0 - sum(math.comb(num, k) for k in range(p)) / 2**num
