"""How far a network strays from kernel gradient descent over the training horizon (`ntk/coupling`).

Both follow the same labels with the same step size; the kernel starts at 0. The distance at a
training time is the root mean square over inputs of |f_network - f_kernel|, and the gap its largest
value over the recorded times. With f_0 = 0 the gap falls with the width m, about m^{-1/2}
(arXiv 2401.15604); with the f_0 of order one of a `plain` network it does not.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.typing import ArrayLike

from fineq.errors import InputError
from fineq.iterate import Progress, Store, record_points
from fineq.ntk.network import Start, check_width, draw
from fineq.ntk.spectral import descend, predict, spectrum
from fineq.ntk.tangent import gram
from fineq.ntk.training import Data, begin, diverged, gradient_step, predictions
from fineq.rates import PowerLaw, power_law
from fineq.sweep import Axis, Program, sweep


class Coupling(NamedTuple):
    """Distances of networks of W widths and S seeds at R training times; NaN after divergence.

    Attributes:
        widths: m, `[W]`.
        times: numbers of steps, `[R]`.
        train: distance on the training inputs, `[W, S, R]`.
        fresh: distance on the fresh inputs, `[W, S, R]`; NaN where there are none.
        diverged: whether the network diverged, `[W, S]`.
        seconds: compiling and running each width, `[W, 2]`.
    """

    widths: np.ndarray
    times: np.ndarray
    train: np.ndarray
    fresh: np.ndarray
    diverged: np.ndarray
    seconds: np.ndarray

    def gap(self, where: str = "fresh", until: float = np.inf) -> np.ndarray:
        """Largest distance at recorded times up to `until`, `[W, S]`; NaN if one is missing."""
        return np.max(getattr(self, where)[..., self.times <= until], axis=-1)

    def slope(self, where: str = "fresh", until: float = np.inf) -> PowerLaw:
        """The power of m in the gap, with an interval over seeds."""
        quantity = f"gap to kernel descent, {where}"
        return power_law(self.widths, self.gap(where, until).T, quantity=quantity)


def distance(first: ArrayLike, second: ArrayLike) -> Array:
    """Root mean square over inputs of |f - g| for predictions `[..., N, d]`: `[...]`."""
    apart = jnp.asarray(first) - jnp.asarray(second)
    return jnp.sqrt(jnp.mean(jnp.sum(apart**2, axis=-1), axis=-1))


@jax.jit
def kernel_predictions(data: Data, times: ArrayLike) -> tuple[Array, Array]:
    """Kernel descent from 0 at times `[R]`, on the training and fresh inputs: `[R, N or M, d]`.

    Exact at every time, from the eigenpairs of the Gram matrix. Works in the precision of the data:
    give float64 where times are long.
    """
    path = descend(spectrum(gram(data.z)), data.labels, data.eta, times)
    if not data.fresh.shape[0]:
        return path.fitted, path.fitted[:, :0]
    return path.fitted, predict(data.fresh, data.z, path.coefficients)


def network_program(
    width: int,
    start: Start = "symmetric",
    *,
    num_steps: int,
    record: Any = None,
    dtype: Any = jnp.float32,
    units: int | None = None,
) -> Program:
    """What a member of a sweep does: train the network of its seed on its `data`.

    The sweep gives the data as `inputs={"data": Data}`, each leaf with the axes of the sweep first;
    it records `train`, `fresh` and `loss` (`training.predictions`). The network's weights
    depend on the seed and the width alone. Raises `InputError` for an impossible width.
    """
    check_width(width, start)

    def init(key: Array, member: Any) -> tuple[Any, Any]:
        data = jax.tree.map(lambda x: x.astype(dtype), member["data"])
        weights = draw(key, width, data.z.shape[1], data.labels.shape[1], start, dtype)
        return begin(weights, data, start, units)

    return Program(init, gradient_step, num_steps, predictions, record, diverged=diverged)


def coupling(
    data: Data,
    widths: Sequence[int],
    *,
    num_steps: int,
    seeds: Sequence[int] | None = None,
    start: Start = "symmetric",
    record: Sequence[int] | np.ndarray | None = None,
    dtype: Any = jnp.float32,
    units: int | None = None,
    store: Store | None = None,
    progress: Progress | None = None,
) -> Coupling:
    """Train networks of every width and seed and compare each with kernel descent on its data.

    Args:
        data: one data set for each of S seeds, the seeds as first axis of every leaf
            (`training.make_data` under `jax.tree.map(stack)`), in the precision of the kernel.
        widths: increasing, m.
        num_steps: training horizon.
        seeds: of the networks, S of them; default 0, 1, ...
        start: of the networks.
        record: times; default geometric.
        dtype: precision of the networks.
        units: in a group; default `network.units_for`.
        store: keeps finished networks and resumes.
        progress: receives events.

    Raises:
        InputError: for widths that do not rise or are impossible, or seeds that are not S.
    """
    widths = [int(m) for m in widths]
    if not widths or sorted(set(widths)) != widths:
        raise InputError(f"network.widths must rise, got {widths}")
    for m in widths:
        check_width(m, start)
    num = data.z.shape[0]
    seeds = list(range(num)) if seeds is None else list(seeds)
    if data.z.ndim != 3 or len(seeds) != num:
        raise InputError(
            f"data must hold one data set per seed, got inputs {data.z.shape} "
            f"and {len(seeds)} seeds"
        )
    times = record_points(num_steps, None if record is None else np.asarray(record))
    kernel = jax.jit(partial(lax.map, partial(kernel_predictions, times=times)))(data)
    found = []
    for m in widths:
        program = network_program(
            m, start, num_steps=num_steps, record=times, dtype=dtype, units=units
        )
        result = sweep(
            lambda _, program=program: program,
            [Axis("seed", seeds)],
            inputs={"data": data},
            store=store,
            progress=progress,
            name=f"width-{m}",
        )
        apart = [distance(result.metrics[k], v) for k, v in zip(("train", "fresh"), kernel)]
        spent = (result.compile_seconds, result.run_seconds)
        found.append((*map(np.asarray, apart), result.diverged, np.asarray(spent)))
    return Coupling(np.asarray(widths), times, *map(np.stack, zip(*found)))
