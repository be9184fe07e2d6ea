"""Full-batch gradient descent of the two-layer network.

The loss is (1/2N) Σ_j |f(z_j) - y_j|² and only the w_r move (arXiv 2401.15604). One step takes the
gradient in closed form, by groups of units whose activations stay in cache: a group gets its
gradient, moves, and adds to the next predictions before the following group is touched, so that no
more than `N units` activations exist at any time.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.custom_batching import sequential_vmap
from jax.typing import ArrayLike

from fineq.errors import InputError
from fineq.iterate import Progress, Store, Trace, iterate
from fineq.ntk.lanczos import krylov_at, mean_diagonal
from fineq.ntk.network import Start, Weights, check_width, dot, draw, grouped, sums_over, units_for
from fineq.ntk.spectral import check_step, default_step, spectrum_at
from fineq.ntk.tangent import as_points
from fineq.sweep import Program

# Below the stability limit the loss of kernel descent never rises, and that of a network hardly.
RISE = 100.0
# Up to here all eigenvalues are taken; beyond, the largest Ritz value of a few products.
MOST_EXACT, PRODUCTS = 512, 16


class Data(NamedTuple):
    """What a network is trained on and looked at.

    Attributes:
        z: training inputs `[N, D]`.
        labels: y, `[N, d]`.
        fresh: other inputs at which predictions are recorded, `[M, D]`.
        eta: step size η.
    """

    z: Array
    labels: Array
    fresh: Array
    eta: Array


class Training(NamedTuple):
    """The state of a run.

    Attributes:
        W: input weights in groups, `[G, D, units]`; the last is filled up with zeros.
        sums: Σ_r A_r relu(w_r·z_j) at the training inputs, `[N, d]`.
    """

    W: Array
    sums: Array


class Regression(NamedTuple):
    """What a run is given.

    Attributes:
        data: inputs, labels and step size.
        A: output signs in groups, `[G, d, units]`.
        base: what is subtracted from the network at the training inputs, `[N, d]`.
        base_fresh: the same at the fresh inputs, `[M, d]`.
        scale: m^{-1/2}.
    """

    data: Data
    A: Array
    base: Array
    base_fresh: Array
    scale: Array


class Info(NamedTuple):
    """What a step saw before it moved.

    Attributes:
        loss: (1/2N) Σ_j |f(z_j) - y_j|².
        risen: whether that is more than `RISE` times E loss of a network that starts `plain`.
    """

    loss: Array
    risen: Array


def begin(
    weights: Weights, data: Data, start: Start = "symmetric", units: int | None = None
) -> tuple[Training, Regression]:
    """State and problem of a run from these weights, in the precision of the inputs."""
    dtype = data.z.dtype
    width, N = weights.W.shape[0], data.z.shape[0]
    units = units or units_for(N, width)
    W, A = (grouped(x.astype(dtype), units) for x in weights)
    scale = jnp.asarray(width**-0.5, dtype)
    sums, other = sums_over(W, A, data.z), sums_over(W, A, data.fresh)
    kept = jnp.asarray(start == "subtracted", dtype) * scale
    return Training(W, sums), Regression(data, A, kept * sums, kept * other, scale)


@sequential_vmap
def _move(z: Array, pull: Array, W: Array, A: Array) -> tuple[Array, Array]:
    """Weights and sums after a step; `pull` is η m^{-1/2} (f - y)/N, `[N, d]`.

    Under `vmap` one network after the other, as in `network.sums_over`.
    """

    def group(total: Array, given: tuple[Array, Array]) -> tuple[Array, Array]:
        w, a = given
        w = w - dot(z.T, jnp.where(dot(z, w) > 0, dot(pull, a), 0))
        # Recomputed rather than kept: 2 D operations cost less than a trip to memory.
        return total + dot(jnp.maximum(dot(z, w), 0), a.T), w

    sums, W = lax.scan(group, jnp.zeros_like(pull), (W, A))
    return W, sums


def gradient_step(state: Training, problem: Regression) -> tuple[Training, Info]:
    """One step of full-batch gradient descent: a kernel of `fineq.iterate`.

    w_r <- w_r - (η/N) m^{-1/2} Σ_j 1{w_r·z_j > 0} (A_r·(f(z_j) - y_j)) z_j. About
    `4 N m (D + d)` multiplications and additions, and `2 N m D` more to recompute the activations.
    """
    data, N = problem.data, problem.data.z.shape[0]
    residual = problem.scale * state.sums - problem.base - data.labels
    W, sums = _move(data.z, data.eta * problem.scale / N * residual, state.W, problem.A)
    loss = jnp.sum(jnp.square(residual)) / (2 * N)
    largest = (
        jnp.sum(jnp.square(data.labels)) / (2 * N)
        + 0.25 * jnp.mean(jnp.sum(jnp.square(data.z), axis=1)) * data.labels.shape[1]
    )
    return Training(W, sums), Info(loss, loss > RISE * largest)


def predictions(state: Training, info: Info, problem: Regression) -> dict[str, Array]:
    """What is recorded: f on the training and fresh inputs, `[N, d]` and `[M, d]`, and the loss."""
    del info
    data = problem.data
    train = problem.scale * state.sums - problem.base
    fresh = problem.scale * sums_over(state.W, problem.A, data.fresh) - problem.base_fresh
    loss = jnp.sum(jnp.square(train - data.labels)) / (2 * data.z.shape[0])
    return {"train": train, "fresh": fresh, "loss": loss}


def with_weights(state: Training, info: Info, problem: Regression) -> dict[str, Array]:
    """The `predictions`, and W in groups, `[G, D, units]`, for `weights_of`."""
    return {**predictions(state, info, problem), "W": state.W}


def weights_of(W: ArrayLike, width: int) -> Array:
    """Input weights `[..., m, D]` from their groups `[..., G, D, units]`."""
    flat = jnp.swapaxes(jnp.asarray(W), -1, -2)
    return flat.reshape(*flat.shape[:-3], -1, flat.shape[-1])[..., :width, :]


def diverged(state: Training, info: Info) -> Array:
    """Whether a run has left the finite numbers, or its loss has risen beyond all starts."""
    return info.risen | ~jnp.all(jnp.isfinite(state.sums)) | ~jnp.all(jnp.isfinite(state.W))


def largest_eigenvalue(z: ArrayLike) -> Array:
    """λ_max of K/N at inputs `[N, D]`: a step above 2/λ_max is not stable."""
    z = jnp.asarray(z)
    if z.shape[0] <= MOST_EXACT:
        return spectrum_at(z).values[0]
    # The eigenvector is near the lengths of the inputs, and a Ritz value is second order in that.
    start = jnp.linalg.norm(z, axis=1)
    return jnp.max(krylov_at(z, start, PRODUCTS, storage="blocked").spectrum.values)


def make_data(
    z: ArrayLike,
    labels: ArrayLike,
    fresh: ArrayLike | None = None,
    eta: ArrayLike | None = None,
    *,
    force: bool = False,
) -> Data:
    """Data in the precision of z, with step size 1/E κ(z, z) unless another is given.

    Without `fresh` predictions are recorded at the training inputs only.

    Raises:
        InputError: for shapes that disagree, numbers that are not finite, or a step size that is
            not positive or, unless `force`, above the stability limit 2/λ_max, which is named.
    """
    z, other = as_points(z, z if fresh is None else fresh)
    other = other[:0] if fresh is None else other
    labels = jnp.asarray(labels, z.dtype)
    if labels.ndim != 2 or labels.shape[0] != z.shape[0]:
        raise InputError(f"labels must be [N, d] for the {len(z)} inputs, got {labels.shape}")
    for name, value in (("inputs", z), ("labels", labels), ("fresh inputs", other)):
        if not np.all(np.isfinite(value)):
            raise InputError(f"{name} must be finite")
    if eta is None:
        eta = default_step(mean_diagonal(z))
    else:
        check_step(eta, largest_eigenvalue(z), force=force)
    return Data(z, labels, other, jnp.asarray(eta, z.dtype))


def train(
    key: Array,
    data: Data,
    width: int,
    *,
    num_steps: int,
    start: Start = "symmetric",
    record: np.ndarray | list[int] | None = None,
    keep_weights: bool = False,
    units: int | None = None,
    store: Store | None = None,
    progress: Progress | None = None,
    name: str = "network",
) -> Trace:
    """Train one network for `num_steps` steps with the one driver, `fineq.iterate.iterate`.

    Args:
        key: of the network.
        data: see `make_data`.
        width: m.
        num_steps: training time.
        start: symmetric, subtracted or plain.
        record: times at which `train` `[R, N, d]`, `fresh` `[R, M, d]` and `loss` `[R]` are
            recorded; default geometric.
        keep_weights: record the weights too, as `W` `[R, m, D]`.
        units: in a group; default `network.units_for`.
        store: keeps the run, which then resumes.
        progress: receives events.
        name: of the run in the store.

    A run that diverges is marked so in the trace. Raises `InputError` as `draw` does.
    """
    check_width(width, start)
    z, d = data.z, data.labels.shape[1]
    weights = draw(key, width, z.shape[1], d, start, z.dtype)
    state, problem = jax.jit(begin, static_argnames=("start", "units"))(
        weights, data, start=start, units=units
    )
    trace = iterate(
        gradient_step,
        state,
        problem,
        num_steps=num_steps,
        metrics=with_weights if keep_weights else predictions,
        record=record,
        diverged=diverged,
        store=store,
        progress=progress,
        name=name,
    )
    if keep_weights:
        trace.metrics["W"] = np.asarray(weights_of(trace.metrics["W"], width))
    return trace


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
    it records `train`, `fresh` and `loss` (`predictions`). The network's weights
    depend on the seed and the width alone. Raises `InputError` for an impossible width.
    """
    check_width(width, start)

    def init(key: Array, member: Any) -> tuple[Any, Any]:
        data = jax.tree.map(lambda x: x.astype(dtype), member["data"])
        weights = draw(key, width, data.z.shape[1], data.labels.shape[1], start, dtype)
        return begin(weights, data, start, units)

    return Program(init, gradient_step, num_steps, predictions, record, diverged=diverged)
