"""Networks of every width beside kernel descent, on the data of every member."""

from collections.abc import Callable
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from fineq import sweep
from fineq.ntk.deep import DeepTraining, Rule
from fineq.ntk.instance import score_error, weighted_error
from fineq.ntk.network import Initialisation, draw_weights
from fineq.ntk.problem import Regression
from fineq.ntk.training import NetworkTraining
from fineq.studies.found import Quantity
from fineq.studies.ntk import common
from fineq.studies.ntk.config import NtkConfig
from fineq.studies.ntk.paths import kernel_paths, step_of
from fineq.sweep.stages import Member

Errors = dict[str, np.ndarray]
PREDICTIONS = (
    Quantity("predicted", "prediction of the network after its last step", ("point", "output")),
    Quantity("kernel", "prediction of kernel descent, as many steps", ("point", "output"), ()),
    Quantity("f_star", "$f^*$ at the fresh points", ("point", "output"), ()),
    Quantity("fresh", "fresh inputs $z$", ("point", "input"), ()),
)


class Kernel(NamedTuple):
    """Kernel descent of one member at S times, and what networks are given and compared with.

    Attributes:
        mismatch: error between descents on noisy and on clean labels, `[S]`.
        stopping: error between descent on clean labels and its limit, `[S]`.
        approximation: error between that limit and f*, `[S]`, the same at every time.
        risk: error between descent on noisy labels and f*, `[S]`.
        score: error of its score, `[S]`.
        problem: what networks are trained on.
        step: their step size η.
        seen: predictions of descent on noisy labels at the first R times, `[R, M, d]`.
        clean: f* on the fresh points, `[M, d]`.
        weight: `[M]`.
        diverged: whether the step size is above the stability limit.
    """

    mismatch: Array
    stopping: Array
    approximation: Array
    risk: Array
    score: Array
    problem: Regression
    step: Array
    seen: Array
    clean: Array
    weight: Array
    diverged: Array


def times_with_networks(config: NtkConfig) -> np.ndarray:
    """Training times, the networks' last step among them, `[S]`."""
    return np.union1d(common.times_of(config), [float(config.network.num_steps)])


def recorded(study: common.Study, times: np.ndarray) -> np.ndarray:
    """Those of the training times `[S]` that networks are trained to, as whole numbers `[R]`."""
    return times[times <= study.config.network.num_steps].astype(int)


def kernel_errors(study: common.Study, times: np.ndarray) -> Kernel:
    """Kernel descent of all members, leaves `[*axes, ...]`: one stage of the study."""
    num = recorded(study, times).size

    def look(member: Member) -> Kernel:
        instance = study.instance(member)
        train, test = instance.train, instance.test
        at = study.config_at(member)
        paths = kernel_paths(at, instance, jnp.asarray(times, train.z.dtype))
        risk = paths.of_noisy - test.clean[None]
        limit = weighted_error(test, paths.limit - test.clean)
        return Kernel(
            weighted_error(test, paths.of_noisy - paths.of_clean),
            weighted_error(test, paths.of_clean - paths.limit[None]),
            jnp.broadcast_to(limit, times.shape),
            weighted_error(test, risk),
            score_error(instance.process, test, risk),
            Regression(train.z, train.noisy, test.z),
            step_of(at, train.z),
            paths.of_noisy[:num],
            test.clean,
            test.weight,
            paths.noisy.diverged,
        )

    return study.stages.measure("kernel", look, study.axes)


def network_errors(
    study: common.Study, times: np.ndarray, kernel: Kernel, start: str = ""
) -> Errors:
    """`coupling` to kernel descent and `total` error of networks, `[width, *axes, R]`.

    `start` takes the place of `network.start`. NaN from where a network has diverged. Also what
    they have `predicted` in the end, `[width, *axes, M, d]`.
    """
    config = study.config.network
    first = cast(Initialisation, start or config.start)
    found: dict[str, list[np.ndarray]] = {"coupling": [], "total": [], "predicted": []}
    for width in common.widths_of(study.config):

        def task(key: Array, member: Any, width: int = width) -> sweep.Task:
            problem = _cast(member["problem"], config.precision)
            step = member["step"].astype(config.precision)
            shapes = width, problem.z.shape[1], problem.labels.shape[1]
            weights = draw_weights(key, *shapes, first, problem.z.dtype)
            return sweep.Task(problem, NetworkTraining(step, width, first), weights)

        fresh = _trained(study, times, kernel, f"{first}, m = {width}", task)
        found["coupling"].append(_error(kernel.weight, fresh - np.asarray(kernel.seen)))
        found["total"].append(_total(kernel, fresh))
        found["predicted"].append(fresh[..., -1, :, :])
    return {name: np.stack(values) for name, values in found.items()}


def predictions(kernel: Kernel) -> Errors:
    """What the networks' predictions are compared with: the rest of `PREDICTIONS`."""
    last, clean, fresh = (kernel.seen[..., -1, :, :], kernel.clean, kernel.problem.fresh)
    return {"kernel": np.asarray(last), "f_star": np.asarray(clean), "fresh": np.asarray(fresh)}


def deep_errors(study: common.Study, times: np.ndarray, kernel: Kernel) -> np.ndarray:
    """Total error of the deeper network of `deep`, after as many steps, `[*axes, R]`."""
    c = study.config.deep
    by = DeepTraining(c.learning_rate, c.width, c.depth, cast(Rule, c.rule), c.batch)

    def task(key: Array, member: Any) -> sweep.Task:
        problem = _cast(member["problem"], study.config.network.precision)
        return sweep.Task(problem, by, by.parameters(key, problem))

    return _total(kernel, _trained(study, times, kernel, "deep", task))


def _trained(
    study: common.Study,
    times: np.ndarray,
    kernel: Kernel,
    name: str,
    task: Callable[[Array, Any], sweep.Task],
) -> np.ndarray:
    """Predictions at the fresh inputs after each of the recorded steps, `[*axes, R, M, d]`."""
    steps = recorded(study, times)
    program: sweep.Program = sweep.solving(task, num_steps=int(steps[-1]), record=steps)
    inputs = {"problem": kernel.problem, "step": kernel.step}
    result = study.stages.sweep(name, lambda _: program, study.axes, inputs=inputs)
    # The driver records the start as well.
    return np.asarray(result.metrics["fresh"], float)[..., -steps.size :, :, :]


def _cast(problem: Regression, dtype: str) -> Regression:
    return jax.tree.map(lambda x: x.astype(dtype), problem)


def _total(kernel: Kernel, fresh: np.ndarray) -> np.ndarray:
    return _error(kernel.weight, fresh - np.asarray(kernel.clean)[..., None, :, :])


def _error(weights: Array, apart: np.ndarray) -> np.ndarray:
    """√(E w |apart|²) over points, for weights `[*axes, M]` and differences `[*axes, R, M, d]`."""
    weight = np.asarray(weights)
    return np.sqrt(np.mean(weight[..., None, :] * np.sum(apart**2, axis=-1), axis=-1))
