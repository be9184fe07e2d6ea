"""The reference optimum K* as a stage of a study, by Newton's method or by L-BFGS."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from fineq.nlqr.cost import cost
from fineq.nlqr.expansion import Expansion, expansion
from fineq.nlqr.lbfgs import extreme_curvature, make_lbfgs, newton_decrement, start_lbfgs
from fineq.nlqr.optimum import NewtonState, make_newton
from fineq.studies.nlqr.instances import Instance
from fineq.sweep import Axis, Program
from fineq.sweep.stages import Member

if TYPE_CHECKING:
    from fineq.studies.nlqr.common import Study

DECREMENT = 1e-12  # K* is found when the cost left to gain is this share of the cost
# Newton's method squares the decrement at each step, so one more makes μ and h, which are those of
# the last step's start, exact to 1e-10. Single precision cannot resolve that, L-BFGS need not.
NEWTON_STOPS = {"float64": 1e-20, "float32": DECREMENT}
# L-BFGS only estimates the decrement, from the directions it has seen: often too low.
LBFGS_STOPS = 1e-16


class Optimum(NamedTuple):
    """The reference optimum of each member, `[*axes, ...]`.

    Attributes:
        K: K*, `[p, n+d]`.
        cost: C(K*).
        mu: smallest eigenvalue of the Hessian at K*.
        h: largest.
        decrement: Newton decrement over the cost; an upper bound: that of the last step's start.
        converged: the decrement fell below `DECREMENT` and the Hessian is positive definite.
    """

    K: Array
    cost: Array
    mu: Array
    h: Array
    decrement: Array
    converged: Array


def make_objective(horizon: int) -> Callable[[Array, Instance], Array]:
    """The exact T-step cost of an instance, `(K, instance) -> scalar`."""

    def objective(K: Array, instance: Instance) -> Array:
        return cost(K, instance.problem.system, instance.points, horizon)

    return objective


def make_expansion(horizon: int) -> Callable[[Array, Instance], Expansion]:
    """Its cost, gradient and Hessian together, `(K, instance) -> Expansion`."""

    def expand(K: Array, instance: Instance) -> Expansion:
        return expansion(K, instance.problem.system, instance.points, horizon)

    return expand


class _Method(NamedTuple):
    """How to minimise: `(K, cost) -> state`, kernel, what to record, when to stop."""

    start: Callable[[Array, Array], Any]
    kernel: Callable
    metrics: Callable
    tolerance: float


def optimum(
    study: "Study",
    horizon: int,
    start: Callable[[Instance], Array] = lambda instance: instance.K_lin,
    name: str = "reference",
) -> Optimum:
    """Minimise the T-step cost from `start`, for every member; see `newton`."""
    return newton(study, horizon, lambda member, instance: start(instance), name)


def newton(
    study: "Study",
    horizon: int,
    start: Callable[[Member, Instance], Array],
    name: str,
    axes: Sequence[Axis] = (),
    inputs: Mapping[str, Any] | None = None,
) -> Optimum:
    """Minimise the T-step cost by `reference.method`, `[*axes, *study.axes, ...]`.

    Args:
        study: bound study.
        horizon: T, where `descent.horizon` is not among the study's axes.
        start: from a member and its instance to the first policy.
        name: of the stage.
        axes: further axes, laid before the study's; `start` sees their values.
        inputs: pytrees `[*axes, *study.axes, ...]` by name; `start` sees the member's part.
    """
    reference = study.config.reference

    def program(static: dict[str, Any]) -> Program:
        steps = static.get("descent.horizon", horizon)
        objective = make_objective(steps)
        by = _lbfgs(objective) if reference.method == "lbfgs" else _newton(study, objective, steps)

        def init(key: Array, member: Member) -> tuple[Any, Instance]:
            del key
            at = {**member, **static}
            instance = study.instance(at)
            K = start(at, instance)
            return by.start(K, objective(K, instance)), instance

        return Program(
            init,
            by.kernel,
            num_steps=reference.num_steps,
            metrics=by.metrics,
            record=[0, reference.num_steps],
            until=lambda info: info.relative_decrement,
            tolerance=by.tolerance,
        )

    result = study.stages.sweep(name, program, [*axes, *study.axes], inputs=inputs)
    last: dict[str, Any] = {key: values[..., -1] for key, values in result.metrics.items()}
    converged = (last["decrement"] <= DECREMENT) & (last["mu"] > 0)
    final = result.final
    return Optimum(final.K, final.cost, last["mu"], last["h"], last["decrement"], converged)


def _newton(study: "Study", objective: Callable, horizon: int) -> _Method:
    def metrics(state: Any, info: Any, problem: Any) -> dict[str, Array]:
        del state, problem
        return {"decrement": info.relative_decrement, "mu": info.mu, "h": info.h}

    kernel = make_newton(objective, make_expansion(horizon))
    return _Method(NewtonState, kernel, metrics, NEWTON_STOPS[study.config.precision])


def _lbfgs(objective: Callable) -> _Method:
    def metrics(state: Any, info: Any, problem: Any) -> dict[str, Array]:
        del info
        found = extreme_curvature(objective, jax.random.key(0), state.K, problem)
        decrement = newton_decrement(objective, state.K, problem) / state.cost
        return {"decrement": jnp.abs(decrement), **found._asdict()}

    return _Method(start_lbfgs, make_lbfgs(objective), metrics, LBFGS_STOPS)
