"""The reference optimum K*: Newton's method to the last digits, or L-BFGS for large policies."""

from typing import Any, Literal

import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from fineq.arrays import prefer_float64
from fineq.errors import InputError
from fineq.iterate import Solution, Status, solve
from fineq.nlqr.lbfgs import LBFGS
from fineq.nlqr.newton import Newton
from fineq.nlqr.problem import Problem
from fineq.nlqr.reference import Optimum

DECREMENT = 1e-12  # K* is found when the cost left to gain is this share of the cost
# Newton's method squares the decrement at each step, so one more makes μ and h, which are those of
# the last step's start, exact to 1e-10. Single precision cannot resolve that, L-BFGS need not.
NEWTON_STOPS = {"float64": 1e-20, "float32": DECREMENT}
# L-BFGS only estimates the decrement, from the directions it has seen: often too low.
LBFGS_STOPS = 1e-16
# Entries of a policy up to which the eigenvalues of a dense Hessian take less than a second.
LARGEST_DENSE = 1000

MethodName = Literal["newton", "lbfgs"]


def minimiser(name: MethodName, dtype: Any) -> Newton | LBFGS:
    """The method that finds references, with a tolerance that the precision can reach."""
    if name == "lbfgs":
        return LBFGS(LBFGS_STOPS, certify=True)
    return Newton(NEWTON_STOPS.get(jnp.dtype(dtype).name, DECREMENT))


def ending(decrement: Any, mu: Any, diverged: Any) -> np.ndarray:
    """The `fineq.Status` of references `[...]`, from their decrement, curvature and divergence."""
    found = (np.asarray(decrement) <= DECREMENT) & (np.asarray(mu) > 0)
    return np.where(found, Status.CONVERGED, np.where(diverged, Status.DIVERGED, Status.BUDGET))


def optimum(
    problem: Problem,
    *,
    start: ArrayLike | None = None,
    method: MethodName | None = None,
    num_steps: int = 100,
) -> Optimum:
    """Minimise `C_T(K)` until what is left to gain is nothing beside the cost.

    The minimum is the one that descent from the start leads to: look from several starts where
    there may be more. Its horizon is the problem's.

    Args:
        problem: with points and a horizon; see `fineq.nlqr.build_problem`.
        start: first policy `[p, n + d]`; default K_lin.
        method: `newton`, with a dense Hessian, or `lbfgs`, with products; default by size.
        num_steps: budget.

    Returns:
        K*, its cost, the curvature there, and how it ended: see `Optimum`.

    Raises:
        InputError: for what is no problem, a start that does not fit, or another method.

    Warns:
        PrecisionWarning: where JAX has no float64: the optimum is no exact reference then.
    """
    if method not in (None, "newton", "lbfgs"):
        raise InputError(f"method must be 'newton' or 'lbfgs', got {method!r}")
    if not isinstance(problem, Problem):
        raise InputError(
            f"problem must be a Problem, which build_problem makes, got a {type(problem).__name__}"
        )
    prefer_float64("nlqr.optimum")
    dtype = problem.system.A.dtype
    p, m = problem.system.policy_shape
    name = method or ("newton" if p * m <= LARGEST_DENSE else "lbfgs")
    by = minimiser(name, dtype)
    found = solve(problem, by, start=start, num_steps=num_steps, record=[0, num_steps])
    return _optimum(found)


def _optimum(found: Solution) -> Optimum:
    last = {name: values[-1] for name, values in found.trace.metrics.items()}
    mu, h, decrement = (jnp.asarray(last[name]) for name in ("mu", "h", "decrement"))
    status = ending(decrement, mu, found.status == Status.DIVERGED)
    return Optimum(found.value, found.trace.state.cost, mu, h, decrement, jnp.asarray(status))
