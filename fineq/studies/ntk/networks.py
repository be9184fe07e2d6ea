"""Networks of every width beside kernel descent, on the data of every member."""

from typing import NamedTuple, cast

import jax.numpy as jnp
import numpy as np
from jax import Array

from fineq.ntk import forward
from fineq.ntk.deep import deep_program, make_recipe
from fineq.ntk.network import Start
from fineq.ntk.training import Data, network_program
from fineq.studies.ntk.common import Study, times_of, widths_of
from fineq.studies.ntk.config import NtkConfig
from fineq.studies.ntk.paths import error, kernel_paths, step_of
from fineq.sweep.stages import Member

Errors = dict[str, np.ndarray]


class Kernel(NamedTuple):
    """Kernel descent of one member at S times, and what networks are given and compared with.

    Attributes:
        mismatch: error between descents on noisy and on clean labels, `[S]`.
        stopping: error between descent on clean labels and its limit, `[S]`.
        approximation: error between that limit and f*, `[S]`, the same at every time.
        risk: error between descent on noisy labels and f*, `[S]`.
        score: error of its score, `[S]`.
        data: what networks are trained on.
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
    data: Data
    seen: Array
    clean: Array
    weight: Array
    diverged: Array


def times_with_networks(config: NtkConfig) -> np.ndarray:
    """Training times, the networks' last step among them, `[S]`."""
    return np.union1d(times_of(config), [float(config.network.num_steps)])


def recorded(study: Study, times: np.ndarray) -> np.ndarray:
    """Those of the training times `[S]` that networks are trained to, as whole numbers `[R]`."""
    return times[times <= study.config.network.num_steps].astype(int)


def kernel_errors(study: Study, times: np.ndarray) -> Kernel:
    """Kernel descent of all members, leaves `[*axes, ...]`: one stage of the study."""
    num = recorded(study, times).size

    def look(member: Member) -> Kernel:
        instance = study.instance(member)
        train, test = instance.train, instance.test
        at = study.config_at(member)
        paths = kernel_paths(at, instance, jnp.asarray(times, train.z.dtype))
        risk = paths.of_noisy - test.clean[None]
        score = test._replace(weight=forward.weight(instance.process, test.t, "score"))
        limit = error(test, paths.limit - test.clean)
        return Kernel(
            error(test, paths.of_noisy - paths.of_clean),
            error(test, paths.of_clean - paths.limit[None]),
            jnp.broadcast_to(limit, times.shape),
            error(test, risk),
            error(score, risk),
            Data(train.z, train.noisy, test.z, step_of(at, train.z)),
            paths.of_noisy[:num],
            test.clean,
            test.weight,
            paths.noisy.diverged,
        )

    return study.stages.measure("kernel", look, study.axes)


def network_errors(study: Study, times: np.ndarray, kernel: Kernel, start: str = "") -> Errors:
    """`coupling` to kernel descent and `total` error of networks, `[width, *axes, R]`.

    `start` takes the place of `network.start`. NaN from where a network has diverged.
    """
    config = study.config.network
    first = cast(Start, start or config.start)
    steps = recorded(study, times)
    found: dict[str, list[np.ndarray]] = {"coupling": [], "total": []}
    for width in widths_of(study.config):
        program = network_program(
            width, first, num_steps=int(steps[-1]), record=steps, dtype=config.precision
        )
        result = study.stages.sweep(
            f"{first}, m = {width}",
            lambda _, program=program: program,
            study.axes,
            inputs={"data": kernel.data},
        )
        # The driver records the start as well.
        fresh = np.asarray(result.metrics["fresh"], float)[..., -steps.size :, :, :]
        found["coupling"].append(_error(kernel.weight, fresh - np.asarray(kernel.seen)))
        found["total"].append(
            _error(kernel.weight, fresh - np.asarray(kernel.clean)[..., None, :, :])
        )
    return {name: np.stack(values) for name, values in found.items()}


def deep_errors(study: Study, times: np.ndarray, kernel: Kernel) -> np.ndarray:
    """Total error of the deeper network of `deep`, after as many steps, `[*axes, R]`."""
    config, steps = study.config.deep, recorded(study, times)
    recipe = make_recipe(
        *(config.width, config.depth, study.d, config.rule, config.learning_rate, config.batch)
    )
    program = deep_program(
        recipe, num_steps=int(steps[-1]), record=steps, dtype=study.config.network.precision
    )
    inputs = {"data": kernel.data}
    result = study.stages.sweep("deep", lambda _: program, study.axes, inputs=inputs)
    fresh = np.asarray(result.metrics["fresh"], float)[..., -steps.size :, :, :]
    return _error(kernel.weight, fresh - np.asarray(kernel.clean)[..., None, :, :])


def _error(weights: Array, apart: np.ndarray) -> np.ndarray:
    """√(E w |apart|²) over points, for weights `[*axes, M]` and differences `[*axes, R, M, d]`."""
    weight = np.asarray(weights)
    return np.sqrt(np.mean(weight[..., None, :] * np.sum(apart**2, axis=-1), axis=-1))
