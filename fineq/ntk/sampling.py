"""Samples from a learned score, and how far they are from data (`ntk/sampling`).

A predictor f of X_0 stands for the score (a/h) f - x/h. From X_T down to X_{T0} run either the
reverse SDE dY = (½ g Y + g s) dt + √g dB by Euler-Maruyama, or the chain of a DDPM, which draws
X_s from its law given X_t and X_0 = f(t, X_t). Steps are equally spaced in log t: the score is
stiffest where t is small. Source: Han, Razaviyayn, Xu, arXiv 2401.15604.
"""

from functools import partial
from typing import Literal

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.typing import ArrayLike

from fineq.arrays import real_array
from fineq.errors import InputError
from fineq.ntk.forward import Predictor, Process, alpha, log_uniform, rate, score_of, variance

Sampler = Literal["sde", "ddpm"]


def sample(
    key: Array,
    process: Process,
    predictor: Predictor,
    start: ArrayLike,
    num_steps: int,
    sampler: Sampler | str = "sde",
) -> Array:
    """Run `num_steps` steps from states X_T `[num, d]` to X_{T0} `[num, d]`; pure.

    Args:
        key: of the noise.
        process: the forward process.
        predictor: f(t, x) for times `[num]` and states `[num, d]`.
        start: X_T.
        num_steps: steps, at least 1.
        sampler: `sde` or `ddpm`.

    Raises:
        InputError: for states that are not `[num, d]`, fewer than 1 step or another sampler.
    """
    start = real_array("start", start, 2)
    if num_steps < 1:
        raise InputError(f"the number of steps must be at least 1, got {num_steps}")
    steps = {"sde": _euler, "ddpm": _posterior}
    if sampler not in steps:
        raise InputError(f"sampler must be one of {', '.join(steps)}, got {sampler}")
    levels = jnp.linspace(1, 0, num_steps + 1, dtype=start.dtype)
    times = log_uniform(process, levels)

    def step(x: Array, now: tuple) -> tuple[Array, None]:
        t, s, draw = now
        z = jax.random.normal(draw, x.shape, x.dtype)
        predicted = predictor(jnp.full(x.shape[0], t), x)
        return steps[sampler](process, t, s, x, predicted, z), None

    keys = jax.random.split(key, num_steps)
    return lax.scan(step, start, (times[:-1], times[1:], keys))[0]


def _euler(process: Process, t: Array, s: Array, x: Array, predicted: Array, z: Array) -> Array:
    g = rate(process, t)
    score = score_of(process, jnp.full(x.shape[0], t), x, predicted)
    return x + (t - s) * g * (0.5 * x + score) + jnp.sqrt((t - s) * g) * z


def _posterior(process: Process, t: Array, s: Array, x: Array, predicted: Array, z: Array) -> Array:
    ratio = alpha(process, t) / alpha(process, s)
    h_t, h_s = variance(process, t), variance(process, s)
    between = h_t - ratio**2 * h_s
    mean = (ratio * h_s * x + alpha(process, s) * between * predicted) / h_t
    return mean + jnp.sqrt(h_s * between / h_t) * z


def sliced_wasserstein(key: Array, x: ArrayLike, y: ArrayLike, num_projections: int = 128) -> Array:
    """2-Wasserstein distance of two samples `[n, d]`, root mean square over random directions.

    In one dimension it is the distance itself: optimal transport pairs sorted values. Raises
    `InputError` for samples of other shapes, or fewer than 1 projection.
    """
    x, y = _samples(x, y)
    if x.shape != y.shape:
        raise InputError(f"both samples must be of one size, got {x.shape} and {y.shape}")
    if num_projections < 1:
        raise InputError(f"num_projections must be at least 1, got {num_projections}")
    return _sliced_wasserstein(key, x, y, num_projections)


@partial(jax.jit, static_argnames="num_projections")
def _sliced_wasserstein(key: Array, x: Array, y: Array, num_projections: int) -> Array:
    if x.shape[1] == 1:
        directions = jnp.ones((1, 1), x.dtype)
    else:
        directions = jax.random.normal(key, (x.shape[1], num_projections), x.dtype)
        directions = directions / jnp.linalg.norm(directions, axis=0, keepdims=True)
    apart = jnp.sort(x @ directions, axis=0) - jnp.sort(y @ directions, axis=0)
    return jnp.sqrt(jnp.mean(apart**2))


def discrepancy(x: ArrayLike, y: ArrayLike, bandwidth: ArrayLike) -> Array:
    """Unbiased squared maximum mean discrepancy of samples `[n, d]`, kernel exp(-|x-y|²/2b²).

    Around 0, and as often below it, for samples of the same law. Raises `InputError` for samples of
    other shapes, or of fewer than two.
    """
    x, y = _samples(x, y)
    if min(len(x), len(y)) < 2:
        raise InputError(f"both samples must hold two or more, got {len(x)} and {len(y)}")
    return _discrepancy(x, y, jnp.asarray(bandwidth, x.dtype))


@jax.jit
def _discrepancy(x: Array, y: Array, bandwidth: Array) -> Array:
    def similar(a: Array, b: Array) -> Array:
        squares = jnp.sum(a**2, -1)[:, None] + jnp.sum(b**2, -1)[None] - 2 * a @ b.T
        return jnp.exp(-jnp.maximum(squares, 0) / (2 * bandwidth**2))

    def within(a: Array) -> Array:
        n = a.shape[0]
        return (jnp.sum(similar(a, a)) - n) / (n * (n - 1))

    return within(x) + within(y) - 2 * jnp.mean(similar(x, y))


def median_distance(x: ArrayLike) -> Array:
    """Median distance of different rows of x `[n, d]`, n at least 2: the usual bandwidth.

    Raises `InputError` for other shapes.
    """
    x, _ = _samples(x, x)
    if len(x) < 2:
        raise InputError(f"there must be two or more rows, got {len(x)}")
    squares = jnp.sum((x[:, None] - x[None]) ** 2, axis=-1)
    apart = squares[jnp.triu_indices(x.shape[0], 1)]
    return jnp.sqrt(jnp.median(apart))


def _samples(x: ArrayLike, y: ArrayLike) -> tuple[Array, Array]:
    x, y = real_array("a sample", x, 2), real_array("a sample", y, 2)
    if x.shape[1] != y.shape[1] or not x.size or not y.size:
        raise InputError(f"samples must be [n, d] of one d, got {x.shape} and {y.shape}")
    return x, y
