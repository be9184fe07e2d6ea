"""Is a system recovered exactly from samples, up to rounding?

A recovery counts as exact when the relative error of (A, B, C) is at most N m κ ε, with κ the
condition number of the regressors and ε the rounding unit: the form of the normwise bound for
backward stable least squares (Higham 2002, section 20; residuals vanish here, so κ enters once).
Regressors of deficient rank have no κ. Then half of the digits must be right: it is the error that
decides, and not the rank.
"""

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike

from fineq.nlqr.features import Zero
from fineq.nlqr.identification import (
    IdentificationStatus,
    identified_system,
    identify,
    one_step_samples,
)
from fineq.nlqr.problem import Problem, System


class Recovery(NamedTuple):
    """One identification beside the truth.

    Attributes:
        system: the true one.
        found: the system with the identified A, B, C in place of its own.
        error: relative error of (A, B, C), Frobenius norms.
        tolerance: the largest error that counts as exact.
        condition: of the regressors; infinite at deficient rank.
        rank: of the regressors.
    """

    system: System
    found: System
    error: Array
    tolerance: Array
    condition: Array
    rank: Array


def recover(key: Array, problem: Problem, num: ArrayLike, most: int) -> Recovery:
    """Identify a system from the first `num` of `most` one-step samples.

    With one key the samples of a smaller `num` are among those of a larger one.
    """
    system = problem.system
    m = system.n + system.p + system.d
    found = identify(one_step_samples(key, problem, most), system.phi, system.scale, num)
    guess = identified_system(system, found)
    true = _stacked(system)
    eps = jnp.finfo(true.dtype).eps
    identified = found.status == IdentificationStatus.IDENTIFIED
    return Recovery(
        system,
        guess,
        jnp.linalg.norm(_stacked(guess) - true) / jnp.linalg.norm(true),
        jnp.where(identified, num * m * found.condition * eps, jnp.sqrt(eps)),
        found.condition,
        found.rank,
    )


def _stacked(system: System) -> Array:
    return jnp.concatenate([system.A, system.B, system.C], axis=1)


def filled_up(system: System, n: int, p: int, d: int) -> System:
    """The system `[...]` with zeros up to a larger size, and ones on the diagonals of Q and R.

    Its further states stay at rest and its further inputs do nothing, so that K_lin has zeros there
    and is otherwise that of the system. Features are not kept.
    """

    def fill(M: Any, rows: int, columns: int, diagonal: float = 0.0) -> np.ndarray:
        filled = np.zeros((*M.shape[:-2], rows, columns), M.dtype)
        if diagonal:
            filled[...] = diagonal * np.eye(rows)
        filled[..., : M.shape[-2], : M.shape[-1]] = M
        return filled

    A, B, C = fill(system.A, n, n), fill(system.B, n, p), fill(system.C, n, d)
    Q, R = fill(system.Q, n, n, 1.0), fill(system.R, p, p, 1.0)
    return System(A, B, C, Q, R, system.scale, Zero(d))  # type: ignore[arg-type]
