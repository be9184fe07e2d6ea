"""The reference optimum K* as a stage of a study, by Newton's method or by L-BFGS."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from jax import Array

from fineq import sweep
from fineq.nlqr.minimise import ending, minimiser
from fineq.nlqr.reference import Optimum
from fineq.studies.nlqr.instances import Instance
from fineq.sweep.stages import Member

if TYPE_CHECKING:
    from fineq.studies.nlqr.common import Study


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
    axes: Sequence[sweep.Axis] = (),
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
    by = minimiser(reference.method, study.config.precision)  # type: ignore[arg-type]

    def program(static: dict[str, Any]) -> sweep.Program:
        steps = static.get("descent.horizon", horizon)

        def make(key: Array, member: Member) -> sweep.Task:
            del key
            at = {**member, **static}
            instance = study.instance(at)
            return sweep.Task(instance.at_horizon(steps), by, start(at, instance))

        num_steps = reference.num_steps
        return sweep.solving(make, num_steps=num_steps, record=[0, num_steps], stops=True)

    result = study.stages.sweep(name, program, [*axes, *study.axes], inputs=inputs)
    last: dict[str, Any] = {key: values[..., -1] for key, values in result.metrics.items()}
    mu, h, decrement = (last[key] for key in ("mu", "h", "decrement"))
    status: Any = ending(decrement, mu, result.diverged)
    return Optimum(result.final.K, result.final.cost, mu, h, decrement, status)
